"""One final report each, however the interview ended and whatever failed on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from agent.answers import Utterance
from agent.events import (
    CallJoined,
    CallLeft,
    ConsentRecorded,
    Disclosed,
    EndReason,
    Event,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
)
from agent.grades import CheckGrade, QuestionGrade, Quote, answer_hash, checks_of
from agent.plan import Plan, Question
from agent.report import Provenance
from server.jobs import TRIES, ReportRunner
from server.store import Store, StoreUnavailable


class Yes:
    """A grader that finds every check met, in the candidate's own words."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fails: list[Exception] = []

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        self.asked.append(question.id)
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails.pop()
        said = [one for one in utterances if one.speaker == "candidate"]
        quotes = (Quote(utterance_id=said[0].id, quote=said[0].text),)
        return QuestionGrade(
            question_id=question.id,
            answer_hash=answer_hash(said),
            state="graded",
            checks=tuple(
                CheckGrade(check_id=check.id, met="yes", evidence=quotes)
                for check in checks_of(plan, question)
            ),
        )


class Down(Yes):
    """A grader whose model is out of reach."""

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        self.asked.append(question.id)
        said = [one for one in utterances if one.speaker == "candidate"]
        return QuestionGrade(
            question_id=question.id,
            answer_hash=answer_hash(said),
            state="scoring_failed",
            failure="HTTP 503",
        )


def runner(store: Store, grader: Yes, **options: Any) -> ReportRunner:
    def provenance(plan: Plan, events: Sequence[Event], log_hash: str) -> Provenance:
        return Provenance(event_log_hash=log_hash)

    return ReportRunner(store, lambda plan: grader, provenance, **{"owner": "here", **options})


def asked(n: int, answer: str) -> list[Event]:
    text = "What did you build?" if n == 1 else "How did you test it?"
    at = 100.0 * n
    return [
        QuestionAsked(at=at, reply_id=f"r{n}", question_id=f"q{n}", wording=text),
        LineSpoken(
            at=at + 1,
            utterance_id=f"i{n}",
            reply_id=f"r{n}",
            kind="question",
            text=text,
            question_id=f"q{n}",
            t0=at,
            t1=at + 1,
        ),
        SegmentHeard(
            at=at + 9, segment_id=f"s{n}", turn_id=f"c{n}", text=answer, t0=at + 2, t1=at + 8
        ),
        TurnSettled(at=at + 9, turn_id=f"c{n}", text=answer, t0=at + 2, t1=at + 8),
    ]


async def held(store: Store, plan: Plan, end: EndReason | None = "completed") -> str:
    """An interview with two answers, ended or not."""
    record = await store.create_interview(plan, candidate_name="Ada")
    epoch = await store.take_lease(record.interview_id, "host")
    events: list[Event] = [
        Disclosed(at=1, version="1", method="page"),
        ConsentRecorded(at=1, interview=True, recording=False, version="1", method="click"),
        CallJoined(at=2, channel="text", epoch=epoch),
        *asked(1, "I built a payment system in Python for three years"),
        *asked(2, "With a test suite that ran on every change we made"),
    ]
    if end:
        events.append(InterviewEnded(at=300, reason=end))
    await store.append(record.interview_id, epoch, events)
    return record.interview_id


async def report_of(store: Store, interview_id: str) -> dict[str, Any]:
    stored = await store.report(interview_id)
    assert stored is not None
    found = json.loads(stored.json)
    assert isinstance(found, dict)
    return found


async def appears(store: Store, interview_id: str) -> None:
    async with asyncio.timeout(5):
        while await store.report(interview_id) is None:  # noqa: ASYNC110 — it says so to nobody
            await asyncio.sleep(0.01)


