"""What people add when the interview is over stands beside what was heard and graded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from judged_interviews import a_plan, a_whole_interview

import prompts
from agent.additions import corrections, decision, with_additions
from agent.events import AnswerCorrected, DecisionRecorded, Event, LineSpoken
from agent.fold import IllegalEvent
from agent.interview import Interview
from agent.report import Provenance, build_report
from agent.report_schema import Report

PLAN = a_plan()
EVENTS = a_whole_interview(PLAN).events
AFTER = EVENTS[-1].at + 60


def corrected(utterance_id: str, text: str) -> AnswerCorrected:
    return AnswerCorrected(at=AFTER, utterance_id=utterance_id, text=text)


def decided(value: str, reason: str) -> DecisionRecorded:
    given = {"at": AFTER, "value": value, "by": "admin", "reason": reason}
    return DecisionRecorded.model_validate(given)


def report(events: list[Event]) -> Report:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return build_report(PLAN, events, {}, provenance=Provenance(), generated_at=now)


def test_the_last_correction_of_an_utterance_stands_and_an_empty_one_takes_it_back() -> None:
    made = [corrected("c1", "One."), corrected("c2", "Two."), corrected("c1", "Three.")]
    assert corrections(made) == {"c1": "Three.", "c2": "Two."}
    assert corrections([*made, corrected("c2", "")]) == {"c1": "Three."}


def test_a_report_is_read_with_what_came_later_and_nothing_else_changes() -> None:
    made = report(EVENTS)
    added = [corrected("c1", "I like green tea."), decided("no", "One."), decided("yes", "Two.")]
    read = with_additions(made, [*EVENTS, *added])
    (said,) = [one for one in read.transcript if one.id == "c1"]
    assert (said.text, said.correction) == ("I like tea.", "I like green tea.")
    assert read.human_decision is not None
    assert (read.human_decision.value, read.human_decision.reason) == ("yes", "Two.")
    assert read.human_decision.at.timestamp() == pytest.approx(AFTER)
    rest = {"transcript", "human_decision"}
    assert read.model_dump(exclude=rest) == made.model_dump(exclude=rest)
    assert Report.model_validate_json(read.model_dump_json()) == read


def test_what_was_heard_and_how_it_was_held_does_not_depend_on_what_is_added() -> None:
    added = [corrected("c1", "Something else."), decided("yes", "Good.")]
    assert report([*EVENTS, *added]) == report(EVENTS)


def test_without_a_decision_there_is_none() -> None:
    assert decision(EVENTS) is None
    assert with_additions(report(EVENTS), EVENTS).human_decision is None


def test_an_interviewers_line_cannot_be_corrected() -> None:
    line = next(event for event in EVENTS if isinstance(event, LineSpoken))
    read = with_additions(report(EVENTS), [*EVENTS, corrected(line.utterance_id, "Never said.")])
    assert all(one.correction is None for one in read.transcript)


def test_additions_may_come_after_the_end_and_change_no_state() -> None:
    interview = Interview(PLAN, prompts.lines(PLAN.language), EVENTS)
    ended = interview.ended
    interview.apply(corrected("c1", "Something else."))
    interview.apply(decided("no", "No."))
    assert interview.ended == ended
    with pytest.raises(IllegalEvent):
        interview.apply(EVENTS[-1])
