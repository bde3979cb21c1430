"""Reading a plan from YAML or JSON: every problem at once, each with its line and what to do.

A plan may come from a stranger. So: a size limit, no aliases (a few lines of them can grow to
gigabytes), no tags, no duplicate keys, no deep nesting, one document; JSON is read by Python's own
parser.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
)
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from agent import plan as model
from agent.plan import Plan
from agent.plancheck import Path, Problem, problems

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
Lines = dict[Path, int]
"""The line of each key and item, from 1."""


class PlanError(Exception):
    """The plan cannot be used; `complaints` has one `file:line: where: what` for each problem."""

    def __init__(self, complaints: tuple[str, ...]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


def load(path: File) -> Plan:
    """The plan in a file; raises `PlanError`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlanError((f"{path}: cannot be read: {error.strerror}",)) from error
    return parse(data, str(path))


def parse(source: bytes | str, name: str = "plan") -> Plan:
    """The plan in a text; `name` stands in its errors. Raises `PlanError`."""
    data = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    if len(data) > MAX_BYTES:
        raise PlanError((f"{name}: larger than {MAX_BYTES // 1024} KB; a plan is a few pages",))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise PlanError((f"{name}:{line}: not UTF-8; save the file as UTF-8",)) from error
    value, lines = _json(text, name) if text.lstrip().startswith("{") else _yaml(text, name)
    return _checked(value, lines, name)


def schema() -> dict[str, Any]:
    """JSON Schema of a plan, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Plan.model_json_schema(),
    }


def _checked(value: object, lines: Lines, name: str) -> Plan:
    try:
        plan = Plan.model_validate(value)
    except ValidationError as error:
        found = [_as_problem(detail) for detail in error.errors(include_url=False)]
        raise _plan_error(found, value, lines, name) from error
    if found := list(problems(plan)):
        raise _plan_error(found, value, lines, name)
    return plan


def _plan_error(found: list[Problem], value: object, lines: Lines, name: str) -> PlanError:
    placed = sorted(
        ((_line(problem.path, lines), problem) for problem in dict.fromkeys(found)),
        key=lambda pair: pair[0],
    )
    return PlanError(
        tuple(
            f"{name}:{line}: {_where(problem.path, value)}: {problem.what}"
            for line, problem in placed
        )
    )


def _line(path: Path, lines: Lines) -> int:
    """The line of the nearest thing that is in the file."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


def _where(path: Path, value: object) -> str:
    """A path in words: items by their id where they have one."""
    words: list[str] = []
    for step in path:
        value = _inside(value, step)
        named = value.get("id") if isinstance(value, dict) else None
        if isinstance(step, int):
            words.append(str(named or step + 1))
        else:
            words.append(step)
    return " › ".join(words) or "plan"


def _inside(value: object, step: str | int) -> object:
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def _as_problem(detail: Any) -> Problem:
    """A pydantic error in an operator's words."""
    path: Path = tuple(detail["loc"])
    key = str(path[-1]) if path else ""
    match detail["type"]:
        case "missing":
            return Problem(path, f"is missing; add `{key}:`")
        case "extra_forbidden":
            near = difflib.get_close_matches(key, _field_names(), n=1)
            hint = f"did you mean {near[0]!r}?" if near else "remove it"
            return Problem(path, f"is not a field of a plan; {hint}")
        case "bool_type" | "bool_parsing":
            return Problem(path, "has to be true or false")
        case "float_type" | "float_parsing" | "int_type" | "int_parsing":
            return Problem(path, "has to be a number")
        case "string_type":
            return Problem(path, 'has to be text; put it in quotes ("…")')
        case "string_pattern_mismatch":
            what = "has to be lower-case letters, digits and underscores, and begin with a letter"
            return Problem(path, what)
        case "string_too_short":
            return Problem(path, "is empty; write something")
        case "value_error":
            return Problem(path, str(detail["ctx"]["error"]))
        case "model_type" | "dict_type":
            return Problem(path, "has to be a mapping of `key: value`; check the indentation")
        case "tuple_type" | "list_type":
            return Problem(path, "has to be a list; begin each item with `- `")
    message = str(detail["msg"])
    return Problem(path, message[0].lower() + message[1:])


def _field_names() -> list[str]:
    models = [kind for kind in vars(model).values() if isinstance(kind, type)]
    return sorted(
        {name for kind in models if issubclass(kind, BaseModel) for name in kind.model_fields}
    )


# --- JSON ----------------------------------------------------------------------------------------


