"""What a well-formed plan can still get wrong: references, order, budgets, coverage, language.

| rule | because |
|---|---|
| ids are unique and references known | a report could not say what it speaks of |
| practice first, candidate's questions and closing last | the machine walks the plan's order |
| a scored must-ask exists, each scored question has a rubric or checks | else no score |
| probes suffice for `max_probes`, and can be asked at all | the budget would promise too much |
| each weighted dimension is judged somewhere | its score would always be empty |
| spoken words are in the plan's language and ask one thing | they are spoken as is |
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.moves import FREE_PROBE, GENERAL_ANSWERS
from agent.plan import DIMENSIONS, Plan, Question, Stage

Path = tuple[str | int, ...]
_CHINESE = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True)
class Problem:
    path: Path
    """Where, as keys and indexes from the plan's root."""
    what: str
    """What is wrong and what to do about it."""


class _Named(Protocol):
    @property
    def id(self) -> str: ...


def problems(plan: Plan) -> tuple[Problem, ...]:
    """Everything that is wrong with a plan, in no promised order."""
    found = [
        *_duplicates(plan),
        *_references(plan),
        *_rubrics(plan),
        *_weights(plan),
        *_stages(plan),
        *_limits(plan),
        *_coverage(plan),
        *_language(plan),
    ]
    for path, stage, question in _questions(plan):
        found += _question(path, stage, question)
    return tuple(found)


def _questions(plan: Plan) -> Iterator[tuple[Path, Stage, Question]]:
    for i, stage in enumerate(plan.stages):
        for j, question in enumerate(stage.questions):
            yield ("stages", i, "questions", j), stage, question


