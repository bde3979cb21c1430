"""Which frame of sound came when: frames made at one end found again at the other, and how long
they took. Pure: times are passed in, in seconds.

Where a gateway passes the sound on as it is, a frame is known by its own bytes. Where it was
resampled on the way, frames are known by their timestamps, which count from a number that nobody
tells: a pattern of loud and soft frames says which one is which.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from server.media.g711 import MU_LAW

Pcm = NDArray[np.int16]

FRAME, RATE = 160, 8000
"""Of the telephone: samples in 20 ms."""
OUR_FRAME = 480
"""Of what we send: 24 kHz."""
LOUD = 3000
"""A peak between those of loud frames and soft ones."""
ALIKE = 0.98
"""So many frames at least must be as loud as the pattern says."""
SEARCHED = 100
"""How many frames off the first guess may be: two seconds."""
IN_TIME = 0.99
"""Share of the packets for which a telephone's buffer waits long enough."""


class Heard(NamedTuple):
    """A packet at the far end."""

    at: float
    timestamp: int
    loud: bool


class Unlike(Exception):
    """What came is not what was sent."""


def speech(seconds: float, seed: int) -> Pcm:
    """Noise at 8 kHz as it is after the codec: no two frames are alike."""
    noise = np.random.default_rng(seed).normal(0, 3000, round(seconds * 50) * FRAME)
    pcm: Pcm = np.clip(noise, -30000, 30000).astype(np.int16)
    return MU_LAW.decode(MU_LAW.encode(pcm))


class Pattern:
    """Our frames: by a seed each is loud or soft."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._loud = _noise(10_000, seed)
        self._soft = _noise(300, seed)
        self.sent: list[tuple[float, bool]] = []
        """When each was due, and whether it is loud."""

    def frame(self, at: float) -> Pcm:
        """A `server.media.outgoing.Source`."""
        loud = self._chance.random() < 0.3
        self.sent.append((at, loud))
        return self._loud if loud else self._soft


def _noise(peak: int, seed: int) -> Pcm:
    made: Pcm = np.random.default_rng(seed).integers(-peak, peak, OUR_FRAME).astype(np.int16)
    return made


def is_loud(pcm: Pcm) -> bool:
    """By the end of a frame: the beginning still has the one before it, which a resampler keeps."""
    return bool(np.abs(pcm[100:].astype(np.int32)).max(initial=0) > LOUD)


def by_content(
    sent: Iterable[tuple[float, bytes]], heard: Iterable[tuple[float, bytes]]
) -> list[float]:
    """Seconds from the sending of each frame to its coming; what was sent only is left out."""
    when = {data: at for at, data in sent}
    return [at - when[data] for at, data in heard if data in when]


def by_pattern(sent: Sequence[tuple[float, bool]], heard: Sequence[Heard]) -> list[float]:
    """The same, by timestamps. Raises `Unlike`."""
    if not heard:
        raise Unlike("nothing came")
    first = heard[0]
    place = min(range(len(sent)), key=lambda n: abs(sent[n][0] - first.at))
    zeros = [first.timestamp - FRAME * (place + off) for off in range(-SEARCHED, SEARCHED + 1)]
    zero = max(zeros, key=lambda one: _alike(sent, heard, one))
    if _alike(sent, heard, zero) < ALIKE:
        raise Unlike(f"only {_alike(sent, heard, zero):.0%} of the frames are like those sent")
    return [one.at - sent[n][0] for one in heard if (n := _number(one, zero)) in range(len(sent))]


def _alike(sent: Sequence[tuple[float, bool]], heard: Sequence[Heard], zero: int) -> float:
    pairs = [(sent[n][1], one.loud) for one in heard if 0 <= (n := _number(one, zero)) < len(sent)]
    return sum(a == b for a, b in pairs) / len(heard)


def _number(one: Heard, zero: int) -> int:
    return ((one.timestamp - zero + (1 << 31)) % (1 << 32) - (1 << 31)) // FRAME


def spread(seconds: Sequence[float], algorithmic_s: float = 0.0) -> dict[str, Any]:
    """Milliseconds; `algorithmic_s`: what filters add, which packets do not show. `playout` is the
    delay of a telephone's buffer that is in time for 99 % of the packets, kept for all of them."""
    if not seconds:
        return {"p50": None, "p95": None, "playout": None, "max": None, "n": 0}
    shares: Mapping[str, float] = {"p50": 0.5, "p95": 0.95, "playout": IN_TIME, "max": 1.0}
    found = {
        name: round(1000 * (float(np.quantile(seconds, share)) + algorithmic_s), 2)
        for name, share in shares.items()
    }
    return found | {"n": len(seconds)}
