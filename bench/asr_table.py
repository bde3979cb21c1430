"""Tables of results for people: a line for each, columns as wide as they need."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

R = TypeVar("R")


class Table(Generic[R]):
    def __init__(self, **columns: Callable[[R], str]) -> None:
        """Heads (an underscore is a space) and what stands under them."""
        self._columns = {name.replace("_", " "): cell for name, cell in columns.items()}

    def __call__(self, rows: Sequence[R]) -> str:
        columns = [[head, *map(cell, rows)] for head, cell in self._columns.items()]
        widths = [max(map(len, column)) for column in columns]
        lines = zip(*columns, strict=True)
        return "\n".join(
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        )
