"""When a phone's line is dead: sooner for one that never pauses, later for one that does.

Some phones send no packets while their owner listens (silence suppression, mute). They show it:
their timestamps jump where their sequence numbers do not, or they send comfort noise, or they come
back after a gap in which nothing was lost. Pure: time is passed in.
"""

from __future__ import annotations

from server.media.liveness import STOPPED_S, Arrival

STEADY_S = 3.0
"""For a phone that has sent without pause so far."""
PAUSING_S = 15.0
"""For one that pauses, and for one that has not sent anything yet."""
PAUSE_S = 0.2
"""A jump of the timestamp by so much, with nothing lost, is a pause of the sender."""
GAP_S = 1.0
"""So long without packets, with nothing lost, is one too: some phones stop their clock as well."""


class LineWatch:
    """A `Liveness` for one phone call."""

    def __init__(self, steady_s: float = STEADY_S, pausing_s: float = PAUSING_S) -> None:
        self._steady_s, self._pausing_s = steady_s, pausing_s
        self.pausing = False
        """Whether this phone was seen to pause."""
        self._held = False
        self._last: Arrival | None = None
        self._sound_end: int | None = None
        """Timestamp at which the latest sound ended."""
        self._since: float | None = None

    def connected(self, at: float) -> None:
        self._since = at

    def arrived(self, packet: Arrival) -> None:
        self.pausing = self.pausing or packet.comfort or self._paused(packet)
        if packet.samples:
            self._sound_end = (packet.timestamp + packet.samples) & 0xFFFFFFFF
        self._last, self._since = packet, packet.at

    def hold(self, held: bool, at: float) -> None:
        self._held, self._since = held, at
        self._last = self._sound_end = None  # what was not sent on hold was no pause of the phone's

    def quiet(self, now: float) -> bool:
        if self._held or self._since is None:
            return False
        steady = self._last is not None and not self.pausing
        return now - self._since >= (self._steady_s if steady else self._pausing_s)

    def stopped(self, now: float) -> bool:
        if self._held or self.pausing or self._last is None:
            return False
        return now - self._last.at >= STOPPED_S

    def _paused(self, packet: Arrival) -> bool:
        last = self._last
        if last is None or (last.seq + 1) & 0xFFFF != packet.seq:
            return False  # the first one, or something was lost or reordered: it says nothing
        return packet.at - last.at >= GAP_S or self._jump(packet) >= PAUSE_S

    def _jump(self, packet: Arrival) -> float:
        """Seconds of the sender's clock between the latest sound and this one; a digit in place of
        sound is no pause."""
        last = self._last
        if self._sound_end is None or last is None or not (packet.samples and last.samples):
            return 0.0
        ticks = (packet.timestamp - self._sound_end) & 0xFFFFFFFF
        return ticks / packet.clock_rate if ticks < 1 << 31 else 0.0
