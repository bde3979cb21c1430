"""The lines of `prompts/<language>/phone.md`, filled in."""

from __future__ import annotations

from string import Template

import prompts
from agent.dictation import to_write_down
from agent.plan import Plan
from server.phone.pins import LENGTH
from server.phone.reception import DISCLOSURE

Language = str


def line(name: str, language: Language, plan: Plan | None = None) -> str:
    """What is said. `plan` is that of the caller's interview, once it is known."""
    if name == DISCLOSURE and plan is not None:
        return plan.policy.disclosure
    contact = to_write_down(plan.policy.escalation_contact, language) if plan else ""
    text = prompts.sections(language, "phone")[name]
    return Template(text).safe_substitute(length=LENGTH, contact=contact)


def ready(language: Language) -> list[str]:
    """Lines that can be rendered before anybody calls."""
    names = prompts.sections(language, "phone")
    return [line(name, language) for name in names if "$contact" not in names[name]]
