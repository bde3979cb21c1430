"""A filler when nothing has come soon enough: wraps a stream of items, counted from the end of the
turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


class Filler:
    """Say something now: the next item is late."""


async def with_filler(
    items: AsyncIterator[T], turn_ended: asyncio.Event, after_s: float
) -> AsyncIterator[T | Filler]:
    """The items as they come, and one `Filler` if none has come `after_s` seconds after
    `turn_ended` was set.

    Closing this closes `items`, and with it the request behind it.
    """
    first = asyncio.ensure_future(anext(items, None))
    late = asyncio.ensure_future(_late(turn_ended, after_s))
    try:
        await asyncio.wait({first, late}, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            yield Filler()
        item = await first
        while item is not None:
            yield item
            item = await anext(items, None)
    finally:
        for task in (first, late):
            task.cancel()
            with suppress(
                asyncio.CancelledError, Exception
            ):  # its error was raised above, or is moot
                await task
        if (close := getattr(items, "aclose", None)) is not None:
            await close()


async def _late(turn_ended: asyncio.Event, after_s: float) -> None:
    await turn_ended.wait()
    await asyncio.sleep(after_s)
