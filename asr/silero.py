"""The probability of speech in each window of a stream, by faster-whisper's bundled Silero VAD.

For what runs outside an AgentSession: the licence of LiveKit's VAD ends there. faster-whisper calls
the network with a whole recording; here its state and the samples before a window are kept from one
call to the next, so that a stream of any length needs the memory of one block.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from faster_whisper.vad import get_vad_model

from asr.segmenter import WINDOW, Pcm

CONTEXT = 64
"""Samples before a window that the network hears with it."""
_STATE = (1, 1, 128)

Probabilities = npt.NDArray[np.float32]


class Silero:
    """One stream's; the network behind it is loaded once in a process, and is thread-safe."""

    def __init__(self) -> None:
        self._session: Any = get_vad_model().session
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(CONTEXT, np.int16)

    def __call__(self, samples: Pcm) -> Probabilities:
        """For whole windows, one probability each."""
        if len(samples) % WINDOW:
            raise ValueError(f"{len(samples)} samples are no whole windows of {WINDOW}")
        if not len(samples):
            return np.zeros(0, np.float32)
        windows = samples.reshape(-1, WINDOW)
        before = np.vstack([self._context, windows[:-1, -CONTEXT:]])
        self._context = windows[-1, -CONTEXT:].copy()
        audio = np.hstack([before, windows]) / np.float32(32_768)
        given = {"input": audio, "h": self._h, "c": self._c}
        found, self._h, self._c = self._session.run(None, given)
        return np.asarray(found, np.float32).reshape(-1)
