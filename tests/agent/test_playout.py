"""What the first sound and the end of each part of a reply mean."""

from __future__ import annotations

import logging

import pytest
from calls import Call
from playing import Bench

from agent.events import LineSpoken, MoveHeard, MoveRefused, QuestionAsked, TurnSettled
from agent.interview import Line, Reply
from agent.moves import NextQuestion, Wait
from agent.playout import Playout
from agent.reading import Usage
from agent.speech import Part, Speech

ANSWER = "I built a thing and it worked well."


class Stage(Bench):
    """A reply on its way out, step by step."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.playout = Playout(self.journal, self.turns, self.ids, self.watcher, self.clock)

    def speech(self, reply: Reply) -> Speech:
        speech = Speech("x", self.ids.next_reply(), reply=reply)
        speech.add_reply(reply)
        return speech

    def next_question(self) -> Speech:
        move = NextQuestion(acknowledgement="Thank you.")
        return self.speech(self.interview.reply(move, self.at))

    def starts(self, speech: Speech) -> Part:
        """The next part has its first frame and sounds."""
        part = speech.parts[len(speech.audible)]
        speech.audible.append(part)
        part.synthesised_s, part.whole = 2.0, True
        self.playout.started(speech)
        return part

    def plays(self, speech: Speech, *, heard_s: float = 2.0) -> None:
        self.starts(speech)
        self.at += heard_s
        self.playout.ended(heard_s, interrupted=heard_s < 2.0)


@pytest.fixture
def stage(call: Call) -> Stage:
    call.begin()
    call.settles(ANSWER)
    return Stage(call)


def test_the_first_sound_writes_the_move_and_each_line_its_own_event(stage: Stage) -> None:
    speech = stage.next_question()
    stage.plays(speech)
    assert stage.types == ["move_heard", "line_spoken"]
    stage.plays(speech)
    stage.plays(speech)
    assert stage.types[2:] == ["line_spoken", "question_asked", "line_spoken"]
    assert [e.kind for e in stage.log if isinstance(e, LineSpoken)] == [
        "acknowledgement",
        "stage",
        "question",
    ]
    moved = stage.log[0]
    assert isinstance(moved, MoveHeard)
    assert moved.turn_id == "c1"


def test_a_question_is_asked_when_it_begins_to_sound(stage: Stage) -> None:
    speech = stage.next_question()
    stage.plays(speech)
    stage.plays(speech)
    stage.starts(speech)
    assert isinstance(stage.log[-1], QuestionAsked)
    assert stage.interview.open_question is not None
    assert stage.interview.open_question.id == "deep"


def test_an_interrupted_acknowledgement_leaves_the_question_unasked(stage: Stage) -> None:
    speech = stage.next_question()
    stage.plays(speech, heard_s=1.0)
    assert stage.types == ["move_heard", "line_spoken"]
    assert stage.interview.pending is not None
    assert [line.kind for line in stage.interview.pending_reply(stage.at).lines] == [
        "stage",
        "question",
    ]


def test_an_interrupted_line_is_written_as_heard(stage: Stage) -> None:
    speech = stage.next_question()
    stage.plays(speech)
    stage.plays(speech, heard_s=1.0)
    spoken = stage.log[-1]
    assert isinstance(spoken, LineSpoken)
    assert (spoken.text, spoken.interrupted) == ("Now to", True)
    assert spoken.t1 - spoken.t0 == pytest.approx(1.0)
    assert stage.watcher.captions[-1] == ("interviewer", "Now to", True)


def test_a_part_keeps_the_id_that_its_first_caption_had(stage: Stage) -> None:
    speech = stage.next_question()
    stage.starts(speech)
    other = stage.speech(Reply(None, (Line("nudge", "Take your time."),)))
    stage.playout.shown(other, other.parts[0])
    stage.playout.playing = speech
    stage.playout.ended(2.0, interrupted=False)
    assert stage.watcher.utterances == ["i4", "i5", "i5", "i4"]
    spoken = [e.utterance_id for e in stage.log if isinstance(e, LineSpoken)]
    assert spoken == ["i5", "i4"]


def test_a_part_cut_off_in_synthesis_is_taken_as_longer_than_it_came(stage: Stage) -> None:
    long = Line("nudge", "I am still here, and there is no hurry at all.")
    speech = stage.speech(Reply(None, (long,)))
    part = stage.starts(speech)
    part.synthesised_s, part.whole = 1.0, False
    stage.playout.ended(1.0, interrupted=True)
    spoken = stage.log[-1]
    assert isinstance(spoken, LineSpoken)
    assert 0 < len(spoken.text) < len(long.text) / 2


def test_a_filler_decides_nothing(stage: Stage) -> None:
    speech = Speech("x", "r9")
    speech.add("filler", "One moment.")
    stage.plays(speech)
    assert stage.types == ["line_spoken"]
    assert stage.interview.settled is not None, "the turn still waits for its move"


def test_an_acknowledgement_that_sounds_before_the_decision_gets_its_move_then(
    stage: Stage,
) -> None:
    speech = Speech("x", "r9")
    speech.add("acknowledgement", "Thank you.")
    stage.starts(speech)
    assert stage.types == []
    speech.findings = [MoveRefused(at=stage.at, turn_id="c1", move="wait", reason="enough")]
    speech.reply = stage.interview.reply(NextQuestion(acknowledgement="Thank you."), stage.at)
    stage.playout.decided(speech)
    stage.playout.decided(speech)
    assert stage.types == ["move_refused", "move_heard"], "once, with what led to it"


def test_each_turn_logs_its_figures_once_and_no_words(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    speech = stage.next_question()
    speech.end_turn(stage.at)
    speech.usage = Usage(first_token_s=0.25, prompt_tokens=900, cached_tokens=640)
    stage.at += 0.5
    stage.plays(speech)
    stage.plays(speech)
    assert caplog.messages == [
        "turn c1: end_of_turn_delay=- reply_delay=0.500 ttft=0.250"
        " prompt_tokens=900 cached_tokens=640"
    ]


def test_a_reply_to_no_turn_logs_no_figures(call: Call, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    call.begin()
    stage = Stage(call)
    reply = stage.interview.silence(2, stage.at)
    assert reply is not None
    stage.plays(stage.speech(reply))
    assert "move_heard" in stage.types
    assert caplog.messages == []


def test_a_silent_wait_is_written_without_a_sound(stage: Stage) -> None:
    speech = stage.speech(stage.interview.reply(Wait(kind="not_finished"), stage.at))
    assert speech.parts == []
    stage.playout.write_move(speech)
    stage.playout.write_move(speech)
    assert stage.types == ["move_heard"]


def test_what_is_shown_counts_as_heard_whole(stage: Stage) -> None:
    speech = stage.next_question()
    for part in speech.parts:
        stage.playout.shown(speech, part)
    assert stage.types == [
        "move_heard",
        "line_spoken",
        "line_spoken",
        "question_asked",
        "line_spoken",
    ]
    assert not any(e.interrupted for e in stage.log if isinstance(e, LineSpoken))


def test_the_tail_of_a_cut_answer_is_settled_under_the_question_it_answers(call: Call) -> None:
    call.begin()
    stage = Stage(call)
    reply = stage.interview.rambling(stage.at)
    call.hears("and so on and so on")
    speech = stage.speech(reply)
    while len(speech.audible) < len(speech.parts):
        stage.plays(speech)
    settled = next(i for i, e in enumerate(stage.log) if isinstance(e, TurnSettled))
    asked = next(i for i, e in enumerate(stage.log) if isinstance(e, QuestionAsked))
    assert settled < asked
    assert stage.interview.answer_text("weather") == "and so on and so on"


def test_a_playback_that_no_part_belongs_to_is_ignored(stage: Stage) -> None:
    stage.playout.ended(1.0, interrupted=False)
    speech = stage.next_question()
    stage.playout.started(speech)
    assert stage.types == []
    assert stage.playout.playing is None
