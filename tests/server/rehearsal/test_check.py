from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from agent import events as ev
from agent.moves import parse_move
from agent.plan import Plan
from server.rehearsal import check
from server.rehearsal.candidates import built_in
from server.rehearsal.check import Recording, Run
from server.rehearsal.script import NEEDS_TELEPHONE, Demand, Script, Step, Turn

SOURCE = files("prompts") / "plans" / "rehearsal_en.yaml"
PLAN = Plan.model_validate(YAML(typ="safe").load(SOURCE.read_text(encoding="utf-8")))
STOCK = {
    "acknowledgement": ("Thank you.",),
    "answer_time_left": ("We have $minutes minutes left.",),
}
RATE = 8000


def run(*events: ev.Event, **more: Any) -> Run:
    given: dict[str, Any] = {
        "plan": PLAN,
        "script": Script(answers={}),
        "events": events,
        "report": {},
        "stock": STOCK,
    }
    return Run(**(given | more))


def said(rule: Callable[[Run], Iterator[str]], what: Run) -> str:
    return "\n".join(rule(what))


def move(name: str, **arguments: object) -> ev.MoveHeard:
    return ev.MoveHeard(at=0, reply_id="r1", turn_id="c1", move=parse_move(name, arguments))


def line(text: str, kind: Any = "question", **more: Any) -> ev.LineSpoken:
    given = {"at": 0, "utterance_id": "i1", "reply_id": "r1", "t0": 0, "t1": 1}
    return ev.LineSpoken(kind=kind, text=text, **(given | more))


def segment(text: str, t0: float, t1: float, turn: str = "c1") -> ev.SegmentHeard:
    return ev.SegmentHeard(at=t1, segment_id="s1", turn_id=turn, text=text, t0=t0, t1=t1)


def settled(text: str, t0: float = 0.0, source: Any = "spoken") -> ev.TurnSettled:
    return ev.TurnSettled(at=t0 + 1, turn_id="c1", text=text, t0=t0, t1=t0 + 1, source=source)


def asked(question_id: str, wording: str | None = None) -> ev.QuestionAsked:
    text = PLAN.question(question_id).text if wording is None else wording
    return ev.QuestionAsked(at=0, reply_id="r1", question_id=question_id, wording=text)


def spoken(question_id: str, text: str, source: str = "spoken") -> dict[str, Any]:
    return {
        "id": "c1",
        "speaker": "candidate",
        "question_id": question_id,
        "text": text,
        "source": source,
    }


def says(question_id: str, *texts: str) -> Script:
    return Script(answers={question_id: (Turn(steps=tuple(Step(say=text) for text in texts)),)})


# --- the conduct


def everything_asked() -> list[ev.Event]:
    return [asked(question.id) for question in PLAN.questions()]


def answered(**states: str) -> dict[str, Any]:
    answers = [
        {"question_id": question.id, "state": states.get(question.id, "answered")}
        for question in PLAN.questions()
    ]
    return {"answers": answers, "conduct": {"coverage": {"must_ask_total": 7, "asked": 7}}}


def test_all_asked_and_answered_is_right_also_when_an_optional_one_is_declined() -> None:
    good = run(*everything_asked(), report=answered(weakness="declined"))
    assert said(check.every_must_ask_is_asked_and_answered, good) == ""


@pytest.mark.parametrize(
    ("events", "report", "complaint"),
    [
        (everything_asked()[1:], answered(), "warm_up must be asked"),
        ([*everything_asked(), asked("project")], answered(), "project was opened 2 times"),
        (everything_asked(), answered(mistake="declined"), "mistake must be answered"),
        (everything_asked(), answered(mistake="not_asked"), "mistake must be answered"),
        (everything_asked(), answered() | {"conduct": {"coverage": {"asked": 6}}}, "coverage"),
        (everything_asked(), {}, "must be answered and is None"),
    ],
)
def test_a_question_missed_doubled_or_unanswered_is_named(
    events: list[ev.Event], report: dict[str, Any], complaint: str
) -> None:
    bad = run(*events, report=report)
    assert complaint in said(check.every_must_ask_is_asked_and_answered, bad)


