from __future__ import annotations

from typing import Any

from calls import START, Call, small_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import CallLeft, SegmentHeard, TurnSettled, Word
from agent.moves import NextQuestion, Wait
from agent.transcript import to_text, transcript, transcript_of


def candidate(call: Call) -> list[Any]:
    return [one for one in transcript(call.log).utterances if one.speaker == "candidate"]


def test_both_speakers_stand_in_the_order_in_which_they_spoke(call: Call) -> None:
    call.begin()
    call.turn("It rains.", NextQuestion())
    told = transcript(call.log).utterances
    assert [(one.speaker, one.kind) for one in told] == [
        ("interviewer", "disclosure"),
        ("interviewer", "greeting"),
        ("interviewer", "question"),
        ("candidate", "said"),
        ("interviewer", "stage"),
        ("interviewer", "question"),
    ]
    assert [one.id for one in told] == ["i1", "i2", "i3", "c1", "i4", "i5"]


def test_an_answer_belongs_to_the_question_that_was_open_when_it_began(call: Call) -> None:
    call.begin()
    call.hears("A long story")
    call.say(call.interview.rambling(call.at))
    call.settles("A long story of rain.")
    call.decide(Wait(kind="not_finished"))
    call.turn("I build databases.")
    assert [one.question_id for one in candidate(call)] == ["weather", "deep"]


def test_times_are_seconds_since_the_first_join(call: Call) -> None:
    call.begin()
    call.at += 12.5
    call.hears("It rains.")
    call.settles("It rains.")
    told = transcript(call.log)
    assert told.started_at == START
    (said,) = [one for one in told.utterances if one.speaker == "candidate"]
    assert (said.t0, said.t1) == (10.5, 12.5)
    assert transcript_of(call.log)[-1].t0 == START + 10.5


def test_words_that_never_settled_are_a_last_utterance(call: Call) -> None:
    call.begin()
    call.hears("I was just")
    call.hears("about to say")
    call.apply(CallLeft(at=call.at, reason="dropped"))
    (said,) = candidate(call)
    assert (said.id, said.text, said.question_id) == ("c1", "I was just about to say", "weather")


def test_noise_and_dropped_words_are_counted_not_told(call: Call) -> None:
    call.begin()
    for verdict in ("backchannel", "backchannel", "dropped", "failed"):
        call.hears("Thanks for watching", verdict)
    call.settles("")
    told = transcript(call.log)
    assert (told.backchannels, told.dropped, told.failed) == (2, 1, 1)
    assert candidate(call) == []


def test_confidence_weighs_by_letters_and_typed_words_are_certain(call: Call) -> None:
    call.begin()
    parts = [("aaaa", 1.0), ("bbbbbbbbbbbb", 0.6)]
    for number, (text, confidence) in enumerate(parts):
        word = Word(text=text, t0=call.at + number, t1=call.at + number + 1, probability=confidence)
        call.apply(
            SegmentHeard(
                at=call.at,
                segment_id=f"s{number}",
                turn_id="c1",
                text=text,
                t0=call.at + number,
                t1=call.at + number + 1,
                confidence=confidence,
                words=(word,),
            )
        )
    call.settles("aaaa bbbbbbbbbbbb")
    call.apply(
        TurnSettled(at=call.at, turn_id="c2", text="Typed.", t0=call.at, t1=call.at, source="typed")
    )
    spoken, typed = candidate(call)
    assert spoken.confidence == 0.7
    assert [word.t0 for word in spoken.words] == [0, 1]
    assert (typed.confidence, typed.source) == (1.0, "typed")


def test_an_interrupted_line_is_told_as_heard(call: Call) -> None:
    call.begin()
    line = call.log[-1].model_copy(update={"text": "What about", "interrupted": True})
    unheard = call.log[-1].model_copy(update={"text": "", "interrupted": True})
    told = transcript([*call.log[:-1], line, unheard]).utterances
    assert (told[-1].text, told[-1].interrupted) == ("What about", True)


def test_a_person_can_read_it(call: Call) -> None:
    call.begin()
    call.at += 65
    call.turn("It rains.", NextQuestion())
    text = to_text(transcript(call.log), call.plan)
    assert "## What about weather?" in text
    assert "[01:05] Candidate: It rains." in text
    assert text.index("It rains.") < text.index("## What about deep?")
    assert to_text(transcript([]), call.plan) == ""


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["hear", "settle", "turn", "drop"]), max_size=25))
def test_no_word_is_lost_or_told_twice(steps: list[str]) -> None:
    call = Call(small_plan())
    call.begin()
    said: list[str] = []
    open_words: list[str] = []
    for number, step in enumerate(steps):
        word = f"word{number}"
        if step == "hear":
            call.hears(word)
            open_words.append(word)
        elif step == "drop":
            call.join(epoch=number)
        else:
            call.hears(word)
            said += [*open_words, word]
            call.settles(" ".join([*open_words, word]))
            open_words = []
            if step == "turn" and not call.interview.ended:
                call.decide(Wait(kind="thinking") if call.interview.snapshot().waits < 3 else None)
        if call.interview.ended:
            break
    told = " ".join(one.text for one in candidate(call)).split()
    assert told == said + open_words
