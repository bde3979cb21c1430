"""When a line that brings no packets is taken for dead.

Pure: time is passed in. A phone's rule, which knows that some phones pause, is
`server.phone.watchdog`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

STOPPED_S = 0.15
"""Without a packet for so long, a sender without pauses has stopped, or a network has a hiccup.
Less than any silence that ends a turn."""


class Arrival(NamedTuple):
    """One RTP packet."""

    at: float
    """When it came, on the same clock as `quiet`'s."""
    seq: int
    timestamp: int
    samples: int
    """Of sound, in units of the RTP clock; 0 in a packet without."""
    clock_rate: int
    comfort: bool = False
    """Comfort noise: its sender says that it is about to pause."""


class Liveness(Protocol):
    """Decides whether a line is quiet. All times are the event loop's."""

    def connected(self, at: float) -> None:
        """The line is up: from here on packets are expected."""

    def arrived(self, packet: Arrival) -> None: ...

    def hold(self, held: bool, at: float) -> None:
        """On hold no packets are expected; afterwards as after `connected`."""

    def quiet(self, now: float) -> bool:
        """Whether nothing has come for too long."""

    def stopped(self, now: float) -> bool:
        """Whether packets that came without pause have stopped: too early to call the line dead,
        and no silence of whoever speaks there."""


class Steady:
    """A browser's: it sends without pause, so that silence for `quiet_s` is the line's."""

    def __init__(self, quiet_s: float) -> None:
        self._quiet_s = quiet_s
        self._last: float | None = None
        self._held = False

    def connected(self, at: float) -> None:
        self._last = at

    def arrived(self, packet: Arrival) -> None:
        self._last = packet.at

    def hold(self, held: bool, at: float) -> None:
        self._held, self._last = held, at

    def quiet(self, now: float) -> bool:
        if self._held or self._last is None:
            return False
        return now - self._last >= self._quiet_s

    def stopped(self, now: float) -> bool:
        return not self._held and self._last is not None and now - self._last >= STOPPED_S
