"""Templates, words, modules and the stylesheet of the pages. No build step.

The words of a page stand in `words/<language>/<file>.toml` and are named `file.key`; a test holds
the languages to the same keys. Nothing here knows of requests.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from string import Template

ROOT = Path(__file__).parent
STATIC = ROOT / "static"
TEMPLATES = ROOT / "templates"
LANGUAGES = ("en", "zh")


@cache
def words(language: str) -> Mapping[str, str]:
    """Every word of the pages in a language, by `file.key`."""
    files = sorted((ROOT / "words" / language).glob("*.toml"))
    return dict(
        found
        for file in files
        for found in _flat(file.stem, tomllib.loads(file.read_text(encoding="utf-8")))
    )


def say(language: str, key: str, **facts: object) -> str:
    """A sentence with its `$facts` filled in; raises `KeyError` for one that is missing."""
    return Template(words(language)[key]).substitute(facts)


def section(language: str, prefix: str) -> dict[str, str]:
    """The sentences under a prefix, for a page's own script: keys without the prefix."""
    return {
        key.removeprefix(f"{prefix}."): text
        for key, text in words(language).items()
        if key.startswith(f"{prefix}.")
    }


@cache
def digest() -> str:
    """Stands for all that is in `static`: as long as it is the same, browsers may keep their
    copies."""
    made = hashlib.sha256()
    for file in sorted(STATIC.rglob("*")):
        if file.is_file():
            made.update(file.relative_to(STATIC).as_posix().encode())
            made.update(file.read_bytes())
    return made.hexdigest()[:12]


def static_url(name: str) -> str:
    """The address of a file in `static`."""
    return f"/static/{digest()}/{name}"


def _flat(prefix: str, table: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}.{key}", value)
        else:
            yield f"{prefix}.{key}", str(value)
