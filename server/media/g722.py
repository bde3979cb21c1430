"""G.722, the telephone's wideband codec, by PyAV.

Its sound is 16 kHz, but its RTP clock is 8 kHz, by an old mistake that RFC 3551 (4.5.2) keeps: a
byte holds two samples and counts as one.
"""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from server.media.concealment import Fading
from server.media.errors import BadPayload

Pcm = NDArray[np.int16]

SAMPLE_RATE = 16000
CLOCK_RATE = 8000
FRAME = SAMPLE_RATE // 50
DELAY = 22
"""Samples at 16 kHz by which encoder and decoder together are late (their filter banks)."""


class Decoder:
    """G.722 to 16 kHz mono; a loss is concealed by repeating the last frame, fading."""

    clock_rate, sample_rate = CLOCK_RATE, SAMPLE_RATE

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("g722", "r")
        self._codec.sample_rate = SAMPLE_RATE
        self._codec.layout = "mono"
        self._fading = Fading(SAMPLE_RATE)

    def samples(self, payload: bytes) -> int:
        if not payload:
            raise BadPayload("an empty G.722 packet")
        return len(payload)

    def decode(self, payload: bytes) -> Pcm:
        self.samples(payload)  # an empty packet would end PyAV's decoder
        frames = self._codec.decode(av.Packet(payload))
        sound = [frame.to_ndarray().reshape(-1) for frame in frames]
        return self._fading.heard(np.concatenate(sound))

    def conceal(self, samples: int, next_payload: bytes | None = None) -> Pcm:
        del next_payload  # carries no copy of what was lost
        return self._fading.conceal(samples)

    def recovers(self, next_payload: bytes | None) -> bool:
        del next_payload
        return False


class Encoder:
    """16 kHz mono to G.722, 20 ms (160 bytes) at a time."""

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("g722", "w")
        self._codec.sample_rate = SAMPLE_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"

    def encode(self, pcm: Pcm) -> bytes:
        if len(pcm) != FRAME:
            raise ValueError(f"G.722 is encoded {FRAME} samples at a time, not {len(pcm)}")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(pcm, np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate = SAMPLE_RATE
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))
