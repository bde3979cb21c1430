"""One process's clock for events: Unix seconds that never jump with the wall clock."""

from __future__ import annotations

import time


class Clock:
    """Anchored to the wall once, then monotonic: a correction of the machine's time in mid-call
    moves no timer and no event."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Unix seconds now."""
        return time.monotonic() + self._offset

    def at(self, loop_time: float) -> float:
        """Unix seconds of an event loop's time (asyncio's loops run on the monotonic clock)."""
        return loop_time + self._offset
