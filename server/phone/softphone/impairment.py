"""A bad line: which packets are lost, and how late the others come. Seeded, so that it can be had
again.
"""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Impairment:
    """Of one direction."""

    loss: float = 0.0
    """Share of packets that never arrive, 0 to 1."""
    delay_s: float = 0.0
    jitter_s: float = 0.0
    """Up to so much more delay, evenly spread; the order is kept, as a queue keeps it."""
    reorder: float = 0.0
    """Share of packets that are overtaken."""
    overtaken_s: float = 0.03
    """How much later these come."""


CLEAN = Impairment()


class Line:
    """Decides for one packet after the other."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self._is = impairment
        self._random = random.Random(seed)
        self._last = 0.0

    def arrival(self, at: float) -> float | None:
        """When a packet sent at this time arrives; None if it is lost."""
        if self._random.random() < self._is.loss:
            return None
        due = at + self._is.delay_s + self._random.random() * self._is.jitter_s
        if self._random.random() < self._is.reorder:
            return due + self._is.overtaken_s
        self._last = max(self._last, due)
        return self._last
