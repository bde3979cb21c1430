"""Speech-like sounds for telephones, and how alike what arrived is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

Pcm = NDArray[np.int16]


def voice(seed: int, seconds: float) -> Pcm:
    """Noise in syllables at 8 kHz: no two pieces of it are alike, and no two seeds."""
    chance = np.random.default_rng(seed)
    samples = round(8000 * seconds)
    noise = np.convolve(chance.normal(size=samples), np.ones(4) / 4, "same")
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / 8000)
    sound: Pcm = (noise * syllables * 5000).clip(-30000, 30000).astype(np.int16)
    return sound


def likeness(said: Pcm, heard: Pcm) -> float:
    """The best normalised correlation of what was said anywhere in what was heard: 1 is the same
    sound, two unlike ones come to less than 0.1.
    """
    if len(heard) < len(said):
        heard = np.pad(heard, (0, len(said) - len(heard)))
    one, other = said.astype(float), heard.astype(float)
    both = correlate(other, one, "valid", "fft")
    total = np.concatenate(([0.0], np.cumsum(other**2)))
    energy = total[len(one) :] - total[: -len(one)]
    scale = np.sqrt(np.sum(one**2) * np.maximum(energy, 1.0))
    return float(np.max(both / scale))
