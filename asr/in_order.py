"""Work that runs side by side, and whose results are told in the order in which it was begun."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

W = TypeVar("W")
R = TypeVar("R")


class InOrder(Generic[W, R]):
    def __init__(self, tell: Callable[[W, R], None], told: Callable[[], None]) -> None:
        """`tell`: what was done, and what came of it; `told`: after each round of telling."""
        self._tell = tell
        self._told = told
        self._begun: deque[tuple[W, asyncio.Task[R]]] = deque()

    def __len__(self) -> int:
        return len(self._begun)

    @property
    def first(self) -> W | None:
        """The oldest of which nothing was told yet."""
        return self._begun[0][0] if self._begun else None

    def add(self, what: W, task: "asyncio.Task[R]") -> None:
        self._begun.append((what, task))
        task.add_done_callback(lambda _: self._settle())

    async def all_told(self) -> None:
        while self._begun:
            await asyncio.wait([task for _, task in self._begun])
            await asyncio.sleep(0)  # lets `_settle` run

    def cancel(self) -> None:
        """Nobody wants to hear of it any more."""
        for _, task in self._begun:
            task.cancel()

    def _settle(self) -> None:
        while self._begun and self._begun[0][1].done():
            what, task = self._begun.popleft()
            if task.cancelled():
                return  # the stream is closing
            self._tell(what, task.result())
        self._told()
