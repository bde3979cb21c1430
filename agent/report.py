"""The report: built by code from a plan, a log and what the grader found, for any beginning of the
log. Pure.

The same inputs give the same report, letter for letter. How numbers come about stands in
`agent.scoring` and `agent.overall`, what may stand in a report in `agent.report_schema`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from agent import events as ev
from agent.answers import UNJUDGED, answers, course_of
from agent.conduct import (
    audio_quality,
    candidate_questions,
    conduct,
    consents,
    of_type,
    share,
    started_at,
)
from agent.grades import QuestionGrade, Tally
from agent.ledger import Probing, job_match
from agent.overall import Case, overall, status_of
from agent.phrases import Phrases
from agent.plan import Plan
from agent.rating import Clock, JudgedAnswer, Rater, answer_entry, judge
from agent.report_schema import (
    UNSCORED,
    Candidate,
    Competencies,
    Grading,
    PlanRef,
    Provenance,
    Report,
    Revision,
    Utterance,
    schema,
)
from agent.transcript import Utterance as Said
from agent.transcript import transcript_of

__all__ = ["Provenance", "Report", "Revision", "build_report", "schema"]


def _utterance(said: Said, clock: Clock) -> Utterance:
    return Utterance(
        id=said.id,
        speaker=said.speaker,
        kind=said.kind,
        question_id=said.question_id,
        text=said.text,
        t0=clock.seconds(said.t0),
        t1=clock.seconds(said.t1),
        source=said.source,
        confidence=None if said.confidence is None else share(said.confidence),
        interrupted=said.interrupted,
    )


def _probing(judged: JudgedAnswer) -> Probing:
    return Probing(
        question_id=judged.found.question.id,
        requirement_ids=judged.found.question.requirement_ids,
        asked=judged.found.state != "not_asked",
        checks=judged.checks,
    )


def _plan_ref(plan: Plan) -> PlanRef:
    return PlanRef(
        plan_id=plan.plan_id, version=plan.version, hash=plan.hash, job_title=plan.job.title
    )


def build_report(
    plan: Plan,
    events: Sequence[ev.Event],
    grades: Mapping[str, QuestionGrade],
    *,
    provenance: Provenance,
    generated_at: datetime,
    revision: int = 1,
    earlier: Sequence[Revision] = (),
) -> Report:
    """The report of a log, or of any beginning of one.

    `grades` are by question; one of other words is not used, and none after a withdrawal. `earlier`
    are the revisions of the report before this one.
    """
    phrases = Phrases(plan.language)
    clock = Clock(started_at(events))
    ended = course_of(events).ended
    used = {} if ended in UNJUDGED else grades
    utterances = transcript_of(events)
    found = answers(plan, events, utterances)
    judged = [judge(plan, one, used, clock, due=ended not in UNJUDGED) for one in found]
    failed = tuple(one.found.question.id for one in judged if one.ungraded)
    held = conduct(plan, events, found)
    status, status_reason = status_of(ended, held.coverage, failed, phrases)
    rater = Rater(phrases, status_reason if status in UNSCORED else None)
    candidate = [one for one in utterances if one.speaker == "candidate"]
    match = job_match(plan, [_probing(one) for one in judged], candidate, clock.cite, phrases)
    created = next(iter(of_type(events, ev.InterviewCreated)), None)
    rehearsal = bool(provenance.stand_ins) or ev.is_rehearsal(events)
    asked = candidate_questions(events)
    case = Case(plan, judged, match, asked, status, status_reason, rehearsal, rater, phrases)
    why = phrases.say("first_revision" if revision == 1 else "later_revision")
    return Report(
        report_id=f"{created.interview_id if created else 'unknown'}-r{revision}",
        interview_id=created.interview_id if created else None,
        revision=revision,
        generated_at=generated_at,
        status=status,
        status_reason=status_reason,
        end_reason=ended,
        language=plan.language,
        channels=tuple(dict.fromkeys(e.channel for e in of_type(events, ev.CallJoined))),
        rehearsal=rehearsal,
        candidate=Candidate(name=created.candidate_name if created else ""),
        plan=_plan_ref(plan),
        provenance=provenance,
        consents=consents(events),
        conduct=held,
        audio_quality=audio_quality(events),
        transcript=tuple(_utterance(one, clock) for one in utterances),
        answers=tuple(answer_entry(plan, one, rater, phrases) for one in judged),
        job_match=match,
        competencies=Competencies(reason=phrases.say("competencies_later")),
        candidate_questions=asked,
        overall=overall(case),
        grading=Grading(
            spread_reason=phrases.say("spread_once"),
            tally=sum((one.grade.tally for one in judged if one.grade), Tally()),
            failed_questions=failed,
        ),
        revisions=(*earlier, Revision(revision=revision, generated_at=generated_at, reason=why)),
    )
