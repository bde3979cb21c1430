"""Whether the machine gave a real-time test its time.

Such a test says something of Viva only where its candidate spoke without holes. One thread sleeps a
packet's length again and again: by how much it wakes too late, packets of the test leave too late.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

FRAME_S = 0.020
TORN_S = 0.2
"""Held up for longer, a candidate of ours has a hole in a word: outgoing's `MAX_LAG_S`."""


class MachineStalled(Exception):
    """A real-time test failed on a machine that gave it no time: no finding. It is taken again."""


class StallWatch:
    """Watches while it is entered."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        """The longest that this process was held up."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stall-watch", daemon=True)

    @property
    def torn(self) -> bool:
        return self.worst_s > TORN_S

    def __enter__(self) -> StallWatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        over, due = False, time.monotonic()
        while not over:
            over = self._over.wait(FRAME_S)
            now = time.monotonic()
            self.worst_s = max(self.worst_s, now - due - FRAME_S)
            due = now
