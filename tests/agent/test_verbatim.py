"""The lines that are rendered ahead."""

from __future__ import annotations

from pathlib import Path

import pytest

import prompts
from agent import planfile
from agent.plan import Plan
from agent.verbatim import verbatim
from agent.wording import Wording


def test_the_plans_lines_come_first_in_the_order_of_need(plan: Plan) -> None:
    lines = verbatim(plan, {})
    assert lines[:3] == [plan.policy.disclosure, plan.policy.greeting, "What about weather?"]
    assert lines[-1] == plan.policy.closing_line
    asked = [lines.index(question.text) for question in plan.questions()]
    assert asked == sorted(asked)


def test_all_that_code_says_word_for_word_is_there_once(plan: Plan) -> None:
    stock = prompts.lines(plan.language)
    lines = verbatim(plan, stock)
    assert len(lines) == len(set(lines))
    assert "" not in lines
    for question in plan.questions():
        wanted = {question.text, question.rephrase, *(probe.text for probe in question.probes)}
        assert wanted <= set(lines)
    assert {entry.answer for entry in plan.faq} <= set(lines)
    assert set(Wording(plan, stock).stock["filler"]) <= set(lines)


def test_a_line_with_facts_to_fill_in_is_not_rendered(plan: Plan) -> None:
    stock = {"answer_time_left": ("About $minutes minutes.",), "filler": ("One moment.",)}
    assert verbatim(plan, stock)[-1] == "One moment."
    assert not any("$" in line for line in verbatim(plan, stock))


@pytest.mark.parametrize("name", ["backend_engineer_zh", "rehearsal_zh"])
def test_a_chinese_candidate_is_spoken_to_in_one_form(name: str) -> None:
    """您 throughout; it has no plural, so that 你们 stays where the candidate asks the company."""
    plan = planfile.load(Path(prompts.__file__).parent / "plans" / f"{name}.yaml")
    stock = [line for wordings in prompts.lines("zh").values() for line in wordings]
    said = [*verbatim(plan, {}), *stock]
    assert [line for line in said if "你" in line] == []
