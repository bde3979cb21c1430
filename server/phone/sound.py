"""What a caller's sound goes through before anybody hears it: prepared, and without our own echo.

Put between a peer and whoever listens: `peer.through(sound.filter)`, and told of what we play:
`peer.track.on_frame = sound.played`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.media import outgoing
from server.phone.echo import EchoGuard
from server.phone.soundprep import SAMPLE_RATE, SoundPrep

Pcm = NDArray[np.int16]


class PhoneSound:
    """One call's. All of it belongs to one event loop."""

    def __init__(self) -> None:
        self.echo = EchoGuard()
        self._prep = SoundPrep()

    def filter(self, pcm: Pcm, rate: int, at: float) -> tuple[Pcm, int, float]:
        """A `server.media.peer.Filter`: 16 kHz out, dated by its own first sample."""
        prepared = self._prep.push(pcm, rate)
        at -= self._prep.delay
        return self.echo.heard(prepared, SAMPLE_RATE, at), SAMPLE_RATE, at

    def played(self, pcm: Pcm, at: float) -> None:
        """A `server.media.outgoing.Witness`."""
        self.echo.played(pcm, outgoing.SAMPLE_RATE, at)
