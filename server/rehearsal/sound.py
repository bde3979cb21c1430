"""Where speech begins in a recording: energy alone, knowing nothing of words. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Times = NDArray[np.floating]
FRAME_S = 0.01
QUIET_BEFORE_S = 0.2
"""An onset has so much quiet before it; the gaps between words are shorter."""
LOUD = 250.0
"""RMS of 16-bit samples: speech is in the thousands, a coded line's noise in the tens."""


def onsets(samples: Samples, rate: int, *, loud: float = LOUD) -> Times:
    """Seconds at which sound begins after quiet."""
    size = int(rate * FRAME_S)
    frames = samples[: len(samples) // size * size].astype(np.float64).reshape(-1, size)
    is_loud = np.sqrt((frames**2).mean(axis=1)) > loud
    quiet = int(QUIET_BEFORE_S / FRAME_S)
    before = np.concatenate((np.zeros(quiet, bool), is_loud))
    loud_before = np.convolve(before, np.ones(quiet), "full")[quiet - 1 : quiet - 1 + len(is_loud)]
    return np.flatnonzero(is_loud & (loud_before < 0.5)) * FRAME_S


def nearest(starts: Times, at: float) -> float | None:
    """The onset closest to a time."""
    return float(starts[np.abs(starts - at).argmin()]) if len(starts) else None