def test_order_and_wording_of_questions_are_checked() -> None:
    rule = check.questions_come_in_the_plans_words_and_order
    assert said(rule, run(*everything_asked())) == ""
    assert "out of order" in said(rule, run(asked("project"), asked("experience")))
    assert "was asked as" in said(rule, run(asked("project", "So, a project?")))


def test_only_a_completed_interview_with_a_complete_report_is_complete() -> None:
    rule = check.the_interview_is_complete
    ended = ev.InterviewEnded(at=0, reason="completed")
    assert said(rule, run(ended, report={"status": "complete"})) == ""
    assert "ended never" in said(rule, run(report={"status": "complete"}))
    assert "ended" in said(rule, run(ended, ended, report={"status": "complete"}))
    assert "partial" in said(rule, run(ended, report={"status": "partial"}))


def test_a_second_greeting_is_noticed() -> None:
    greeting = line(PLAN.policy.greeting, "greeting")
    assert said(check.one_greeting, run(greeting)) == ""
    assert "2 times" in said(check.one_greeting, run(greeting, greeting))


def test_a_question_that_is_said_twice_and_asked_once_is_noticed() -> None:
    rule = check.no_question_is_said_for_nothing
    question = PLAN.question("project")
    again = ev.QuestionRepeated(at=0, reply_id="r2", question_id="project", wording=question.text)
    said_once, cut = line(question.text), line(question.text[:20], interrupted=True)
    assert said(rule, run(asked("project"), said_once, cut)) == ""
    assert said(rule, run(asked("project"), said_once, again, line(question.text, "repeat"))) == ""
    assert "said 2 times" in said(rule, run(asked("project"), said_once, said_once))


@pytest.mark.parametrize(
    "spoken_line",
    [
        line(PLAN.question("project").text),
        line("Tell me about a difficult", interrupted=True),
        line("", interrupted=True),
        line("Thank you.", "acknowledgement"),
        line("We have 4 minutes left.", "answer"),
        line(PLAN.faq[0].answer, "answer"),
        line("You designed a database.", "acknowledgement"),
    ],
)
def test_lines_of_plan_stock_and_checked_acknowledgement_are_approved(
    spoken_line: ev.LineSpoken,
) -> None:
    acknowledged = move("next_question", acknowledgement="You designed a database.")
    rule = check.the_interviewer_says_nothing_of_its_own
    assert said(rule, run(acknowledged, spoken_line)) == ""


@pytest.mark.parametrize(
    "spoken_line",
    [
        line("Great answer, you are hired!", "acknowledgement"),
        line("Tell me about a difficult"),
        line(PLAN.question("project").text + " And your age?"),
        line('{"name": "next_question"}'),
    ],
)
def test_any_other_words_of_the_interviewers_are_reported(spoken_line: ev.LineSpoken) -> None:
    assert "no approved line" in said(
        check.the_interviewer_says_nothing_of_its_own, run(spoken_line)
    )


def test_a_long_or_asking_acknowledgement_is_reported_even_if_a_move_carried_it() -> None:
    for words in ("What did you say?", " ".join(["word"] * 16)):
        bad = run(move("next_question", acknowledgement=words), line(words, "acknowledgement"))
        assert "acknowledged with" in said(check.the_interviewer_says_nothing_of_its_own, bad)


# --- demands

