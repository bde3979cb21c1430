"""Speech-like sounds for telephones, and how much of one arrived."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from server.media.g711 import A_LAW, MU_LAW
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.speaking import FRAME

Pcm = NDArray[np.int16]
LAWS = {0: MU_LAW, 8: A_LAW}


def voice(seed: int, seconds: float) -> Pcm:
    """Noise in syllables at 8 kHz: no two pieces of it are alike, and no two seeds."""
    chance = np.random.default_rng(seed)
    samples = round(8000 * seconds)
    noise = np.convolve(chance.normal(size=samples), np.ones(4) / 4, "same")
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / 8000)
    sound: Pcm = (noise * syllables * 5000).clip(-30000, 30000).astype(np.int16)
    return sound


def arrived(said: Pcm, at: PhoneCall) -> float:
    """The share of its pieces of 20 ms that a telephone heard, in their order; 0 where the order is
    another. Pauses between them, of a busy machine or a digit, are none of its business.
    """
    found, count = _pieces(said, at)
    in_order = all(a < b for a, b in itertools.pairwise(found))
    return len(found) / count if in_order else 0.0


def came_round(said: Pcm, at: PhoneCall) -> bool:
    """Whether all of what is played over and over was heard, whatever was heard twice."""
    found, count = _pieces(said, at)
    return set(found) == set(range(count))


def _pieces(said: Pcm, at: PhoneCall) -> tuple[list[int], int]:
    """Which of its pieces were heard, in the order of their timestamps, and how many there are."""
    whole = np.concatenate((said, np.zeros(-len(said) % FRAME, np.int16)))
    pieces = np.split(whole, len(whole) // FRAME)
    places = {
        (kind, law.encode(piece)): place
        for kind, law in LAWS.items()
        for place, piece in enumerate(pieces)
    }
    packets = sorted((one.packet for one in at.heard_frames), key=lambda one: one.timestamp)
    found = [
        place
        for one in packets
        if (place := places.get((one.payload_type, one.payload))) is not None
    ]
    return found, len(pieces)
