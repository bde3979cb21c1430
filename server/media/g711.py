"""G.711 µ-law (PCMU), the telephone's codec, by table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]

_BIAS = 0x84
_CLIP = 32635


def _expand_all() -> Pcm:
    code = ~np.arange(256) & 0xFF
    exponent, mantissa = (code >> 4) & 7, code & 15
    magnitude = (((mantissa << 3) + _BIAS) << exponent) - _BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _compress_all() -> NDArray[np.uint8]:
    pcm = np.arange(-32768, 32768)
    magnitude = np.minimum(np.abs(pcm), _CLIP) + _BIAS
    exponent = np.floor(np.log2(magnitude)).astype(int) - 7
    mantissa = (magnitude >> (exponent + 3)) & 15
    sign = np.where(pcm < 0, 0x80, 0)
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code


_EXPANDED = _expand_all()
_COMPRESSED = _compress_all()


def decode(payload: bytes) -> Pcm:
    return _EXPANDED[np.frombuffer(payload, np.uint8)]


def encode(pcm: Pcm) -> bytes:
    return _COMPRESSED[pcm.astype(np.int32) + 32768].tobytes()


class Decoder:
    """PCMU to 8 kHz mono; a loss is concealed by repeating the last frame, fading."""

    sample_rate = 8000

    def __init__(self) -> None:
        self._last: Pcm = np.zeros(160, np.int16)
        self._gain = 1.0

    def samples(self, payload: bytes) -> int:
        return len(payload)

    def decode(self, payload: bytes) -> Pcm:
        self._last, self._gain = decode(payload), 1.0
        return self._last

    def conceal(self, samples: int, next_payload: bytes | None = None) -> Pcm:
        del next_payload  # carries no copy of what was lost
        fade = np.linspace(self._gain, self._gain * 0.4, samples)
        self._gain *= 0.4
        made: Pcm = (np.resize(self._last, samples) * fade).astype(np.int16)
        return made

    def recovers(self, next_payload: bytes | None) -> bool:
        del next_payload
        return False