def _json(text: str, name: str) -> tuple[object, Lines]:
    """The value by Python's parser; the lines, as far as the YAML parser follows."""
    duplicates: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in items]
        duplicates.extend(key for key in set(keys) if keys.count(key) > 1)
        return dict(items)

    try:
        value = json.loads(text, object_pairs_hook=pairs, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PlanError((f"{name}:{error.lineno}: not JSON: {error.msg}",)) from error
    except (ValueError, RecursionError) as error:
        raise PlanError((f"{name}: not usable JSON: {error}",)) from error
    if duplicates:
        raise PlanError((f"{name}: the key {duplicates[0]!r} stands twice; keep one",))
    try:
        return value, _json_lines(text)
    except (YAMLError, RecursionError):  # Python's parser of JSON goes deeper than the other
        return value, {}


def _no_constant(constant: str) -> object:
    raise ValueError(f"{constant} is not a number")


def _json_lines(text: str) -> Lines:
    # Tabs may indent JSON, not YAML; no JSON string runs over a line, so none is touched here.
    untabbed = "\n".join(
        " " * (len(line) - len(line.lstrip("\t "))) + line.lstrip("\t ")
        for line in text.split("\n")
    )
    node = _parser().compose(untabbed)
    return dict(_lines_of(node, ())) if node is not None and _depth(node) < MAX_DEPTH else {}


def _depth(node: Node) -> int:
    if isinstance(node, ScalarNode):
        return 1
    children = [part for _, part, _ in _children(node)]
    return 1 + max((_depth(child) for child in children), default=0)


# --- YAML ----------------------------------------------------------------------------------------


def _parser() -> YAML:
    # Not the round-trip parser: it leaves marks (\a) where a folded text was folded.
    return YAML(typ="safe", pure=True)


def _yaml(text: str, name: str) -> tuple[object, Lines]:
    try:
        if complaints := tuple(f"{name}:{line}: {what}" for line, what in _forbidden(text)):
            raise PlanError(complaints)
        node = _parser().compose(text)
    except (YAMLError, AssertionError) as error:  # ruamel.yaml asserts the version in `%YAML`
        raise PlanError((f"{name}:{_error_line(error)}: not YAML: {_brief(error)}",)) from error
    if node is None:
        raise PlanError((f"{name}:1: empty; a plan is a mapping of `key: value`",))
    doubled = [
        f"{name}:{key.start_mark.line + 1}: the key {key.value!r} stands twice; keep one"
        for key in _doubled_keys(node)
    ]
    if doubled:
        raise PlanError(tuple(doubled))
    return _value(node), dict(_lines_of(node, ()))


def _forbidden(text: str) -> Iterator[tuple[int, str]]:
    """What plain data does not need; read event by event, so that nothing has grown yet."""
    depth = documents = 0
    for event in _parser().parse(text):
        line = event.start_mark.line + 1
        tag = getattr(event, "ctag", None) or getattr(event, "tag", None)
        if isinstance(event, AliasEvent):
            yield line, "aliases (*name) are not allowed; write the text out"
        elif tag is not None and str(tag) not in ("", "!", "None"):
            yield line, f"tags ({tag}) are not allowed; write plain text"
        depth += isinstance(event, CollectionStartEvent)
        depth -= isinstance(event, CollectionEndEvent)
        documents += isinstance(event, DocumentStartEvent)
        if depth > MAX_DEPTH:
            yield line, "nested too deeply for a plan"
            return
        if documents > 1:
            yield line, "a second document; a file holds one plan"
            return


def _error_line(error: Exception) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return mark.line + 1 if mark else 1


def _brief(error: Exception) -> str:
    parts = [getattr(error, "context", None), getattr(error, "problem", None)]
    return ", ".join(part for part in parts if part) or str(error).splitlines()[0]


def _children(node: Node) -> Iterator[tuple[str | int, Node, Node]]:
    """Key or index, the node that holds the value, the node that marks its line."""
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield str(key.value), value, key
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            yield index, value, value


def _lines_of(node: Node, path: Path) -> Iterator[tuple[Path, int]]:
    for step, value, mark in _children(node):
        yield (*path, step), mark.start_mark.line + 1
        yield from _lines_of(value, (*path, step))


def _doubled_keys(node: Node) -> Iterator[Node]:
    seen: set[str] = set()
    for step, value, key in _children(node):
        if isinstance(node, MappingNode):
            if str(step) in seen:
                yield key
            seen.add(str(step))
        yield from _doubled_keys(value)


def _value(node: Node) -> object:
    if isinstance(node, MappingNode):
        return {str(step): _value(value) for step, value, _ in _children(node)}
    if isinstance(node, SequenceNode):
        return [_value(value) for _, value, _ in _children(node)]
    return _scalar(node)


def _scalar(node: Node) -> object:
    """YAML 1.2's plain types; dates and the like stay text."""
    text = str(node.value)
    match str(node.tag).rpartition(":")[2]:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            return _number(text, lambda digits: int(digits, 0))
        case "float":
            return _number(text, float)
    return text


def _number(text: str, convert: Any) -> object:
    try:
        return convert(text.replace("_", ""))
    except ValueError:  # 0o17, 1:30 and other notations that no plan needs: refused later, as text
        return text
