"""What may be said of one answer: its checks with evidence, and its ratings by code. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from agent import scoring
from agent.answers import MIN_CONFIDENCE, AnswerFound, current_grade, is_graded_stage
from agent.conduct import share
from agent.evidence import Said, find_quote, time_at
from agent.grades import QuestionGrade, checks_of
from agent.guard import addresses_the_grader
from agent.phrases import Phrases
from agent.plan import DIMENSIONS, Check, Dimension, Plan
from agent.report_schema import (
    Answer,
    AnswerRating,
    AnswerRatings,
    CheckResult,
    Evidence,
    Points,
    Rating,
)

MAX_EVIDENCE = 5


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer with what may be said about it."""

    found: AnswerFound
    scored: bool
    in_core: bool
    grade: QuestionGrade | None
    due: bool
    """It should have been graded, if it could be."""
    checks: tuple[tuple[Check, CheckResult | None], ...]

    @property
    def ungraded(self) -> bool:
        """It could be judged, and was not."""
        return (
            self.due
            and self.scored
            and self.found.gradable
            and bool(self.checks)
            and (self.grade is None or self.grade.state != "graded")
        )

    @property
    def all_results(self) -> list[CheckResult]:
        return [result for _, result in self.checks if result is not None]

    def results(self, dimension: str) -> list[CheckResult]:
        return [r for check, r in self.checks if r is not None and check.dimension == dimension]


class Clock:
    """Evidence and times on the interview's own clock."""

    def __init__(self, start: float) -> None:
        self._start = start

    def seconds(self, at: float) -> float:
        return round(at - self._start, 3)

    def cite(self, said: Said, start: int, end: int) -> Evidence:
        t0 = self.seconds(time_at(said, start))
        return Evidence(utterance_id=said.id, quote=said.text[start:end], t0=t0)


def _result(
    check: Check, grade: QuestionGrade, said: Mapping[str, Said], clock: Clock
) -> CheckResult:
    """The grader's finding, its quotes looked up again: a file is trusted no more than a model."""
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


def judge(
    plan: Plan,
    found: AnswerFound,
    grades: Mapping[str, QuestionGrade],
    clock: Clock,
    *,
    due: bool,
) -> JudgedAnswer:
    """An answer with its grade, if the grade is of exactly these words."""
    stage = plan.stage_of(found.question.id)
    grade = current_grade(found, grades) if found.gradable else None
    checks = checks_of(plan, found.question) if stage.scored else ()
    said = {one.id: one for one in found.said}
    judged = grade is not None and grade.state == "graded"
    return JudgedAnswer(
        found=found,
        scored=stage.scored,
        in_core=stage.kind != "personal" and is_graded_stage(plan, found.question),
        grade=grade,
        due=due,
        checks=tuple(
            (check, _result(check, grade, said, clock) if grade and judged else None)
            for check in checks
        ),
    )


def points_of_results(results: Iterable[CheckResult]) -> scoring.Points:
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


class Rater:
    """Ratings with their reasons. `withheld`: why nothing may have a number, where that is so."""

    def __init__(self, phrases: Phrases, withheld: str | None) -> None:
        self._phrases = phrases
        self._withheld = withheld

    def none(self, why: str) -> str:
        return self._phrases.say("not_rated", why=why)

    def rating(self, results: Sequence[CheckResult], empty: str, reason: str = "") -> Rating:
        points = points_of_results(results)
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

    def answer(self, judged: JudgedAnswer) -> AnswerRatings:
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

    def _why_empty(self, judged: JudgedAnswer, dimension: Dimension) -> str:
        if not judged.scored:
            return self._phrases.say("not_scored_stage")
        if not judged.found.gradable:
            return _state_reason(judged.found, self._phrases)
        if not judged.due and self._withheld is not None:
            return self._withheld
        if judged.ungraded and any(check.dimension == dimension for check, _ in judged.checks):
            return self._phrases.say("not_graded")
        return self._phrases.say("no_checks")


def _state_reason(found: AnswerFound, phrases: Phrases) -> str:
    facts = {"confidence": f"{found.confidence or 0:.2f}", "minimum": f"{MIN_CONFIDENCE:.2f}"}
    return phrases.say(found.cause, **facts)


def answer_entry(plan: Plan, judged: JudgedAnswer, rater: Rater, phrases: Phrases) -> Answer:
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
        confidence=None if confidence is None else share(confidence),
        ratings=rater.answer(judged),
        flags=tuple(flags),
    )
