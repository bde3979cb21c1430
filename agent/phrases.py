"""The sentences that code itself writes into a report: `prompts/<language>/remark.md`, with facts
filled in.
"""

from __future__ import annotations

import re
from functools import cache
from string import Template

import prompts
from agent.plan import Language


@cache
def _phrases(language: Language) -> dict[str, Template]:
    found: dict[str, Template] = {}
    for block in re.split(r"(?m)^## ", prompts.source(language, "remark"))[1:]:
        name, _, body = block.partition("\n")
        found[name.strip()] = Template(" ".join(body.split()))
    return found


class Phrases:
    """Every sentence of one language; a missing name or fact is a defect and raises `KeyError`."""

    def __init__(self, language: Language) -> None:
        self._of = _phrases(language)

    def say(self, name: str, **facts: object) -> str:
        return self._of[name].substitute(facts)
