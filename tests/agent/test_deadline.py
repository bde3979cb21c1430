"""A filler when nothing has come in time after the end of the turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest
from virtual_time import in_virtual_time, now

from agent.deadline import Filler, with_filler

AFTER_S = 1.5


class Source:
    """Items, each after so many seconds."""

    def __init__(self, *items: tuple[float, str | Exception]) -> None:
        self.items: Sequence[tuple[float, str | Exception]] = items
        self.closed = False

    async def stream(self) -> AsyncIterator[str]:
        try:
            for wait_s, item in self.items:
                await asyncio.sleep(wait_s)
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.closed = True


async def collect(source: Source, *, turn_ends: float = 0.0, most: int = 99) -> list[str]:
    """What comes, each with its second."""
    ended, found = asyncio.Event(), []
    asyncio.get_running_loop().call_later(turn_ends, ended.set)
    async with aclosing(with_filler(source.stream(), ended, AFTER_S)) as items:
        async for item in items:
            found.append(f"{now():.1f} {'filler' if isinstance(item, Filler) else item}")
            if len(found) >= most:
                break
    return found


def test_what_comes_in_time_needs_no_filler() -> None:
    assert in_virtual_time(collect(Source((1.0, "a"), (5.0, "b")))) == ["1.0 a", "6.0 b"]


def test_a_late_first_item_is_covered_once() -> None:
    source = Source((4.0, "a"), (9.0, "b"))
    assert in_virtual_time(collect(source)) == ["1.5 filler", "4.0 a", "13.0 b"]


def test_time_counts_from_the_end_of_the_turn() -> None:
    assert in_virtual_time(collect(Source((4.0, "a")), turn_ends=3.0)) == ["4.0 a"]
    late = in_virtual_time(collect(Source((6.0, "a")), turn_ends=3.0))
    assert late == ["4.5 filler", "6.0 a"]


def test_nothing_at_all_is_nothing() -> None:
    assert in_virtual_time(collect(Source())) == []


def test_an_error_comes_through() -> None:
    with pytest.raises(ValueError, match="broken"):
        in_virtual_time(collect(Source((2.0, ValueError("broken")))))


@pytest.mark.parametrize("most", [1, 2])
def test_leaving_closes_the_source(most: int) -> None:
    source = Source((2.0, "a"), (2.0, "b"))

    async def leave() -> None:
        await collect(source, most=most)
        assert source.closed

    in_virtual_time(leave())
