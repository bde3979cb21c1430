"""Every word a model is told or a candidate is read: Markdown files by language, plans as YAML."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from string import Template

Lines = dict[str, tuple[str, ...]]
"""Stock lines by name; several wordings are used in turn."""


@cache
def source(language: str, name: str) -> str:
    """The Markdown file `name` of a language, as it stands (the report records its hash)."""
    return (files(__name__) / language / f"{name}.md").read_text(encoding="utf-8")


def text(language: str, name: str, **facts: str) -> str:
    """A prompt with its `$facts` filled in; raises `KeyError` for a fact that is missing."""
    return Template(source(language, name)).substitute(facts).strip()


@cache
def lines(language: str) -> Lines:
    """The stock lines of `lines.md`: a `## name` heading, then one wording a bullet."""
    found: Lines = {}
    for block in re.split(r"(?m)^## ", source(language, "lines"))[1:]:
        name, _, body = block.partition("\n")
        found[name.strip()] = tuple(re.findall(r"(?m)^- (.+?)\s*$", body))
    return found


@cache
def sections(language: str, name: str) -> dict[str, str]:
    """A file's sections: the text under each `## name`."""
    parts = re.split(r"(?m)^## (.+)\n", source(language, name))
    return {parts[i].strip(): parts[i + 1].strip() for i in range(1, len(parts), 2)}


@cache
def hashes(language: str) -> dict[str, str]:
    """SHA-256 of each of a language's files, for a report's provenance."""
    folder = files(__name__) / language
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".md"))
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
