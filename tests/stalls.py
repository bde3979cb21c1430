"""Whether the machine gave a real-time test its time.

Such a test says something of Viva only where its candidate spoke without holes. One thread sleeps a
packet's length again and again: by how much it wakes too late, packets of the test leave too late.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

FRAME_S = 0.020
TORN_S = 0.2
"""Held up for longer, a candidate of ours has a hole in a word: outgoing's `MAX_LAG_S`."""


class MachineStalled(Exception):
    """A real-time test failed on a machine that gave it no time: no finding."""


class Stalls:
    """How long this process was held up while it was watched."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    @property
    def torn(self) -> bool:
        return self.worst_s > TORN_S

    @contextmanager
    def watched(self) -> Iterator[None]:
        """From the first moment to the last."""
        over, begins = threading.Event(), time.monotonic()
        watch = threading.Thread(
            target=self._watch, args=(over, begins), name="stalls", daemon=True
        )
        watch.start()
        try:
            yield
        finally:
            over.set()
            watch.join()

    def _watch(self, over: threading.Event, due: float) -> None:
        ends = False
        while not ends:
            ends = over.wait(FRAME_S)
            now = time.monotonic()
            self.worst_s = max(self.worst_s, now - due - FRAME_S)
            due = now
