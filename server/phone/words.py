"""The lines of `prompts/<language>/phone.md`, filled in."""

from __future__ import annotations

from string import Template

import prompts
from agent.dictation import spelled, to_write_down
from agent.plan import Plan
from server.phone.acts import DISCLOSURE
from server.phone.pins import LENGTH

Language = str


def line(name: str, language: Language, plan: Plan | None = None) -> str:
    """What is said. `plan` is that of the caller's interview, once it is known."""
    if name == DISCLOSURE and plan is not None:
        return spelled(plan.policy.disclosure, language)
    text = prompts.sections(language, "phone")[name]
    return Template(text).safe_substitute(_facts(plan, language), length=LENGTH)


def _facts(plan: Plan | None, language: Language) -> dict[str, str]:
    if plan is None:
        return {}
    consent = plan.policy.consent
    return {
        "contact": to_write_down(plan.policy.escalation_contact, language),
        "consent": spelled(consent.text, language),
        "recording": spelled(consent.recording_text, language),
    }


def ready(language: Language) -> list[str]:
    """Lines that can be rendered before anybody calls."""
    said = [line(name, language) for name in prompts.sections(language, "phone")]
    return [text for text in said if "$" not in text]
