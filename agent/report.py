"""The report: built by code from a plan, a log and what the grader found, for any prefix of the
log. Pure.

The same inputs give the same report, letter for letter. How numbers come about stands in
`agent.scoring`, what may stand in a report in `agent.report_schema`.

Rules that bind here:

* overall, a dimension pools the points of every judged answer of the core: the scored stages but
  `personal`, so that all candidates are measured by the same questions;
* there is an overall number only for a complete or partial interview, and only if at least half of
  the core's must-ask questions and half of the dimensions' weight could be judged;
* if any answer that could be judged has no grade, the status is `scoring_failed` and nothing has a
  number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from agent import events as ev
from agent import scoring
from agent.answers import (
    MIN_CONFIDENCE,
    AnswerFound,
    answers,
    course_of,
    current_grade,
    is_graded_stage,
)
from agent.answers import Utterance as Said
from agent.conduct import (
    audio_quality,
    candidate_questions,
    conduct,
    consents,
    of_type,
    started_at,
)
from agent.evidence import Said as Timed
from agent.evidence import find_quote, time_at
from agent.grades import QuestionGrade, Tally, checks_of
from agent.guard import addresses_the_grader
from agent.ledger import Judged, job_match
from agent.phrases import Phrases
from agent.plan import DIMENSIONS, Check, Dimension, Plan
from agent.report_schema import (
    UNSCORED,
    Answer,
    AnswerRating,
    AnswerRatings,
    Candidate,
    CandidateQuestion,
    CheckResult,
    Competencies,
    Coverage,
    Evidence,
    Finding,
    Grading,
    JobMatch,
    Overall,
    PlanRef,
    Points,
    Provenance,
    Rating,
    Ratings,
    Report,
    Revision,
    Status,
    Utterance,
    schema,
)
from agent.transcript import Utterance as TranscriptUtterance
from agent.transcript import transcript_of

__all__ = ["Provenance", "Report", "Revision", "build_report", "schema"]
MAX_FINDINGS = 5
MAX_EVIDENCE = 5


# --- one answer -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """An answer with what may be said about it."""

    found: AnswerFound
    scored: bool
    in_core: bool
    grade: QuestionGrade | None
    checks: tuple[tuple[Check, CheckResult | None], ...]

    @property
    def ungraded(self) -> bool:
        """It could be judged, and was not."""
        return (
            self.scored
            and self.found.gradable
            and bool(self.checks)
            and (self.grade is None or self.grade.state != "graded")
        )

    def results(self, dimension: Dimension) -> list[CheckResult]:
        return [r for check, r in self.checks if r is not None and check.dimension == dimension]


class _Clock:
    """Evidence and times on the interview's own clock."""

    def __init__(self, start: float) -> None:
        self._start = start

    def seconds(self, at: float) -> float:
        return round(at - self._start, 3)

    def cite(self, said: Timed, start: int, end: int) -> Evidence:
        t0 = self.seconds(time_at(said, start))
        return Evidence(utterance_id=said.id, quote=said.text[start:end], t0=t0)


def _result(
    check: Check, grade: QuestionGrade, said: Mapping[str, Said], clock: _Clock
) -> CheckResult:
    """The grader's finding, its quotes looked up once more: a stored grade is trusted no more than
    a model.
    """
    given = next((one for one in grade.checks if one.check_id == check.id), None)
    evidence: list[Evidence] = []
    for quote in given.evidence if given else ():
        where = said.get(quote.utterance_id)
        if where is not None and (span := find_quote(quote.quote, where.text)):
            evidence.append(clock.cite(where, *span))
    return CheckResult(
        check_id=check.id,
        statement=check.statement,
        points=check.points,
        met=given.met if given and evidence else "unclear",
        evidence=tuple(evidence),
    )


def _judge(
    plan: Plan, found: AnswerFound, grades: Mapping[str, QuestionGrade], clock: _Clock
) -> _Judged:
    stage = plan.stage_of(found.question.id)
    grade = current_grade(found, grades) if found.gradable else None
    checks = checks_of(plan, found.question) if stage.scored else ()
    said = {one.id: one for one in found.said}
    judged = grade is not None and grade.state == "graded"
    return _Judged(
        found=found,
        scored=stage.scored,
        in_core=stage.kind != "personal" and is_graded_stage(plan, found.question),
        grade=grade,
        checks=tuple(
            (check, _result(check, grade, said, clock) if grade and judged else None)
            for check in checks
        ),
    )


