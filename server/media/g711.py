"""G.711, the telephone's codec, by table: µ-law (PCMU) and A-law (PCMA)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from server.media.concealment import Fading

Pcm = NDArray[np.int16]

_BIAS = 0x84
_CLIP = 32635


def _mu_expanded() -> Pcm:
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _mu_compressed() -> NDArray[np.uint8]:
    pcm = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(pcm), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    sign = np.where(pcm < 0, 0x80, 0)
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code


def _a_expanded() -> Pcm:
    code = np.arange(256) ^ 0x55  # every second bit is inverted on the line
    exponent, mantissa = (code >> 4) & 7, code & 15
    linear = (mantissa << 4) + 8
    magnitude = np.where(exponent > 0, (linear + 0x100) << np.maximum(exponent - 1, 0), linear)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _a_compressed() -> NDArray[np.uint8]:
    pcm = np.arange(-32768, 32768)
    magnitude = np.where(pcm < 0, ~pcm, pcm)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(int) - 7, 0)
    mantissa = (magnitude >> np.maximum(exponent + 3, 4)) & 15
    sign = np.where(pcm < 0, 0, 0x80)
    code: NDArray[np.uint8] = ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8)
    return code


class Law:
    """One of the two curves by which 16 bits become 8."""

    def __init__(self, expanded: Pcm, compressed: NDArray[np.uint8]) -> None:
        self._expanded, self._compressed = expanded, compressed

    def decode(self, payload: bytes) -> Pcm:
        return self._expanded[np.frombuffer(payload, np.uint8)]

    def encode(self, pcm: Pcm) -> bytes:
        return self._compressed[pcm.astype(np.int32) + 32768].tobytes()


MU_LAW = Law(_mu_expanded(), _mu_compressed())
A_LAW = Law(_a_expanded(), _a_compressed())


class Decoder:
    """G.711 to 8 kHz mono; a loss is concealed by repeating the last frame, fading."""

    clock_rate = sample_rate = 8000

    def __init__(self, law: Law = MU_LAW) -> None:
        self._law = law
        self._fading = Fading(self.sample_rate)

    def samples(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> Pcm:
        return self._fading.heard(self._law.decode(payload))

    def conceal(self, samples: int, next_payload: bytes | None = None) -> Pcm:
        del next_payload  # carries no copy of what was lost
        return self._fading.conceal(samples)

    def recovers(self, next_payload: bytes | None) -> bool:
        del next_payload
        return False