LONG = [segment("a", 0, 12), segment("b", 12.6, 22), segment("c", 22.7, 33), segment("d", 33.8, 44)]
RUBBISH = {"fabricated_quotes": 1, "wrong_utterances": 1, "broken_json": 1}
NO = {"ratings": {"logic": {"checks": [{"met": "no"}]}}}
EVERY_MOVE = [
    move("next_question"),
    move("ask_probe", probe_id="x"),
    move("repeat_question"),
    move("skip_question"),
    move("wait", kind="thinking"),
    move("answer_candidate", faq_id="team_size"),
    move("end_interview"),
]
JOIN = ev.CallJoined(at=0, channel="web", epoch=2)
FAQ = move("answer_candidate", faq_id="team_size")
HAPPENED: dict[Demand, Run] = {
    "every_move": run(*EVERY_MOVE),
    "move_refused": run(ev.MoveRefused(at=0, turn_id="c1", move="skip_question", reason="no")),
    "barge_in": run(line("Think of two", interrupted=True), settled("Once.")),
    "model_stall": run(ev.ModelFailed(at=0, turn_id="c1", reason="stalled")),
    "rejoin": run(asked("mistake"), segment("a", 0, 1), JOIN, segment("b", 3, 4)),
    "candidate_question": run(FAQ, line(PLAN.faq[0].answer, "answer")),
    "skip": run(move("skip_question"), report={"answers": [{"state": "declined"}]}),
    "long_answer": run(*LONG),
    "grader_rubbish": run(report={"grading": {"tally": RUBBISH}, "answers": [NO]}),
}
DID_NOT: dict[Demand, list[Run]] = {
    "every_move": [run(*EVERY_MOVE[:-1]), run()],
    "move_refused": [run()],
    "barge_in": [
        run(line("Think of two"), settled("Once.")),
        run(line("", interrupted=True), settled("Once.")),
        run(line("Think of two", interrupted=True), line("What else?")),
        run(line("Think of two", interrupted=True)),
    ],
    "model_stall": [run(ev.ModelFailed(at=0, turn_id="c1", reason="refused"))],
    "rejoin": [
        run(asked("mistake"), segment("a", 0, 1), segment("b", 3, 4)),
        run(asked("mistake"), JOIN, segment("b", 3, 4)),
        run(asked("mistake"), segment("a", 0, 1), JOIN, asked("start"), segment("b", 3, 4)),
        run(asked("mistake"), segment("a", 0, 1), JOIN, segment("", 3, 4)),
    ],
    "candidate_question": [
        run(FAQ, line("I will pass this on.", "answer")),
        run(line(PLAN.faq[0].answer)),
        run(move("answer_candidate", faq_id="none"), line(PLAN.faq[0].answer)),
    ],
    "skip": [run(move("skip_question"), report={"answers": [{"state": "answered"}]})],
    "long_answer": [
        run(*LONG[:-1]),
        run(LONG[0], segment("b", 12.1, 22), *LONG[2:]),
        run(*LONG[:3], segment("d", 33.8, 44, turn="c2")),
    ],
    "grader_rubbish": [
        run(report={"grading": {"tally": RUBBISH}}),
        run(report={"grading": {"tally": RUBBISH | {"broken_json": 0}}, "answers": [NO]}),
    ],
}


@pytest.mark.parametrize("demand", HAPPENED)
def test_what_happened_is_seen(demand: Demand) -> None:
    assert check.HAPPENED[demand](HAPPENED[demand])


@pytest.mark.parametrize(
    ("demand", "without"), [(name, each) for name, runs in DID_NOT.items() for each in runs]
)
def test_what_did_not_happen_is_not_seen(demand: Demand, without: Run) -> None:
    assert not check.HAPPENED[demand](without)


@pytest.mark.parametrize("by_telephone", [False, True])
def test_every_demand_of_the_default_scripts_can_be_missed(by_telephone: bool) -> None:
    script = built_in(PLAN, by_telephone=by_telephone)
    missed = said(check.what_was_to_happen_happened, run(script=script)).splitlines()
    assert len(missed) == len(script.demands) > 8


def test_every_demand_has_its_examples_here_or_at_the_telephones_candidate() -> None:
    assert HAPPENED.keys() == DID_NOT.keys() == check.HAPPENED.keys() - NEEDS_TELEPHONE


# --- words


START = ("I can start in four weeks.", "My notice period is two weeks.")
"""Six words each."""


def answer(
    *heard: str, notes: tuple[str, ...] = START, question: str = "start", **more: Any
) -> Run:
    """What was heard of START, which `notes` were made of, and the log as it is in the report."""
    given: dict[str, Any] = {
        "script": says("start", *START),
        "said": [check.Said("start", text) for text in notes],
        "report": {"transcript": [spoken(question, text) for text in heard]},
    }
    return run(*(segment(text, 0, 1) for text in heard), **(given | more))


WORD_RULES = (
    check.what_was_to_be_said_was_said,
    check.what_was_said_was_heard,
    check.what_was_recognised_is_in_the_report,
)


def complaints(what: Run) -> str:
    return "\n".join(said(rule, what) for rule in WORD_RULES).strip()