# --- ratings --------------------------------------------------------------------------------------


def _points(results: Iterable[CheckResult]) -> scoring.Points:
    return scoring.add_up(scoring.points_of(r.met, r.points) for r in results)


def _shown(points: scoring.Points) -> Points:
    return Points(total=float(points.total), decided=float(points.decided), met=float(points.met))


def _facts(points: scoring.Points) -> dict[str, str]:
    undecided = points.total - points.decided
    return {
        "met": f"{float(points.met):g}",
        "decided": f"{float(points.decided):g}",
        "undecided": f"{float(undecided):g}",
        "total": f"{float(points.total):g}",
    }


def _evidence(results: Iterable[CheckResult]) -> tuple[Evidence, ...]:
    decided = [r for r in results if r.met != "unclear"]
    return tuple(dict.fromkeys(quote for r in decided for quote in r.evidence))[:MAX_EVIDENCE]


class _Rater:
    """Ratings with their reasons; `withheld` says why nothing may have a number, where that is
    so.
    """

    def __init__(self, phrases: Phrases, withheld: str | None) -> None:
        self._phrases = phrases
        self._withheld = withheld

    def none(self, why: str) -> str:
        return self._phrases.say("not_rated", why=why)

    def rating(self, results: Sequence[CheckResult], empty: str, reason: str = "") -> Rating:
        points = _points(results)
        share = points.share
        evidence = _evidence(results)
        shown = _shown(points)
        if not results:
            return Rating(reason=self.none(empty))
        if self._withheld is not None:
            return Rating(reason=self.none(self._withheld), evidence=evidence, points=shown)
        if share is None:
            why = self._phrases.say("too_little", **_facts(points))
            return Rating(reason=why, evidence=evidence, points=shown)
        score = scoring.score(share)
        computed = self._phrases.say("points", **_facts(points))
        return Rating(
            score=score,
            band=scoring.band(score),
            reason=reason or computed,
            evidence=evidence,
            points=shown,
        )

    def answer(self, judged: _Judged) -> AnswerRatings:
        given = judged.grade.reasons if judged.grade else {}
        ratings: dict[str, AnswerRating] = {}
        for dimension in DIMENSIONS:
            results = judged.results(dimension)
            empty = self._why_empty(judged, dimension)
            rating = self.rating(results, empty, given.get(dimension, ""))
            ratings[dimension] = AnswerRating(
                **{name: getattr(rating, name) for name in Rating.model_fields},
                checks=tuple(results),
            )
        return AnswerRatings(**ratings)

    def _why_empty(self, judged: _Judged, dimension: Dimension) -> str:
        if not judged.scored:
            return self._phrases.say("not_scored_stage")
        if not judged.found.gradable:
            return _state_reason(judged.found, self._phrases)
        if judged.ungraded and any(check.dimension == dimension for check, _ in judged.checks):
            return self._phrases.say("not_graded")
        return self._phrases.say("no_checks")


def _state_reason(found: AnswerFound, phrases: Phrases) -> str:
    facts = {"confidence": f"{found.confidence or 0:.2f}", "minimum": f"{MIN_CONFIDENCE:.2f}"}
    return phrases.say(found.cause, **facts)


def _answer(plan: Plan, judged: _Judged, rater: _Rater, phrases: Phrases) -> Answer:
    found = judged.found
    flags: list[str] = []
    if any(addresses_the_grader(one.text) for one in found.said):
        flags.append("addresses_the_grader")
    if judged.grade is not None and judged.grade.judged_in_part:
        flags.append("judged_in_part")
    if judged.ungraded:
        flags.append("scoring_failed")
    confidence = found.confidence
    return Answer(
        question_id=found.question.id,
        stage_id=plan.stage_of(found.question.id).id,
        question=found.question.text,
        must_ask=found.question.must_ask,
        scored=judged.scored,
        in_core=judged.in_core,
        state=found.state,
        reason=_state_reason(found, phrases),
        utterance_ids=tuple(one.id for one in found.said),
        confidence=None if confidence is None else round(confidence, 4),
        ratings=rater.answer(judged),
        flags=tuple(flags),
    )


