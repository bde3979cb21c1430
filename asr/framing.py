"""Sound of any length in, whole windows out; what is less waits for the rest of its window."""

import numpy as np

from asr.segmenter import WINDOW, Pcm


class Windows:
    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)

    def push(self, samples: Pcm, at_least: int = 1) -> Pcm:
        """As many whole windows as there are, one after the other; none before there are so many.

        What waits with them comes with the next push, or at the end.
        """
        audio = np.concatenate([self._rest, samples])
        whole = len(audio) // WINDOW * WINDOW
        if whole < at_least * WINDOW:
            whole = 0
        self._rest = audio[whole:].copy()
        return audio[:whole]

    def finish(self) -> Pcm:
        """What is left, its last window filled up with silence; nothing if none was begun."""
        last = np.pad(self._rest, (0, -len(self._rest) % WINDOW))
        self._rest = self._rest[:0]
        return last