def test_words_are_compared_over_whole_answers() -> None:
    typed = spoken("start", "No.", "typed")
    heard = [spoken("start", "I can start in 4 weeks."), spoken("start", START[1])]
    good = answer("I can start in 4 weeks.", START[1], report={"transcript": [*heard, typed]})
    assert complaints(good) == ""
    assert check.word_errors(good).words == 12


def test_a_lost_half_of_an_answer_breaks_the_run() -> None:
    assert "6 deleted" in complaints(answer(START[0]))


def long_script() -> Script:
    return built_in(PLAN).model_copy(update={"demands": ()})


def performed(*, said_too: str = "", heard_too: str = "", unheard: str = "") -> Run:
    """The whole built-in script, said and heard but for one sentence."""
    script = long_script()
    notes, transcript, segments = [], [], []
    for key, turns in script.answers.items():
        sentences = [step.say for turn in turns for step in turn.steps if step.say]
        notes += [
            check.Said(key, text) for text in sentences for _ in range(1 + (text == said_too))
        ]
        copies = [text for text in sentences for _ in range(1 + (text == heard_too))]
        heard = " ".join(text for text in copies if text != unheard)
        transcript.append(spoken(key, heard))
        segments.append(segment(heard, 0, 1, key))
    return run(*segments, script=script, said=notes, report={"transcript": transcript})


SENTENCES = [step.say for step in long_script().steps() if step.say]


def test_the_built_in_script_said_and_heard_breaks_no_rule() -> None:
    assert complaints(performed()) == "" and len(SENTENCES) > 20


@pytest.mark.parametrize("sentence", SENTENCES)
def test_one_sentence_lost_or_doubled_anywhere_is_named_though_the_error_rate_allows_it(
    sentence: str,
) -> None:
    lost, doubled = performed(unheard=sentence), performed(heard_too=sentence)
    assert check.word_errors(lost).rate < check.MAX_WORD_ERROR_RATE
    assert said(check.what_was_said_was_heard, lost).endswith(f"not heard: “{sentence}”")
    assert said(check.what_was_said_was_heard, doubled).endswith(f"than said: “{sentence}”")


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_sentence_that_was_played_twice_or_not_at_all_is_noticed(sentence: str) -> None:
    whole = performed()
    rest = [one for one in whole.said if one.text != sentence]
    for notes in (rest, performed(said_too=sentence).said):
        changed = run(script=whole.script, said=notes)
        assert "the script has" in said(check.what_was_to_be_said_was_said, changed)


def test_a_model_that_asks_more_may_hear_more_than_the_script_has() -> None:
    more = [*START, "In the end, we finished on time."]
    assert complaints(answer(*more, notes=tuple(more), strict=False)) == ""


def test_words_that_the_report_leaves_out_or_doubles_are_noticed() -> None:
    for transcript in ([spoken("start", START[0])], [spoken("start", text) for text in 2 * START]):
        bad = answer(*START, report={"transcript": transcript})
        assert "the log has 12" in said(check.what_was_recognised_is_in_the_report, bad)


def test_what_the_recogniser_dropped_is_not_expected_in_the_report() -> None:
    dropped = segment("thank you", 0, 1).model_copy(update={"verdict": "dropped"})
    good = answer(*START)
    events = [*good.events, dropped]
    assert complaints(run(*events, script=good.script, said=good.said, report=good.report)) == ""


def test_words_under_another_question_are_errors_of_both() -> None:
    errors = check.word_errors(answer(*START, question="weakness"))
    assert (errors.deletions, errors.insertions) == (12, 12)
    stray = answer(*START, report={"transcript": [spoken("", text) for text in START]})
    assert check.word_errors(stray).insertions == 12


def test_typed_words_must_stand_as_they_were_typed() -> None:
    script = Script(answers={"start": (Turn(steps=(Step(type="No <b>way</b>."),)),)})
    good = run(script=script, report={"transcript": [spoken("start", "No <b>way</b>.", "typed")]})
    bad = run(script=script, report={"transcript": [spoken("start", "No way.", "typed")]})
    assert said(check.typed_words_stand_as_typed, good) == ""
    assert "No <b>way</b>." in said(check.typed_words_stand_as_typed, bad)


