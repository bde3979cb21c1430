"""Telephone sound prepared for a recogniser: 16 kHz, no direct current and no hum of the mains.

Pure: sound in, sound out, as long as it was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

from server.media.resample import Resampler

Pcm = NDArray[np.int16]

SAMPLE_RATE = 16000
CUT_HZ = 120.0
"""Below the telephone's band (300 Hz), and above 50 and 60 Hz and, of 50, the first harmonic."""
ORDER = 4


class SoundPrep:
    """One call's incoming sound."""

    def __init__(self) -> None:
        self._rate = 0
        self._resampler: Resampler | None = None
        self._highpass = butter(ORDER, CUT_HZ, "highpass", fs=SAMPLE_RATE, output="sos")
        self._state = np.zeros((len(self._highpass), 2))

    def push(self, pcm: Pcm, rate: int) -> Pcm:
        """A stretch at `rate`; returns the same stretch at 16 kHz, later by `delay`."""
        if not len(pcm):
            return pcm
        if self._resampler is None or rate != self._rate:
            self._resampler, self._rate = Resampler(rate, SAMPLE_RATE), rate
        sound = self._resampler.push(pcm)
        passed, self._state = sosfilt(self._highpass, sound, zi=self._state)
        rounded: Pcm = np.clip(np.rint(passed), -32768, 32767).astype(np.int16)
        return rounded

    @property
    def delay(self) -> float:
        """Seconds by which the resampler's output is late."""
        return self._resampler.delay if self._resampler else 0.0
