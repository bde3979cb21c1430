"""The interviewer's voice on its way out: queued fast, played in real time, across reconnects.

Sound comes in segments (`capture_frame`... `flush`), faster than real time. The attached peer's
track asks for 20 ms at a time, and that is when it counts as played. While no peer is attached, a
timer of our own asks instead and what it gets is lost, so that a segment still ends and nobody
waits for ever. Each segment ends with exactly one `playback_finished`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc
from livekit.agents.voice import io
from numpy.typing import NDArray

from server.media.outgoing import FRAME, FRAME_S, SAMPLE_RATE, OutgoingTrack
from server.media.resample import Resampler

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]
Tap = Callable[[rtc.AudioFrame, float], None]
"""Called with a frame that was really played, and the loop time of its first sample."""


@dataclass
class _Segment:
    waiting: deque[Pcm] = field(default_factory=deque)
    ready: int = 0
    """Samples waiting."""
    played: int = 0
    started: bool = False
    flushed: bool = False

    def push(self, pcm: Pcm) -> None:
        self.waiting.append(pcm)
        self.ready += len(pcm)

    def take(self, count: int) -> Pcm:
        """The next `count` samples, or what there is."""
        parts, missing = [], min(count, self.ready)
        while missing:
            head = self.waiting.popleft()
            if len(head) > missing:
                self.waiting.appendleft(head[missing:])
                head = head[:missing]
            parts.append(head)
            missing -= len(head)
            self.ready -= len(head)
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


class RtcAudioOutput(io.AudioOutput):
    """Paces an AgentSession's speech to whichever peer is attached."""

    def __init__(self) -> None:
        super().__init__(
            label="EmbeddedWebRTC",
            capabilities=io.AudioOutputCapabilities(pause=True),
            sample_rate=SAMPLE_RATE,
        )
        self.on_played: Tap | None = None
        self._loop = asyncio.get_running_loop()
        self._segments: deque[_Segment] = deque()
        self._open: _Segment | None = None
        self._refusing = False
        """The open segment was cleared: what is still captured of it is not wanted."""
        self._ending: asyncio.TimerHandle | None = None
        self._paused = False
        self._track: OutgoingTrack | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._resampler: Resampler | None = None
        self._rate = SAMPLE_RATE

    # The way out.

    def attach(self, track: OutgoingTrack) -> None:
        """Play to this track from now on; a segment in the middle goes on there."""
        self.detach()
        self._track = track
        track.source = self._next_frame
        track.once("ended", lambda: self._ended(track))
        self._stop_idling()

    def detach(self) -> None:
        """Play to nobody, in the same time."""
        if self._track is not None:
            self._track.source = None
            self._track = None
        self._start_idling()

    def close(self) -> None:
        """Forget everything; segments that were not over end as interrupted."""
        self.clear_buffer()
        self.detach()
        self._stop_idling()

    def _ended(self, track: OutgoingTrack) -> None:
        if self._track is track:
            self.detach()

    # What AgentSession calls.

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._refusing:
            return
        if self._open is None:
            self._open = _Segment()
            self._segments.append(self._open)
        self._open.push(self._at_our_rate(frame))
        self._start_idling()

    def flush(self) -> None:
        super().flush()
        self._refusing = False
        if self._open is not None:
            self._open.flushed = True
            self._open = None

    def clear_buffer(self) -> None:
        self._refusing = self._refusing or self._open is not None
        self._open = None
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        while self._segments:
            self._finish(self._segments.popleft(), interrupted=True)

    def pause(self) -> None:
        super().pause()
        self._paused = True

    def resume(self) -> None:
        super().resume()
        self._paused = False

    @property
    def playing(self) -> bool:
        """Whether there is something left to say."""
        return bool(self._segments)

    # Playing.

    def _next_frame(self, at: float) -> Pcm | None:
        """20 ms to be heard from `at` on, or None."""
        if self._paused or self._ending is not None or not self._segments:
            return None
        segment = self._segments[0]
        if segment.ready < FRAME and not segment.flushed:
            return None  # the voice has fallen behind; a broken frame would click
        sound = segment.take(FRAME)
        if len(sound):
            self._played(segment, sound, at)
        if segment.flushed and not segment.ready:
            # Over when its last sample has been heard, not when it was sent.
            self._ending = self._loop.call_later(len(sound) / SAMPLE_RATE, self._end, segment)
        return np.concatenate((sound, np.zeros(FRAME - len(sound), np.int16)))

    def _played(self, segment: _Segment, sound: Pcm, at: float) -> None:
        if not segment.started:
            segment.started = True
            _safely(lambda: self.on_playback_started(created_at=time.time()))
        segment.played += len(sound)
        if self.on_played is not None:
            self.on_played(rtc.AudioFrame(sound.tobytes(), SAMPLE_RATE, 1, len(sound)), at)

    def _end(self, segment: _Segment) -> None:
        self._ending = None
        self._segments.popleft()
        self._finish(segment, interrupted=False)

    def _finish(self, segment: _Segment, *, interrupted: bool) -> None:
        position = segment.played / SAMPLE_RATE
        _safely(
            lambda: self.on_playback_finished(playback_position=position, interrupted=interrupted)
        )

    def _at_our_rate(self, frame: rtc.AudioFrame) -> Pcm:
        """AgentSession resamples to the rate we ask for; other callers may not."""
        pcm = np.frombuffer(frame.data, np.int16)
        if frame.num_channels > 1:
            pcm = pcm.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
        if frame.sample_rate == SAMPLE_RATE:
            return pcm
        if self._resampler is None or self._rate != frame.sample_rate:
            self._rate = frame.sample_rate
            self._resampler = Resampler(frame.sample_rate, SAMPLE_RATE)
        return self._resampler.push(pcm)

    # Time without a peer.

    def _start_idling(self) -> None:
        if self._track is None and self._idle is None and self._segments:
            self._idle = self._loop.call_later(FRAME_S, self._idle_tick, self._loop.time())

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idle_tick(self, at: float) -> None:
        self._idle = None
        if not self._segments:
            return
        self._next_frame(at)
        due = at + FRAME_S
        self._idle = self._loop.call_at(due + FRAME_S, self._idle_tick, due)


def _safely(report: Callable[[], None]) -> None:
    try:
        report()
    except Exception:
        # A listener's TypeError is raised through the emitter; it must not stop the voice.
        logger.exception("a playback listener failed")
