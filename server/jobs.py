"""Reports, made one after another behind the calls: exactly one to an interview and revision.

* The end of an interview queues its report in the same transaction, so that no crash comes between
  the two.
* Questions are graded one by one, each kept at once: ahead, while the interview goes on, and the
  rest at its end. A crash costs the question in hand.
* Grading that fails makes a report that says `scoring_failed`, with the transcript and no number;
  it never makes none.
* A candidate who stays away too long has abandoned the interview: it ends, and gets its report like
  any other.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from agent.answers import AnswerFound, Utterance, to_grade
from agent.events import Event
from agent.grades import QuestionGrade
from agent.plan import Plan, Question
from agent.report import Provenance, Report, Revision, build_report
from agent.transcript import transcript_of
from server import logs
from server.store import (
    InterviewRecord,
    Job,
    ReportExists,
    Store,
    StoreError,
    UnknownInterview,
)

logger = logging.getLogger(__name__)

POLL_S = 5.0
TRIES = 3
"""Claims of one job with grading; after these the report is made of what has been graded."""
RETRY_S = 30.0


class Grades(Protocol):
    """What grades one answer; `agent.grading.Grader` is one. Never raises for what a model does."""

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade: ...


@dataclass(frozen=True)
class _Case:
    """An interview as far as its log goes."""

    record: InterviewRecord
    plan: Plan
    events: tuple[Event, ...]
    grades: dict[str, QuestionGrade]

    def open_answers(self, *, final: bool) -> tuple[AnswerFound, ...]:
        utterances = transcript_of(self.events)
        return to_grade(self.plan, self.events, utterances, self.grades, final=final)


class ReportRunner:
    """Runs on the web application's loop. `start` once, `aclose` once; `wake` from any thread."""

    def __init__(
        self,
        store: Store,
        grader: Callable[[Plan], Grades],
        provenance: Callable[[Plan, Sequence[Event], str], Provenance],
        *,
        owner: str,
        rejoin_s: float = 1800.0,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`provenance` gets the plan and the hash that stands for the whole log. `owner` names this
        process's machine: what an earlier process of it had claimed is taken up again."""
        self._store = store
        self._grader = grader
        self._provenance = provenance
        self._owner = owner
        self._rejoin_s = rejoin_s
        self._poll_s = poll_s
        self._clock = clock
        self._awake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._looked_at: dict[str, int] = {}

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name="reports")

    async def aclose(self) -> None:
        """Stop; what is unfinished is taken up at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """An interview has ended: look now."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._awake.set)

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            try:
                await self.catch_up()
            except StoreError as error:
                logger.warning("Reports wait for the store: %s", error)
            except Exception:
                # The task's outermost edge: one interview that cannot be reported must not keep all
                # others waiting.
                logger.exception("Making reports failed; trying again in %.0f s", self._poll_s)
            try:
                async with asyncio.timeout(self._poll_s):
                    await self._awake.wait()
            except TimeoutError:
                continue

    async def catch_up(self) -> None:
        """Everything there is to do now."""
        await self._store.release_jobs(self._owner)  # one at a time: what is ours was left behind
        await self.end_abandoned()
        busy = True
        while busy:
            busy = await self.make_one() or await self.grade_one_ahead()

    async def end_abandoned(self) -> list[str]:
        """End the interviews whose candidate stays away; returns their ids."""
        at = self._clock()
        ended = await self._store.end_left(at - self._rejoin_s, at)
        for interview_id in ended:
            logger.info("Interview %s was abandoned", interview_id)
        return ended

    async def make_one(self) -> bool:
        """Make the next report that is due; False when none is."""
        job = await self._store.claim_job(self._owner)
        if job is None:
            return False
        with logs.interview(job.interview_id):
            try:
                await self._make(job)
            except (ReportExists, UnknownInterview):
                logger.info("The report is there already, or the interview erased")
            except StoreError:
                raise
            except Exception as error:
                # A defect in grading or reporting: the operator gets the traceback, the job another
                # try.
                logger.exception("The report failed (try %d)", job.attempts)
                after_s = RETRY_S * job.attempts
                await self._store.put_back_job(job, after_s=after_s, error=repr(error)[:500])
        return True

    async def grade_one_ahead(self) -> bool:
        """Grade one closed answer of an interview that goes on; False when there is none."""
        going, _ = await self._store.list_interviews(status="live")
        for record in going:
            if self._looked_at.get(record.interview_id) == record.last_seq:
                continue
            case = await self._case(record.interview_id, 1)
            with logs.interview(record.interview_id):
                if waiting := case.open_answers(final=False):
                    await self._grade(case, waiting[0], 1)
                    return True
            self._looked_at[record.interview_id] = record.last_seq
        self._looked_at = {one.interview_id: one.last_seq for one in going}
        return False

    async def _make(self, job: Job) -> None:
        began = time.monotonic()
        case = await self._case(job.interview_id, job.revision)
        if job.attempts <= TRIES:
            for answer in case.open_answers(final=True):
                await self._grade(case, answer, job.revision)
        report = build_report(
            case.plan,
            case.events,
            case.grades,
            provenance=self._provenance(case.plan, case.events, case.record.head_hash),
            generated_at=datetime.fromtimestamp(self._clock(), UTC),
            revision=job.revision,
            earlier=await self._earlier(job),
        )
        await self._store.save_report(job.interview_id, job.revision, report.model_dump_json())
        took = time.monotonic() - began
        logger.info("Report %d is there: %s (%.1f s)", job.revision, report.status, took)

    async def _grade(self, case: _Case, answer: AnswerFound, revision: int) -> None:
        question = answer.question
        grader = self._grader(case.plan)
        grade = await grader.grade_question(case.plan, question, answer.exchange)
        case.grades[question.id] = grade
        interview_id = case.record.interview_id
        text = grade.model_dump_json()
        await self._store.save_grading(interview_id, revision, question.id, text)

    async def _case(self, interview_id: str, revision: int) -> _Case:
        events = tuple(stored.event for stored in await self._store.events(interview_id))
        record = await self._store.interview(interview_id)
        graded = await self._store.gradings(interview_id, revision)
        return _Case(
            record,
            await self._store.plan(record.plan_hash),
            events,
            {key: QuestionGrade.model_validate_json(text) for key, text in graded.items()},
        )

    async def _earlier(self, job: Job) -> tuple[Revision, ...]:
        """The revisions before this one, as the last of them lists them."""
        if job.revision == 1:
            return ()
        last = await self._store.report(job.interview_id)
        return Report.model_validate_json(last.json).revisions if last else ()
