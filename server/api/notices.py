"""Short sentences that a candidate's page shows, in the interview's language: those of
`prompts/<language>/notices.md`.
"""

from __future__ import annotations

import prompts
from agent.plan import Language
from server.api.models import Notice


def notice(code: str, language: Language) -> Notice:
    """Raises `KeyError` for a code without words."""
    return Notice(code=code, text=prompts.sections(language, "notices")[code])