async def test_an_ended_interview_gets_one_report_with_verified_quotes(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    grader = Yes()
    reports = runner(store, grader)
    await reports.catch_up()
    await reports.catch_up()
    report = await report_of(store, interview_id)
    assert report["status"] == "complete"
    assert report["revision"] == 1
    assert report["overall"]["score"] == 10
    assert report["candidate"]["name"] == "Ada"
    record = await store.interview(interview_id)
    assert report["provenance"]["event_log_hash"] == record.head_hash
    assert sorted(grader.asked) == ["q1", "q2"]
    assert await store.jobs_waiting() == 0


async def test_a_grader_that_fails_makes_a_report_without_a_number(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    await runner(store, Down()).catch_up()
    report = await report_of(store, interview_id)
    assert report["status"] == "scoring_failed"
    assert report["overall"]["score"] is None
    assert len(report["transcript"]) == 4


@pytest.mark.parametrize("end", ["withdrawn", "technical_failure", "time_up", "declined_ai"])
async def test_every_way_to_end_has_its_report(store: Store, plan: Plan, end: EndReason) -> None:
    interview_id = await held(store, plan, end)
    await runner(store, Yes()).catch_up()
    assert (await report_of(store, interview_id))["end_reason"] == end


async def test_a_crash_in_the_middle_of_grading_goes_on_with_the_next_question(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    first = Yes()
    dying = runner(store, first)
    claimed = await store.claim_job("here")
    assert claimed
    case = await dying._case(interview_id, 1)
    await dying._grade(case, case.open_answers(final=True)[0], 1)
    # The process dies here; another one of the same machine starts.
    second = Yes()
    await runner(store, second).catch_up()
    assert first.asked == ["q1"]
    assert second.asked == ["q2"]
    assert (await report_of(store, interview_id))["status"] == "complete"


async def test_a_defect_is_tried_again_and_at_last_reported_without_a_number(
    store: Store, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    interview_id = await held(store, plan)
    grader = Yes()
    grader.fails = [RuntimeError("a defect") for _ in range(TRIES)]
    at = [1000.0]
    store._clock = lambda: at[0]
    reports = runner(store, grader, clock=lambda: at[0])
    for _ in range(TRIES):
        assert await store.report(interview_id) is None
        await reports.catch_up()
        at[0] += 3600
    await reports.catch_up()
    assert (await report_of(store, interview_id))["status"] == "scoring_failed"
    assert "a defect" in caplog.text


async def test_questions_are_graded_ahead_and_not_twice(store: Store, plan: Plan) -> None:
    interview_id = await held(store, plan, None)
    grader = Yes()
    reports = runner(store, grader, clock=lambda: 200.0)
    await reports.catch_up()
    assert grader.asked == ["q1"]  # the second is still open
    assert await store.report(interview_id) is None
    epoch = await store.take_lease(interview_id, "host")
    await store.append(interview_id, epoch, [InterviewEnded(at=300, reason="completed")])
    await reports.catch_up()
    assert grader.asked == ["q1", "q2"]
    assert (await report_of(store, interview_id))["status"] == "complete"


async def test_a_candidate_who_stays_away_gets_a_report_of_what_was_said(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan, None)
    record = await store.interview(interview_id)
    epoch = await store.take_lease(interview_id, "host")
    await store.append(interview_id, epoch, [CallLeft(at=210, reason="dropped")])
    now = record.last_event_at
    await runner(store, Yes(), rejoin_s=60, clock=lambda: now + 59).catch_up()
    assert await store.report(interview_id) is None
    await runner(store, Yes(), rejoin_s=60, clock=lambda: now + 61).catch_up()
    report = await report_of(store, interview_id)
    assert report["end_reason"] == "abandoned"
    assert report["status"] == "partial"


async def test_grading_again_makes_a_second_revision_and_keeps_the_first(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    await runner(store, Down()).catch_up()
    assert await store.enqueue_report(interview_id) == 2
    await runner(store, Yes()).catch_up()
    newest = await report_of(store, interview_id)
    assert (newest["revision"], newest["status"]) == (2, "complete")
    assert [one["revision"] for one in newest["revisions"]] == [1, 2]
    first = await store.report(interview_id, 1)
    assert first and json.loads(first.json)["status"] == "scoring_failed"


async def test_an_interview_erased_while_it_is_graded_gets_no_report(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)

    class Erasing(Yes):
        async def grade_question(
            self, plan: Plan, question: Question, utterances: Sequence[Utterance]
        ) -> QuestionGrade:
            await store.erase(interview_id)
            return await super().grade_question(plan, question, utterances)

    await runner(store, Erasing()).catch_up()
    assert await store.report(interview_id) is None
    assert await store.jobs_waiting() == 0


async def test_two_runners_make_one_report(store: Store, plan: Plan) -> None:
    ids = [await held(store, plan) for _ in range(4)]
    graders = [Yes(), Yes()]
    runners = [runner(store, grader, owner=f"host {n}") for n, grader in enumerate(graders)]
    await asyncio.gather(*(one.catch_up() for one in runners))
    for interview_id in ids:
        assert (await report_of(store, interview_id))["revision"] == 1
    assert len(graders[0].asked) + len(graders[1].asked) == 8


@pytest.fixture
async def running(store: Store) -> AsyncIterator[ReportRunner]:
    reports = runner(store, Yes(), poll_s=60)
    reports.start()
    yield reports
    await reports.aclose()


async def test_the_end_of_a_call_wakes_the_runner_from_another_thread(
    store: Store, plan: Plan, running: ReportRunner
) -> None:
    await asyncio.sleep(0.05)
    interview_id = await held(store, plan)
    await asyncio.to_thread(running.wake)
    await appears(store, interview_id)


async def test_a_store_that_fails_for_a_while_delays_the_report_and_loses_none(
    store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    grader = Yes()
    grader.fails = [StoreUnavailable("full")]
    reports = runner(store, grader, poll_s=0.01)
    reports.start()
    try:
        await appears(store, interview_id)
    finally:
        await reports.aclose()
    assert (await report_of(store, interview_id))["status"] == "complete"
