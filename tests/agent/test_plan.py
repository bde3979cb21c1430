from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from calls import anchors
from pydantic import ValidationError

from agent.plan import DIMENSIONS, Plan, Stage
from agent.plancheck import problems

Change = Callable[[dict[str, Any]], None]


def whole_plan() -> dict[str, Any]:
    """A plan without a problem, as plain data."""
    check = {"id": "c", "statement": "Says so.", "dimension": "logic"}
    question = {
        "id": "work",
        "text": "What did you build?",
        "rephrase": "Which thing did you build?",
        "competency_ids": ["craft"],
        "requirement_ids": ["python"],
        "rubric_ids": ["skill"],
        "checks": [check],
        "probes": [{"id": "why", "trigger": "depth", "text": "Why that?"}],
    }
    others = [{**check, "id": name, "dimension": name} for name in DIMENSIONS]
    return {
        "plan_id": "whole",
        "version": "1",
        "language": "en",
        "title": "Whole",
        "job": {"title": "Engineer", "level": "mid"},
        "requirements": [{"id": "python", "text": "Python", "must_have": True}],
        "competencies": [
            {"id": "craft", "name": "Craft", "definition": "Builds.", "requirement_ids": ["python"]}
        ],
        "rubrics": [
            {
                "id": "skill",
                "dimension": "technical_skill",
                "anchors": anchors(),
                "checks": others,
            }
        ],
        "stages": [
            {
                "id": "practice",
                "kind": "practice",
                "title": "Practice",
                "scored": False,
                "questions": [
                    {"id": "day", "text": "How is it?", "rephrase": "How?", "max_probes": 0}
                ],
            },
            {"id": "main", "kind": "technical", "title": "Main", "questions": [question]},
            {
                "id": "yours",
                "kind": "candidate_questions",
                "title": "Yours",
                "scored": False,
                "questions": [{"id": "ask", "text": "Yes?", "rephrase": "So?", "max_probes": 0}],
            },
            {"id": "closing", "kind": "closing", "title": "Closing", "scored": False},
        ],
        "faq": [{"id": "pay", "question": "Pay?", "answer": "See the advertisement."}],
        "policy": {
            "disclosure": "I am an AI.",
            "disclosure_version": "1",
            "greeting": "Welcome.",
            "closing_line": "Goodbye.",
            "consent": {"version": "1", "text": "I agree.", "recording_text": "I agree."},
            "escalation_contact": "hr@example.org",
        },
    }


def work(plan: dict[str, Any]) -> dict[str, Any]:
    question: dict[str, Any] = plan["stages"][1]["questions"][0]
    return question