# --- overall --------------------------------------------------------------------------------------


def _share(judged: Sequence[_Judged], plan: Plan) -> Fraction | None:
    """p over the whole core, or None when too little of it could be judged."""
    core = [one for one in judged if one.in_core]
    must = [one for one in core if one.found.question.must_ask] or core
    rated = [one for one in must if _points([r for _, r in one.checks if r]).share is not None]
    if not must or 2 * len(rated) < len(must):
        return None
    asked = {check.dimension for one in core for check, _ in one.checks}
    return scoring.combine(
        {
            d: _points(r for one in core for r in one.results(d)).share
            for d in DIMENSIONS
            if d in asked
        },
        dict(plan.dimension_weights.items()),
    )


def _findings(judged: Iterable[_Judged], met: scoring.Verdict) -> tuple[Finding, ...]:
    found = [
        (check, one.found.question.id, result)
        for one in judged
        for check, result in one.checks
        if result is not None and result.met == met
    ]
    found.sort(key=lambda each: -each[0].points)  # stable: the plan's order among equals
    return tuple(
        Finding(
            question_id=question_id,
            dimension=check.dimension,
            text=check.statement,
            evidence=result.evidence,
        )
        for check, question_id, result in found[:MAX_FINDINGS]
    )


def _follow_up(
    judged: Sequence[_Judged], match: JobMatch, asked: Iterable[CandidateQuestion], phrases: Phrases
) -> tuple[str, ...]:
    """What a person should still ask or answer."""
    open_ = ("not_probed", "unclear")
    return (
        *(
            phrases.say(f"follow_{one.found.state}", question=one.found.question.text)
            for one in judged
            if one.scored and one.found.state in ("not_asked", "not_scorable")
        ),
        *(
            phrases.say("follow_requirement", text=requirement.text)
            for requirement in match.requirements
            if requirement.must_have and requirement.status in open_
        ),
        *(phrases.say("follow_reply", question=one.text) for one in asked if one.needs_reply),
    )


def _remark(
    dimensions: Ratings,
    judged: Sequence[_Judged],
    match: JobMatch,
    status: Status,
    reason: str,
    rehearsal: bool,
    phrases: Phrases,
) -> str:
    """A few computed sentences; nothing in them that the report does not show."""
    must = [one.found for one in judged if one.found.question.must_ask]
    said = [] if status == "complete" else [reason]
    said.append(
        phrases.say(
            "remark_answers",
            total=len(must),
            answered=sum(found.gradable for found in must),
            declined=sum(found.state == "declined" for found in must),
            not_asked=sum(found.state == "not_asked" for found in must),
            not_scorable=sum(found.state == "not_scorable" for found in must),
        )
    )
    scores = {d: rating.score for d, rating in dimensions.each() if rating.score is not None}
    if scores:
        named = {n: [d for d, score in scores.items() if score == n] for n in scores.values()}
        high, low = max(named), min(named)
        said.append(
            phrases.say(
                "remark_range",
                high=f"{', '.join(named[high])} ({high})",
                low=f"{', '.join(named[low])} ({low})",
            )
        )
    statuses = [requirement.status for requirement in match.requirements]
    if statuses:
        counts = {name: statuses.count(name) for name in ("met", "partly", "not_met")}
        rest = len(statuses) - sum(counts.values())
        said.append(phrases.say("remark_requirements", **counts, open=rest))
    said.append(phrases.say("remark_rehearsal" if rehearsal else "remark_human"))
    return " ".join(said)


def _status(
    ended: ev.EndReason | None, cover: Coverage, failed: Sequence[str], phrases: Phrases
) -> tuple[Status, str]:
    match ended:
        case "declined_ai" | "withdrawn" | "technical_failure":
            return ended, phrases.say(f"status_{ended}")
    if failed:
        return "scoring_failed", phrases.say("status_scoring_failed", count=len(failed))
    if ended in ("completed", "time_up") and cover.asked == cover.must_ask_total:
        return "complete", phrases.say("status_complete")
    return "partial", phrases.say("status_partial", asked=cover.asked, total=cover.must_ask_total)


