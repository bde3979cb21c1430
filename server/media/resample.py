"""Sample rates, changed once and well: a streaming FIR with an exact number of samples out.

48 kHz is brought to 16 kHz with everything above 8 kHz at -80 dB: what folds back there is heard by
a recogniser as speech. No tail is held back: n samples in are n * up / down out.
"""

from __future__ import annotations

import functools
from math import gcd

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin

Pcm = NDArray[np.int16]

STOPBAND_DB = 80.0


@functools.cache
def _filter(up: int, down: int) -> NDArray[np.float32]:
    """Low-pass at the lower of both rates, for the signal at `up` times its rate."""
    band = 1.0 / max(up, down)  # of the raised rate's Nyquist frequency
    width = 0.125 * band
    taps = int((STOPBAND_DB - 7.95) / (14.36 * width / 2)) | 1
    beta = 0.1102 * (STOPBAND_DB - 8.7)
    response = firwin(taps, band - width / 2, window=("kaiser", beta)) * up
    return np.asarray(response[::-1], np.float32)


class Resampler:
    """One mono stream from one rate to another."""

    def __init__(self, source: int, target: int) -> None:
        common = gcd(source, target)
        self.up, self.down = target // common, source // common
        self._taps = _filter(self.up, self.down) if source != target else np.ones(1, np.float32)
        self._history = np.zeros(len(self._taps) - 1, np.float32)
        self._phase = 0
        self.delay = (len(self._taps) - 1) / 2 / (source * self.up)
        """Seconds by which the output is late."""

    def push(self, pcm: Pcm) -> Pcm:
        if self.up == self.down:
            return pcm
        raised = np.zeros(len(pcm) * self.up, np.float32)
        raised[:: self.up] = pcm
        signal = np.concatenate((self._history, raised))
        windows = np.lib.stride_tricks.sliding_window_view(signal, len(self._taps))
        out = windows[self._phase :: self.down] @ self._taps
        self._phase = (self._phase - len(raised)) % self.down
        self._history = signal[len(raised) :]
        rounded: Pcm = np.clip(np.rint(out), -32768, 32767).astype(np.int16)
        return rounded
