"""A candidate's script from a YAML file; what is wrong with it is said with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from server.rehearsal.script import Script


class BadAnswers(ValueError):
    """The file of answers cannot be used; the message names the lines."""


def load(path: Path) -> Script:
    """Raises `BadAnswers`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadAnswers(f"{path} cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, name: str = "answers") -> Script:
    """Raises `BadAnswers`."""
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadAnswers(f"{name}, line {line}: {error.problem}") from error
    try:
        return Script.model_validate(tree)
    except ValidationError as error:
        found = [
            f"{name}, line {_line(tree, one['loc'])}: "
            f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}"
            for one in error.errors()
        ]
        raise BadAnswers("\n".join(found)) from error


def _line(tree: Any, loc: tuple[int | str, ...]) -> int:
    """The line of the deepest part of `loc` that is in the file, counted from 1."""
    line = 1
    for key in loc:
        marks: Any = getattr(tree, "lc", None)
        try:
            line = (marks.item(key) if isinstance(tree, list) else marks.key(key))[0] + 1
            tree = tree[key]
        except (AttributeError, KeyError, IndexError, TypeError):
            break
    return line