# --- recording


def recording(*starts: float, started_at: float = 1000.0) -> Recording:
    samples = np.zeros(10 * RATE, np.int16)
    for start in starts:
        samples[int(start * RATE) : int((start + 1) * RATE)] = 3000
    return Recording(samples, RATE, started_at)


def test_a_time_within_the_tolerance_of_the_sound_is_right() -> None:
    good = run(settled("One.", 1002.2), settled("Two.", 1004.9), recording=recording(2, 5))
    assert said(check.times_are_those_of_the_sound, good) == ""
    assert [error for _, error in check.time_errors(good)] == pytest.approx([0.2, -0.1], abs=0.02)


def test_a_time_far_from_any_sound_is_reported_and_a_typed_answer_has_none() -> None:
    bad = run(settled("One.", 1003.5), settled("Two.", 0, "typed"), recording=recording(2, 5))
    assert "from where the recording has it" in said(check.times_are_those_of_the_sound, bad)
    assert len(check.time_errors(bad)) == 1
    silent = run(settled("One.", 1003.5), recording=recording())
    assert "no sound" in said(check.times_are_those_of_the_sound, silent)


def test_recording_is_there_if_and_only_if_it_was_allowed() -> None:
    rule = check.there_is_a_recording_if_it_was_allowed
    assert said(rule, run(recording=recording(1))) == ""
    assert said(rule, run(recording_expected=False)) == ""
    assert "there is none" in said(rule, run())
    assert "refused" in said(rule, run(recording=recording(1), recording_expected=False))
    assert "silent" in said(rule, run(recording=recording()))


# --- report


def test_a_quote_must_stand_in_its_utterance_wherever_in_the_report_it_is_cited() -> None:
    def cites(utterance_id: str, quote: str) -> Run:
        evidence = {"overall": {"strengths": [{"evidence": [_quote(utterance_id, quote)]}]}}
        return run(report=evidence | {"transcript": [spoken("start", "I can start in May.")]})

    assert said(check.every_quote_stands, cites("c1", "start in May")) == ""
    assert check.quote_count(cites("c1", "start in May").report) == 1
    assert "does not stand" in said(check.every_quote_stands, cites("c1", "start in June"))
    assert "does not stand" in said(check.every_quote_stands, cites("c2", "start in May"))


def _quote(utterance_id: str, quote: str) -> dict[str, str]:
    return {"utterance_id": utterance_id, "quote": quote}


def test_a_score_needs_a_quote_and_a_rehearsal_decides_nothing() -> None:
    rule = check.a_score_has_evidence_and_decides_nothing
    header = {"rehearsal": True, "ai_suggestion": "no_decision"}

    def rated(score: int | None, *evidence: object) -> dict[str, Any]:
        rating = {"score": score, "evidence": list(evidence)}
        return {"answers": [{"question_id": "start", "ratings": {"logic": rating}}]}

    assert said(rule, run(report=header | rated(7, _quote("c1", "May")))) == ""
    assert said(rule, run(report=header | rated(None))) == ""
    assert "without a quote" in said(rule, run(report=header | rated(7)))
    assert "suggests yes" in said(rule, run(report=header | {"ai_suggestion": "yes"}))
    assert "not marked" in said(rule, run(report=header | {"rehearsal": False}))


def test_one_report_of_the_first_revision_is_final() -> None:
    assert said(check.one_final_report, run(report={"revision": 1})) == ""
    assert said(check.one_final_report, run(report={"revision": 2})) != ""
    assert said(check.one_final_report, run(report={"revision": 1}, reports=2)) != ""


def test_a_report_of_another_shape_is_not_valid() -> None:
    assert "status" in said(check.the_report_is_valid, run(report={"schema_version": "1.0"}))


def test_a_broken_chain_and_the_candidates_own_trouble_are_findings() -> None:
    found = check.findings(
        run(chain_fault="event 3 is missing", trouble=["no answer to the offer"], unforeseen=2)
    )
    texts = {(one.rule, one.text) for one in found}
    assert ("the_chain_holds", "event 3 is missing") in texts
    assert ("the_candidate_managed", "no answer to the offer") in texts
    assert any("2 times more" in one.text for one in found)
