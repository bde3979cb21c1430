"""The candidate's sound as LiveKit wants it: 16 kHz mono frames of 20 ms, across reconnects."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import numpy as np
from livekit import rtc
from livekit.agents.voice import io
from numpy.typing import NDArray

from server.media.peer import Peer
from server.media.resample import Resampler

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]
Tap = Callable[[rtc.AudioFrame, float], None]
"""Called with a frame and the loop time at which its first sample was sent."""

SAMPLE_RATE = 16000
FRAME = SAMPLE_RATE // 50
MAX_WAITING = 500
"""Frames (10 s) kept for a session that is about to begin; older ones are dropped."""


class RtcAudioInput(io.AudioInput):
    """Yields what the attached peer hears; without one it waits. `close` ends the iteration."""

    def __init__(self) -> None:
        super().__init__(label="EmbeddedWebRTC")
        self.on_heard: Tap | None = None
        self.dropped = 0
        """Frames that no one came for."""
        self._waiting: deque[rtc.AudioFrame] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._peer: Peer | None = None
        self._resampler: Resampler | None = None
        self._source_rate = 0
        self._rest: Pcm = np.zeros(0, np.int16)

    def attach(self, peer: Peer) -> None:
        """Hear this peer from now on."""
        self.detach()
        self._peer = peer
        peer.on_heard(self.feed)

    def detach(self) -> None:
        if self._peer is not None:
            self._peer.on_heard(None)
        self._peer = self._resampler = None
        self._rest = self._rest[:0]

    def feed(self, pcm: Pcm, rate: int, at: float) -> None:
        """A stretch of sound that was sent at the loop time `at`."""
        if self._resampler is None or rate != self._source_rate:
            self._resampler, self._source_rate = Resampler(rate, SAMPLE_RATE), rate
        begin = at - self._resampler.delay - len(self._rest) / SAMPLE_RATE
        sound = np.concatenate((self._rest, self._resampler.push(pcm)))
        whole = len(sound) - len(sound) % FRAME
        for start in range(0, whole, FRAME):
            self._deliver(sound[start : start + FRAME], begin + start / SAMPLE_RATE)
        self._rest = sound[whole:]

    def on_detached(self) -> None:
        """The session does not listen now: what waits would be stale when it does again."""
        self._waiting.clear()

    def close(self) -> None:
        self.detach()
        self._closed = True
        self._wake.set()

    async def __anext__(self) -> rtc.AudioFrame:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()
        return self._waiting.popleft()

    def _deliver(self, sound: Pcm, at: float) -> None:
        frame = rtc.AudioFrame(sound.tobytes(), SAMPLE_RATE, 1, FRAME)
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(frame)
        self._wake.set()
        if self.on_heard is not None:
            self.on_heard(frame, at)
