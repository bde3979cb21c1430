"""A microphone and a loudspeaker in memory: the call's own input and output, without a wire."""

from __future__ import annotations

import asyncio

import numpy as np
from livekit import rtc

from server.media.input import FRAME, SAMPLE_RATE, RtcAudioInput
from server.media.output import RtcAudioOutput

LOUD = 200


class Microphone(RtcAudioInput):
    """The call's own audio input, fed in real time with what is said, and silence else."""

    def __init__(self) -> None:
        super().__init__()
        self._pcm = np.zeros(0, np.int16)
        self._playing = asyncio.create_task(self._play(), name="microphone")

    def say(self, pcm: np.ndarray) -> None:
        self._pcm = np.concatenate([self._pcm, pcm])

    @property
    def left_s(self) -> float:
        """Seconds that are still to be played."""
        return len(self._pcm) / SAMPLE_RATE

    def detach(self) -> None:
        self._playing.cancel()
        super().detach()

    async def _play(self) -> None:
        due = asyncio.get_running_loop().time()
        while True:
            piece, self._pcm = self._pcm[:FRAME], self._pcm[FRAME:]
            self.feed(np.pad(piece, (0, FRAME - len(piece))), SAMPLE_RATE, due)
            due += FRAME / SAMPLE_RATE
            await asyncio.sleep(due - asyncio.get_running_loop().time())


class Loudspeaker:
    """What was really played, and when; loop time."""

    def __init__(self) -> None:
        self.output = RtcAudioOutput()
        self.output.on_played = self._played
        self.output.detach()  # without a peer it plays to nobody, in the same time
        self.loud_until = 0.0
        self.played_s = 0.0

    def _played(self, frame: rtc.AudioFrame, at: float) -> None:
        self.played_s += frame.duration
        if np.abs(np.frombuffer(frame.data, np.int16)).max() > LOUD:
            self.loud_until = at + frame.duration