def complaints(plan: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    return [(problem.path, problem.what) for problem in problems(Plan.model_validate(plan))]


def test_a_whole_plan_has_no_problem() -> None:
    assert complaints(whole_plan()) == []


WRONG: list[tuple[str, Change, tuple[str | int, ...], str]] = [
    (
        "an unknown rubric",
        lambda p: work(p).update(rubric_ids=["skill", "skil"]),
        ("stages", 1, "questions", 0, "rubric_ids", 1),
        "use one of: skill",
    ),
    (
        "an unknown competency",
        lambda p: work(p).update(competency_ids=["art"]),
        ("stages", 1, "questions", 0, "competency_ids", 0),
        "no competency 'art'",
    ),
    (
        "an unknown requirement of a competency",
        lambda p: p["competencies"][0].update(requirement_ids=["java"]),
        ("competencies", 0, "requirement_ids", 0),
        "no requirement 'java'",
    ),
    (
        "a must-have that nobody asks about",
        lambda p: work(p).update(requirement_ids=[]),
        ("requirements", 0),
        "no question assesses",
    ),
    (
        "two questions of one id",
        lambda p: p["stages"][2]["questions"][0].update(id="work"),
        ("stages", 2, "questions", 0, "id"),
        "second question 'work'",
    ),
    (
        "two probes of one id",
        lambda p: work(p).update(probes=work(p)["probes"] * 2),
        ("stages", 1, "questions", 0, "probes", 1, "id"),
        "second probe 'why'",
    ),
    (
        "two stages of one id",
        lambda p: p["stages"][2].update(id="main"),
        ("stages", 2, "id"),
        "second stages 'main'",
    ),
    (
        "a FAQ entry with the name of a general answer",
        lambda p: p["faq"][0].update(id="pause"),
        ("faq", 0, "id"),
        "general answer",
    ),
    (
        "a probe with the name of the free one",
        lambda p: work(p)["probes"][0].update(id="free"),
        ("stages", 1, "questions", 0, "probes", 0, "id"),
        "own follow-up",
    ),
    (
        "fewer probes than the budget",
        lambda p: work(p).update(max_probes=2),
        ("stages", 1, "questions", 0, "max_probes"),
        "1 can be asked",
    ),
    (
        "probes that can never be asked",
        lambda p: work(p).update(max_probes=0),
        ("stages", 1, "questions", 0, "max_probes"),
        "never asked",
    ),
    (
        "two questions in one",
        lambda p: work(p).update(text="What did you build? And why?"),
        ("stages", 1, "questions", 0, "text"),
        "more than one question",
    ),
    (
        "a scored question that nothing judges",
        lambda p: p["stages"][1]["questions"].append(
            {"id": "bare", "text": "So?", "rephrase": "So?", "max_probes": 0}
        ),
        ("stages", 1, "questions", 1),
        "without a rubric or checks",
    ),
    (
        "no must-ask",
        lambda p: work(p).update(must_ask=False),
        ("stages",),
        "must be asked",
    ),
    (
        "a closing that is not last",
        lambda p: p["stages"].insert(0, p["stages"].pop()),
        ("stages",),
        "last stage",
    ),
    (
        "practice after the start",
        lambda p: p["stages"].insert(1, p["stages"].pop(0)),
        ("stages", 1),
        "practice comes first",
    ),
    (
        "the candidate's questions before the interview's",
        lambda p: p["stages"].insert(1, p["stages"].pop(2)),
        ("stages", 1),
        "just before the closing",
    ),
    (
        "a stage without questions",
        lambda p: p["stages"][2].update(questions=[]),
        ("stages", 2),
        "without questions",
    ),
    (
        "a closing with questions",
        lambda p: p["stages"][3].update(
            questions=[{"id": "last", "text": "So?", "rephrase": "So?", "max_probes": 0}]
        ),
        ("stages", 3, "questions"),
        "closing_line",
    ),
    (
        "a rubric that nobody uses",
        lambda p: p["rubrics"].append({**p["rubrics"][0], "id": "spare"}),
        ("rubrics", 1),
        "no question uses",
    ),
    (
        "a band described twice",
        lambda p: p["rubrics"][0]["anchors"][4].update(band=4),
        ("rubrics", 0, "anchors"),
        "each band from 1 to 5",
    ),
    (
        "a dimension that nothing judges",
        lambda p: p["rubrics"][0]["checks"].pop(),
        ("dimension_weights",),
        "nothing judges relevance",
    ),
    (
        "a weight below nothing",
        lambda p: p.update(dimension_weights={"clarity": -1}),
        ("dimension_weights", "clarity"),
        "from 0 up",
    ),
    (
        "no weight at all",
        lambda p: p.update(dimension_weights=dict.fromkeys(DIMENSIONS, 0)),
        ("dimension_weights",),
        "all weights are 0",
    ),
    (
        "a wrap-up as long as the interview",
        lambda p: p["policy"].update(wrap_up_s=1800),
        ("policy", "wrap_up_s"),
        "not less",
    ),
    (
        "a soft limit behind the hard one",
        lambda p: work(p).update(soft_limit_s=300),
        ("stages", 1, "questions", 0, "soft_limit_s"),
        "hard_limit_s",
    ),
    (
        "a ladder that goes down",
        lambda p: p["policy"].update(silence_ladder_s=[8, 20, 15]),
        ("policy", "silence_ladder_s"),
        "have to grow",
    ),
    (
        "too few turns",
        lambda p: p["policy"].update(max_turns=5),
        ("policy", "max_turns"),
        "at least 6",
    ),
    (
        "a question in another language",
        lambda p: work(p).update(rephrase="你做过什么？"),
        ("stages", 1, "questions", 0, "rephrase"),
        "language (en)",
    ),
]


@pytest.mark.parametrize(
    ("change", "path", "words"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_what_is_wrong_is_found_where_it_is(
    change: Change, path: tuple[str | int, ...], words: str
) -> None:
    plan = whole_plan()
    change(plan)
    found = complaints(plan)
    assert any(where == path and words in what for where, what in found), found


def test_a_dimension_of_weight_0_needs_no_judge() -> None:
    plan = whole_plan()
    plan["rubrics"][0]["checks"].pop()
    plan["dimension_weights"] = {"relevance": 0}
    assert complaints(plan) == []


def test_every_problem_is_named_at_once() -> None:
    plan = whole_plan()
    work(plan).update(rubric_ids=["x"], competency_ids=["y"], max_probes=3)
    assert len(complaints(plan)) >= 3


@pytest.mark.parametrize("kind", ["practice", "candidate_questions", "closing"])
def test_practice_and_the_end_are_never_scored(kind: str) -> None:
    with pytest.raises(ValidationError, match="cannot be scored"):
        Stage.model_validate({"id": "a", "kind": kind, "title": "A", "scored": True})


def test_a_changed_word_changes_the_hash() -> None:
    plan = whole_plan()
    before = Plan.model_validate(plan).hash
    plan["policy"]["greeting"] = "Welcome!"
    assert Plan.model_validate(plan).hash != before
    assert Plan.model_validate(whole_plan()).hash == before


def test_practice_and_the_candidates_own_block_are_not_counted_as_questions() -> None:
    plan = Plan.model_validate(whole_plan())
    assert [question.id for question in plan.own_questions()] == ["work"]
    assert [question.id for question in plan.practice_questions()] == ["day"]


def test_a_question_and_its_stage_are_found_by_id() -> None:
    plan = Plan.model_validate(whole_plan())
    assert plan.question("work").text == "What did you build?"
    assert plan.stage_of("work").id == "main"
    with pytest.raises(KeyError):
        plan.question("nothing")
    with pytest.raises(KeyError):
        plan.stage_of("nothing")
