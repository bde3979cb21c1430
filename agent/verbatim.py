"""Every line of a plan that is said word for word, so that it can be rendered ahead. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from agent.plan import Plan


def verbatim(plan: Plan, stock: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The plan's lines in the order in which they may be needed, then the stock lines without
    facts.
    """
    lines = [*_plan_lines(plan), *(line for wordings in stock.values() for line in wordings)]
    return [line for line in dict.fromkeys(lines) if line and "$" not in line]


def _plan_lines(plan: Plan) -> Iterator[str]:
    policy = plan.policy
    yield policy.disclosure
    yield policy.greeting
    for stage in plan.stages:
        yield stage.entry_line
        for question in stage.questions:
            yield question.text
            yield from (probe.text for probe in question.probes)
            yield question.rephrase
    yield from (entry.answer for entry in plan.faq)
    yield policy.closing_line
