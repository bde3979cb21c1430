"""The contract is held against a server that was started as docs/model.md says."""

from __future__ import annotations

import re
import shlex

import environment
import served


def flags(words: list[str]) -> set[str]:
    """Each flag with its value, however the two are written together."""
    text = "\n".join(words)
    return set(re.sub(r"\n(?!--)", "=", text).split("\n"))


def documented() -> set[str]:
    text = (environment.ROOT / "docs" / "model.md").read_text(encoding="utf-8")
    line = re.search(r"vllm serve \S+ \\\n((?:.+\\\n)*.+)", text)
    assert line, "no serve line"
    return flags(shlex.split(line[1].replace("\\\n", " ")))


def test_the_documented_serve_line_is_what_the_contract_is_held_against() -> None:
    assert documented() == flags(served.OPTIONS) | {"--host=127.0.0.1", "--port=8000"}