def _overall(
    plan: Plan,
    judged: Sequence[_Judged],
    match: JobMatch,
    asked: Sequence[CandidateQuestion],
    status: Status,
    reason: str,
    rehearsal: bool,
    rater: _Rater,
    phrases: Phrases,
) -> Overall:
    core = [one for one in judged if one.in_core]
    empty = phrases.say("no_evidence")
    dimensions = Ratings(
        **{d: rater.rating([r for one in core for r in one.results(d)], empty) for d in DIMENSIONS}
    )
    share = _share(judged, plan) if status in ("complete", "partial") else None
    score = None if share is None else scoring.score(share)
    if status in UNSCORED:
        why = reason
    elif status == "technical_failure":
        why = phrases.say("overall_failure")
    elif score is None:
        why = phrases.say("overall_too_little")
    else:
        why = phrases.say("overall_score", score=score, judged=sum(bool(one.grade) for one in core))
    return Overall(
        score=score,
        band=None if score is None else scoring.band(score),
        share=None if share is None else round(float(share), 4),
        reason=why,
        formula=scoring.FORMULA,
        weights={d: plan.dimension_weights.get(d, 1.0) for d in DIMENSIONS},
        dimensions=dimensions,
        overall_remark=_remark(dimensions, judged, match, status, reason, rehearsal, phrases),
        strengths=_findings(judged, "yes"),
        concerns=_findings(judged, "no"),
        follow_up_for_human=_follow_up(judged, match, asked, phrases),
    )


# --- the report -----------------------------------------------------------------------------------


def _utterance(said: TranscriptUtterance, clock: _Clock) -> Utterance:
    return Utterance(
        id=said.id,
        speaker=said.speaker,
        kind=said.kind,
        question_id=said.question_id,
        text=said.text,
        t0=clock.seconds(said.t0),
        t1=clock.seconds(said.t1),
        source=said.source,
        confidence=said.confidence,
        interrupted=said.interrupted,
    )


def _ledger_entry(judged: _Judged) -> Judged:
    return Judged(
        question_id=judged.found.question.id,
        requirement_ids=judged.found.question.requirement_ids,
        asked=judged.found.state != "not_asked",
        checks=judged.checks,
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
    """The report of a log, or of any beginning of one. `grades` by question; those of other words
    are not used.
    """
    phrases = Phrases(plan.language)
    clock = _Clock(started_at(events))
    utterances = transcript_of(events)
    judged = [_judge(plan, found, grades, clock) for found in answers(plan, events, utterances)]
    failed = [one.found.question.id for one in judged if one.ungraded]
    held = conduct(plan, events, [one.found for one in judged])
    ended = course_of(events).ended
    status, status_reason = _status(ended, held.coverage, failed, phrases)
    rater = _Rater(phrases, status_reason if status in UNSCORED else None)
    candidate = [one for one in utterances if one.speaker == "candidate"]
    asked = candidate_questions(events)
    match = job_match(plan, [_ledger_entry(one) for one in judged], candidate, clock.cite, phrases)
    created = next(iter(of_type(events, ev.InterviewCreated)), None)
    rehearsal = bool(provenance.stand_ins) or (created is not None and created.rehearsal)
    channels = dict.fromkeys(event.channel for event in of_type(events, ev.CallJoined))
    tally = sum((one.grade.tally for one in judged if one.grade), Tally())
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
        channels=tuple(channels),
        rehearsal=rehearsal,
        candidate=Candidate(name=created.candidate_name if created else ""),
        plan=PlanRef(
            plan_id=plan.plan_id, version=plan.version, hash=plan.hash, job_title=plan.job.title
        ),
        provenance=provenance,
        consents=consents(events),
        conduct=held,
        audio_quality=audio_quality(events),
        transcript=tuple(_utterance(one, clock) for one in utterances),
        answers=tuple(_answer(plan, one, rater, phrases) for one in judged),
        job_match=match,
        competencies=Competencies(reason=phrases.say("competencies_later")),
        candidate_questions=asked,
        overall=_overall(
            plan, judged, match, asked, status, status_reason, rehearsal, rater, phrases
        ),
        grading=Grading(
            spread_reason=phrases.say("spread_once"), tally=tally, failed_questions=tuple(failed)
        ),
        revisions=(
            *earlier,
            Revision(revision=revision, generated_at=generated_at, reason=why),
        ),
    )
