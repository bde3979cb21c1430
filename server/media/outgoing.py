"""The track we send: 20 ms packets on time, silence when there is nothing to say.

Packets are encoded here, mono and with in-band FEC, because aiortc's own encoder has neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import Packet
from numpy.typing import NDArray

from server.media import g711, g722, opus
from server.media.resample import Resampler

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]
Source = Callable[[float], "Pcm | None"]
"""Asked every 20 ms, with the loop time, for 20 ms at 24 kHz; None is silence."""
Witness = Callable[[Pcm, float], None]
"""Told of each frame as it is sent, with the loop time at which it was due."""

SAMPLE_RATE = 24000
FRAME = SAMPLE_RATE // 50
FRAME_S = 0.020
MAX_LAG_S = 0.2
"""Being later than this is not caught up with a burst: the call loop was held up."""
_SILENCE: Pcm = np.zeros(FRAME, np.int16)


class Encoder(Protocol):
    clock_rate: int

    def encode(self, pcm: Pcm) -> bytes: ...


class _Opus:
    clock_rate = opus.SAMPLE_RATE

    def __init__(self) -> None:
        self._encoder = opus.Encoder(SAMPLE_RATE)

    def encode(self, pcm: Pcm) -> bytes:
        return self._encoder.encode(pcm)


class _G711:
    clock_rate = 8000

    def __init__(self, law: g711.Law) -> None:
        self._law = law
        self._resampler = Resampler(SAMPLE_RATE, 8000)

    def encode(self, pcm: Pcm) -> bytes:
        return self._law.encode(self._resampler.push(pcm))


class _G722:
    clock_rate = g722.CLOCK_RATE

    def __init__(self) -> None:
        self._encoder = g722.Encoder()
        self._resampler = Resampler(SAMPLE_RATE, g722.SAMPLE_RATE)

    def encode(self, pcm: Pcm) -> bytes:
        return self._encoder.encode(self._resampler.push(pcm))


def _encoder_for(codec: str) -> Encoder:
    match codec.lower():
        case "opus":
            return _Opus()
        case "pcmu":
            return _G711(g711.MU_LAW)
        case "pcma":
            return _G711(g711.A_LAW)
        case "g722":
            return _G722()
    raise ValueError(f"no encoder for {codec}")


class OutgoingTrack(MediaStreamTrack):
    """Sends what its `source` gives, at the pace of time."""

    kind = "audio"

    def __init__(self, codec: str = "opus") -> None:
        super().__init__()
        self.source: Source | None = None
        self.on_frame: Witness | None = None
        self._encoder = _encoder_for(codec)
        self._next_at: float | None = None
        self._sent = 0

    def use(self, codec: str) -> None:
        """Change the codec; before anything was sent."""
        self._encoder = _encoder_for(codec)

    async def recv(self) -> Packet:
        """The next packet, when its time has come; called by aiortc's sender."""
        if self.readyState != "live":
            raise MediaStreamError
        at = await self._tick()
        frame = self._frame(at)
        self._show(frame, at)
        packet = Packet(self._encoder.encode(frame))
        packet.pts = self._sent * self._encoder.clock_rate // 50
        packet.time_base = Fraction(1, self._encoder.clock_rate)
        self._sent += 1
        return packet

    async def _tick(self) -> float:
        now = asyncio.get_running_loop().time()
        due = now if self._next_at is None else self._next_at
        if now - due > MAX_LAG_S:
            due = now
        self._next_at = due + FRAME_S
        if due > now:
            await asyncio.sleep(due - now)
        return due

    def _frame(self, at: float) -> Pcm:
        if self.source is None:
            return _SILENCE
        try:
            frame = self.source(at)
        except Exception:
            # The edge of our code in aiortc's sender, which would fall silent for good.
            logger.exception("the source of outgoing sound failed")
            return _SILENCE
        return _SILENCE if frame is None else frame

    def _show(self, frame: Pcm, at: float) -> None:
        if self.on_frame is None:
            return
        try:
            self.on_frame(frame, at)
        except Exception:
            # The edge of our code in aiortc's sender, as above.
            logger.exception("a witness of outgoing sound failed")
