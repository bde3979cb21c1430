"""Which moment of the call a sample of the recogniser's stream was spoken at. Pure."""

from __future__ import annotations

from bisect import bisect_right

DRIFT_S = 0.05
"""Notes closer than this to where the last one leads are not kept."""


class AudioClock:
    """Positions in a stream (seconds since its first sample) to event times, through gaps and
    stalls.
    """

    def __init__(self) -> None:
        self._positions: list[float] = []
        self._times: list[float] = []

    def note(self, position: float, at: float) -> None:
        """The sample at `position` was spoken at `at`."""
        if self._positions and abs(self.time_of(position) - at) < DRIFT_S:
            return
        self._positions.append(position)
        self._times.append(at)

    def time_of(self, position: float) -> float:
        """When the sample at `position` was spoken; raises `LookupError` before the first note."""
        if not self._positions:
            raise LookupError("no audio has been noted")
        index = max(bisect_right(self._positions, position) - 1, 0)
        return self._times[index] + position - self._positions[index]

    def position_of(self, at: float) -> float:
        """Which sample was spoken at `at`, or first after it; raises `LookupError` before the first
        note."""
        if not self._times:
            raise LookupError("no audio has been noted")
        # Times may step back a little, where the network became faster: no bisection.
        index = max((n for n, noted in enumerate(self._times) if noted <= at), default=0)
        position = self._positions[index] + max(at - self._times[index], 0.0)
        return min([position, *self._positions[index + 1 : index + 2]])