def _twice(path: Path, items: Iterable[_Named], kind: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.id in seen:
            yield Problem((*path, index, "id"), f"a second {kind} {item.id!r}; give it another id")
        seen.add(item.id)


def _duplicates(plan: Plan) -> Iterator[Problem]:
    for key, items in (
        ("stages", plan.stages),
        ("requirements", plan.requirements),
        ("competencies", plan.competencies),
        ("rubrics", plan.rubrics),
        ("faq", plan.faq),
    ):
        yield from _twice((key,), items, key)
    seen: set[str] = set()
    for path, _, question in _questions(plan):
        if question.id in seen:
            what = f"a second question {question.id!r}; give it another id"
            yield Problem((*path, "id"), what)
        seen.add(question.id)
        yield from _twice((*path, "probes"), question.probes, "probe")
        yield from _twice((*path, "checks"), question.checks, "check")
    for index, faq in enumerate(plan.faq):
        if faq.id in GENERAL_ANSWERS:
            what = f"{faq.id!r} is the name of a general answer; give it another id"
            yield Problem(("faq", index, "id"), what)


def _unknown(path: Path, ids: Sequence[str], known: Iterable[_Named], kind: str) -> list[Problem]:
    names = [item.id for item in known]
    listed = ", ".join(names) or "there are none"
    return [
        Problem((*path, index), f"no {kind} {name!r}; use one of: {listed}")
        for index, name in enumerate(ids)
        if name not in names
    ]


def _references(plan: Plan) -> Iterator[Problem]:
    for index, competency in enumerate(plan.competencies):
        path: Path = ("competencies", index, "requirement_ids")
        yield from _unknown(path, competency.requirement_ids, plan.requirements, "requirement")
    for where, _, question in _questions(plan):
        for key, ids, known, kind in (
            ("competency_ids", question.competency_ids, plan.competencies, "competency"),
            ("requirement_ids", question.requirement_ids, plan.requirements, "requirement"),
            ("rubric_ids", question.rubric_ids, plan.rubrics, "rubric"),
        ):
            yield from _unknown((*where, key), ids, known, kind)
    assessed = {name for _, _, question in _questions(plan) for name in question.requirement_ids}
    for index, requirement in enumerate(plan.requirements):
        if requirement.must_have and requirement.id not in assessed:
            what = "a must-have that no question assesses; name it in a question's requirement_ids"
            yield Problem(("requirements", index), what)


def _rubrics(plan: Plan) -> Iterator[Problem]:
    used = {name for _, _, question in _questions(plan) for name in question.rubric_ids}
    for index, rubric in enumerate(plan.rubrics):
        bands = [anchor.band for anchor in rubric.anchors]
        if sorted(bands) != [1, 2, 3, 4, 5]:
            what = f"anchors for bands {bands}; describe each band from 1 to 5 once"
            yield Problem(("rubrics", index, "anchors"), what)
        if rubric.id not in used:
            what = f"no question uses rubric {rubric.id!r}; name it in rubric_ids or remove it"
            yield Problem(("rubrics", index), what)


def _weights(plan: Plan) -> Iterator[Problem]:
    for dimension, weight in plan.dimension_weights.items():
        if not math.isfinite(weight) or weight < 0:
            what = f"weight {weight}; write a number from 0 up"
            yield Problem(("dimension_weights", dimension), what)
    if all(plan.dimension_weights.get(dimension, 1.0) == 0 for dimension in DIMENSIONS):
        yield Problem(("dimension_weights",), "all weights are 0; give at least one a weight")


_LAST = ("candidate_questions", "closing")


def _stages(plan: Plan) -> Iterator[Problem]:
    kinds: list[str] = [stage.kind for stage in plan.stages]
    for kind in ("practice", *_LAST):
        if kinds.count(kind) > 1:
            yield Problem(("stages",), f"more than one {kind} stage; keep one")
    if kinds[-1] != "closing":
        yield Problem(("stages",), "the last stage has to be of kind closing; add or move it")
    for index, stage in enumerate(plan.stages):
        yield from _stage(("stages", index), stage, kinds[:index], kinds[index + 1 :])
    scored = [stage for stage in plan.stages if stage.scored]
    if not any(question.must_ask for stage in scored for question in stage.questions):
        yield Problem(("stages",), "no scored question must be asked; set must_ask on one")


def _stage(
    path: Path, stage: Stage, before: Sequence[str], after: Sequence[str]
) -> Iterator[Problem]:
    if stage.kind == "practice" and before:
        yield Problem(path, "practice comes first; move this stage to the top")
    if stage.kind == "candidate_questions" and any(kind not in _LAST for kind in after):
        yield Problem(path, "the candidate's questions come just before the closing; move it down")
    if stage.kind == "closing" and stage.questions:
        what = "the closing has no questions, its words are policy.closing_line; remove them"
        yield Problem((*path, "questions"), what)
    if stage.kind != "closing" and not stage.questions:
        yield Problem(path, "a stage without questions; add one or remove the stage")


def _question(path: Path, stage: Stage, question: Question) -> Iterator[Problem]:
    if stage.scored and not (question.rubric_ids or question.checks):
        yield Problem(path, "scored, but without a rubric or checks; add rubric_ids or checks")
    yield from _probes(path, question)
    if question.soft_limit_s > question.hard_limit_s:
        what = f"is more than hard_limit_s ({question.hard_limit_s:g}); make it less"
        yield Problem((*path, "soft_limit_s"), what)
    for key, text in (("text", question.text), ("rephrase", question.rephrase)):
        yield from _one_question((*path, key), text)


def _probes(path: Path, question: Question) -> Iterator[Problem]:
    available = len(question.probes) + question.free_probe
    if question.max_probes > available:
        what = (
            f"allows {question.max_probes}, but {available} can be asked; add probes or allow less"
        )
        yield Problem((*path, "max_probes"), what)
    if available and not question.max_probes:
        yield Problem((*path, "max_probes"), "is 0, so the probes are never asked; allow one")
    for index, probe in enumerate(question.probes):
        if probe.id == FREE_PROBE:
            what = f"{FREE_PROBE!r} names the model's own follow-up; give it another id"
            yield Problem((*path, "probes", index, "id"), what)
        yield from _one_question((*path, "probes", index, "text"), probe.text)


def _one_question(path: Path, text: str) -> Iterator[Problem]:
    if len(re.findall(r"[?？]", text)) > 1:
        yield Problem(path, "asks more than one question; ask one, and make the rest probes")


def _limits(plan: Plan) -> Iterator[Problem]:
    policy = plan.policy
    if policy.wrap_up_s >= policy.total_time_s:
        what = f"is not less than total_time_s ({policy.total_time_s:g}); make it less"
        yield Problem(("policy", "wrap_up_s"), what)
    ladder = policy.silence_ladder_s
    if not 0 < ladder[0] < ladder[1] < ladder[2]:
        what = "the three steps of silence have to grow, in seconds from the same moment"
        yield Problem(("policy", "silence_ladder_s"), what)
    needed = 2 * sum(1 for _ in plan.questions())
    if policy.max_turns < needed:
        what = f"is too few for these questions; allow at least {needed}"
        yield Problem(("policy", "max_turns"), what)


def _coverage(plan: Plan) -> Iterator[Problem]:
    rubrics = {rubric.id: rubric for rubric in plan.rubrics}
    judged: set[str] = set()
    for _, stage, question in _questions(plan):
        if not stage.scored:
            continue
        named = [rubrics[name] for name in question.rubric_ids if name in rubrics]
        judged |= {rubric.dimension for rubric in named}
        judged |= {check.dimension for check in question.checks}
        judged |= {check.dimension for rubric in named for check in rubric.checks}
    for dimension in DIMENSIONS:
        if plan.dimension_weights.get(dimension, 1.0) > 0 and dimension not in judged:
            what = f"nothing judges {dimension}; add a rubric or check for it, or weigh it 0"
            yield Problem(("dimension_weights",), what)


def _spoken(plan: Plan) -> Iterator[tuple[Path, str]]:
    """Every text that is said aloud or shown before the interview."""
    for key in ("disclosure", "greeting", "closing_line"):
        yield ("policy", key), getattr(plan.policy, key)
    yield ("policy", "consent", "text"), plan.policy.consent.text
    yield ("policy", "consent", "recording_text"), plan.policy.consent.recording_text
    for index, stage in enumerate(plan.stages):
        if stage.entry_line:
            yield ("stages", index, "entry_line"), stage.entry_line
    for path, _, question in _questions(plan):
        yield (*path, "text"), question.text
        yield (*path, "rephrase"), question.rephrase
        for index, probe in enumerate(question.probes):
            yield (*path, "probes", index, "text"), probe.text
    for index, faq in enumerate(plan.faq):
        yield ("faq", index, "answer"), faq.answer


def _language(plan: Plan) -> Iterator[Problem]:
    for path, text in _spoken(plan):
        if bool(_CHINESE.search(text)) != (plan.language == "zh"):
            yield Problem(path, f"is not in the plan's language ({plan.language}); translate it")
