"""The job's requirements and words against what was said: met, missed, not probed or unclear. Pure.

Rules that bind here:

* a requirement is probed by the asked questions that name it; what was not probed is not missing;
* met from two thirds of the decided points, missed below one third, partly between; unclear when
  fewer than half of the points could be decided;
* the points are those of technical skill, problem solving and completeness, for a requirement is
  about what somebody can do; where the questions have none of these, all of their checks count;
* a keyword is a word that was said, and never evidence of a skill.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agent.evidence import Said
from agent.phrases import Phrases
from agent.plan import Check, Dimension, Plan, Requirement
from agent.report_schema import (
    CheckResult,
    Evidence,
    JobMatch,
    KeywordMatch,
    Keywords,
    RequirementResult,
    RequirementStatus,
)
from agent.scoring import Points, add_up, points_of

ABILITY: tuple[Dimension, ...] = ("technical_skill", "problem_solving", "completeness")
MET, MISSED = Fraction(2, 3), Fraction(1, 3)
MAX_EVIDENCE = 5
MAX_EVIDENCE_PER_WORD = 3


@dataclass(frozen=True)
class Probing:
    """One question's part in the ledger."""

    question_id: str
    requirement_ids: tuple[str, ...]
    asked: bool
    checks: tuple[tuple[Check, CheckResult | None], ...]
    """With the result, where the answer was probings."""


def ability_checks(
    probings: Iterable[Probing],
) -> list[tuple[Check, CheckResult | None]]:
    every = [pair for one in probings for pair in one.checks]
    return [pair for pair in every if pair[0].dimension in ABILITY] or every


def _status(points: Points) -> RequirementStatus:
    share = points.share
    if share is None:
        return "unclear"
    return "met" if share >= MET else "not_met" if share < MISSED else "partly"


def _requirement(
    requirement: Requirement, probings: Sequence[Probing], phrases: Phrases
) -> RequirementResult:
    probing = [one for one in probings if one.asked and requirement.id in one.requirement_ids]
    pairs = ability_checks(probing)
    points = add_up(points_of(r.met if r else "unclear", c.points) for c, r in pairs)
    status: RequirementStatus = _status(points) if probing else "not_probed"
    decided = [r for _, r in pairs if r is not None and r.met != "unclear"]
    evidence = tuple(dict.fromkeys(quote for r in decided for quote in r.evidence))
    match status:
        case "not_probed":
            reason = phrases.say("requirement_not_probed")
        case "unclear":
            reason = phrases.say("requirement_unclear")
        case _:
            reason = phrases.say(
                "requirement_points",
                met=f"{float(points.met):g}",
                decided=f"{float(points.decided):g}",
            )
    return RequirementResult(
        requirement_id=requirement.id,
        text=requirement.text,
        must_have=requirement.must_have,
        weight=requirement.weight,
        status=status,
        reason=reason,
        question_ids=tuple(one.question_id for one in probing),
        evidence=evidence[:MAX_EVIDENCE],
    )


def match_of_probed(results: Iterable[RequirementResult]) -> float | None:
    """By weight: met is 1, partly a half; only over what could be decided."""
    worth = {"met": 1.0, "partly": 0.5, "not_met": 0.0}
    weighed = [(r.weight, worth[r.status]) for r in results if r.status in worth]
    whole = sum(weight for weight, _ in weighed)
    return round(sum(weight * met for weight, met in weighed) / whole, 4) if whole else None


def keyword_spans(keyword: str, text: str) -> list[tuple[int, int]]:
    """Where the keyword stands as a word of its own; Chinese needs no gaps around it."""
    words = r"\s+".join(re.escape(word) for word in keyword.split())
    before = r"(?<![A-Za-z0-9_])" if keyword[:1].isascii() and keyword[:1].isalnum() else ""
    after = r"(?![A-Za-z0-9_])" if keyword[-1:].isascii() and keyword[-1:].isalnum() else ""
    found = re.finditer(before + words + after, text, re.IGNORECASE)
    return [match.span() for match in found]


Cite = Callable[[Said, int, int], Evidence]
"""Evidence for the letters from start to end of an utterance."""


def _said(keyword: str, candidate: Iterable[Said], cite: Cite) -> KeywordMatch | None:
    evidence = [cite(one, *span) for one in candidate for span in keyword_spans(keyword, one.text)]
    if not evidence:
        return None
    return KeywordMatch(keyword=keyword, evidence=tuple(evidence[:MAX_EVIDENCE_PER_WORD]))


def _keywords(plan: Plan, probed: set[str], candidate: Sequence[Said], cite: Cite) -> Keywords:
    wanted: dict[str, bool] = {}
    for requirement in plan.requirements:
        for word in requirement.keywords:
            wanted[word] = wanted.get(word, False) or requirement.id in probed
    known = {word.casefold() for word in wanted}
    others = dict.fromkeys(term for term in plan.terms if term.casefold() not in known)
    matches = {word: _said(word, candidate, cite) for word in (*wanted, *others)}
    return Keywords(
        matched=tuple(m for word in wanted if (m := matches[word])),
        missing=tuple(word for word, asked in wanted.items() if asked and not matches[word]),
        not_probed=tuple(word for word, asked in wanted.items() if not asked and not matches[word]),
        extra=tuple(m for word in others if (m := matches[word])),
    )


def job_match(
    plan: Plan,
    probings: Sequence[Probing],
    candidate: Sequence[Said],
    cite: Cite,
    phrases: Phrases,
) -> JobMatch:
    results = tuple(_requirement(r, probings, phrases) for r in plan.requirements)
    probed = {r.requirement_id for r in results if r.status != "not_probed"}
    return JobMatch(
        requirements=results,
        keywords=_keywords(plan, probed, candidate, cite),
        match_of_probed=match_of_probed(results),
    )
