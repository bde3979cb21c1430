"""What to play for a frame that did not come, where the codec has no answer of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

FADE = 0.4
"""Each made-up stretch ends at this part of the loudness with which it began."""


class Fading:
    """Repeats the last frame, quieter each time."""

    def __init__(self, sample_rate: int) -> None:
        self._last: Pcm = np.zeros(sample_rate // 50, np.int16)
        self._gain = 1.0

    def heard(self, pcm: Pcm) -> Pcm:
        """Remember what did come; returns it."""
        if len(pcm):
            self._last, self._gain = pcm, 1.0
        return pcm

    def conceal(self, samples: int) -> Pcm:
        fade = np.linspace(self._gain, self._gain * FADE, samples)
        self._gain *= FADE
        made: Pcm = (np.resize(self._last, samples) * fade).astype(np.int16)
        return made
