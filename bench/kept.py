"""Results of a benchmark's parts, a JSON line each, so that a long one may run in pieces.

Pieces run side by side or one after the other (`--keep FILE`), and their tables are made together
(`--join FILES`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

R = TypeVar("R")


def keep(file: Path | None, rows: Iterable[Any]) -> None:
    """Add dataclasses to a file; nothing without one."""
    if file is not None:
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(f"{json.dumps(asdict(row))}\n" for row in rows)


def kept(files: Sequence[Path], kind: type[R]) -> list[R]:
    """What was kept; raises `TypeError` for lines of another kind."""
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    return [kind(**_fields(json.loads(line))) for line in lines]


def _fields(read: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no tuples."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()}
