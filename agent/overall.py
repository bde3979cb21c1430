"""The overall judgement: status, numbers, findings and the remark, all computed. Pure.

Rules that bind here:

* a dimension pools the points of every judged answer of the core: the scored stages but `personal`,
  so that all candidates are measured by the same questions;
* there is an overall number only for a complete or partial interview, and only if at least half of
  the core's must-ask questions and half of the dimensions' weight could be judged;
* if any answer that could be judged has no grade, the status is `scoring_failed` and nothing has a
  number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agent import scoring
from agent.events import EndReason
from agent.phrases import Phrases
from agent.plan import DIMENSIONS, Plan
from agent.rating import JudgedAnswer, Rater, points_of_results
from agent.report_schema import (
    UNSCORED,
    CandidateQuestion,
    CheckResult,
    Coverage,
    Finding,
    JobMatch,
    Overall,
    Ratings,
    Status,
)

MAX_FINDINGS = 5


@dataclass(frozen=True)
class Case:
    """All that the overall judgement rests on."""

    plan: Plan
    judged: Sequence[JudgedAnswer]
    match: JobMatch
    candidate_questions: Sequence[CandidateQuestion]
    status: Status
    status_reason: str
    rehearsal: bool
    rater: Rater
    phrases: Phrases

    @property
    def core(self) -> list[JudgedAnswer]:
        return [one for one in self.judged if one.in_core]

    def results(self, dimension: str) -> list[CheckResult]:
        """Of the core."""
        return [result for one in self.core for result in one.results(dimension)]


def status_of(
    ended: EndReason | None, coverage: Coverage, failed: Sequence[str], phrases: Phrases
) -> tuple[Status, str]:
    """The report's status, and the sentence that explains it."""
    match ended:
        case "declined_ai" | "withdrawn" | "technical_failure":
            return ended, phrases.say(f"status_{ended}")
    if failed:
        return "scoring_failed", phrases.say("status_scoring_failed", count=len(failed))
    if ended in ("completed", "time_up") and coverage.asked == coverage.must_ask_total:
        return "complete", phrases.say("status_complete")
    counts = {"asked": coverage.asked, "total": coverage.must_ask_total}
    return "partial", phrases.say("status_partial", **counts)


def _share(case: Case) -> Fraction | None:
    """p over the whole core, or None when too little of it could be judged."""
    must = [one for one in case.core if one.found.question.must_ask] or case.core
    rated = [one for one in must if points_of_results(one.all_results).share is not None]
    if not must or 2 * len(rated) < len(must):
        return None
    asked = {check.dimension for one in case.core for check, _ in one.checks}
    shares: dict[str, Fraction | None] = {
        d: points_of_results(case.results(d)).share for d in DIMENSIONS if d in asked
    }
    return scoring.combine(shares, {d: case.plan.dimension_weights.get(d, 1.0) for d in DIMENSIONS})


def _findings(judged: Iterable[JudgedAnswer], met: scoring.Verdict) -> tuple[Finding, ...]:
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


def _follow_up(case: Case) -> tuple[str, ...]:
    """What a person should still ask or answer."""
    say = case.phrases.say
    questions = [
        say(f"follow_{one.found.state}", question=one.found.question.text)
        for one in case.judged
        if one.scored and one.found.state in ("not_asked", "not_scorable")
    ]
    requirements = [
        say("follow_requirement", text=requirement.text)
        for requirement in case.match.requirements
        if requirement.must_have and requirement.status in ("not_probed", "unclear")
    ]
    replies = [
        say("follow_reply", question=asked.text)
        for asked in case.candidate_questions
        if asked.needs_reply
    ]
    return (*questions, *requirements, *replies)


def _about_answers(case: Case) -> str:
    must = [one.found for one in case.judged if one.found.question.must_ask]
    return case.phrases.say(
        "remark_answers",
        total=len(must),
        answered=sum(found.gradable for found in must),
        declined=sum(found.state == "declined" for found in must),
        not_asked=sum(found.state == "not_asked" for found in must),
        not_scorable=sum(found.state == "not_scorable" for found in must),
    )


def _about_scores(dimensions: Ratings, phrases: Phrases) -> str:
    scores = {d: rating.score for d, rating in dimensions.each() if rating.score is not None}
    if not scores:
        return ""

    def named(score: int) -> str:
        return f"{', '.join(d for d in scores if scores[d] == score)} ({score})"

    high, low = max(scores.values()), min(scores.values())
    return phrases.say("remark_range", high=named(high), low=named(low))


def _about_requirements(match: JobMatch, phrases: Phrases) -> str:
    statuses = [requirement.status for requirement in match.requirements]
    if not statuses:
        return ""
    counts = {name: statuses.count(name) for name in ("met", "partly", "not_met")}
    return phrases.say("remark_requirements", **counts, open=len(statuses) - sum(counts.values()))


def _remark(case: Case, dimensions: Ratings) -> str:
    """A few computed sentences; nothing in them that the report does not show."""
    said = (
        "" if case.status == "complete" else case.status_reason,
        _about_answers(case),
        _about_scores(dimensions, case.phrases),
        _about_requirements(case.match, case.phrases),
        case.phrases.say("remark_rehearsal" if case.rehearsal else "remark_human"),
    )
    return " ".join(sentence for sentence in said if sentence)


def _reason(case: Case, score: int | None) -> str:
    if case.status in UNSCORED:
        return case.status_reason
    if case.status == "technical_failure":
        return case.phrases.say("overall_failure")
    if score is None:
        return case.phrases.say("overall_too_little")
    judged = sum(one.grade is not None for one in case.core)
    return case.phrases.say("overall_score", score=score, judged=judged)


def overall(case: Case) -> Overall:
    """The overall part of the report."""
    empty = case.phrases.say("no_evidence")
    ratings = {d: case.rater.rating(case.results(d), empty) for d in DIMENSIONS}
    dimensions = Ratings.model_validate(ratings)
    share = _share(case) if case.status in ("complete", "partial") else None
    score = None if share is None else scoring.score(share)
    return Overall(
        score=score,
        band=None if score is None else scoring.band(score),
        share=None if share is None else round(float(share), 4),
        reason=_reason(case, score),
        formula=scoring.FORMULA,
        weights={d: case.plan.dimension_weights.get(d, 1.0) for d in DIMENSIONS},
        dimensions=dimensions,
        overall_remark=_remark(case, dimensions),
        strengths=_findings(case.judged, "yes"),
        concerns=_findings(case.judged, "no"),
        follow_up_for_human=_follow_up(case),
    )
