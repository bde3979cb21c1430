"""Speech known by its samples: espeak-ng says it, and a recogniser by script finds it again.

So a test may use any words at all, while everything between microphone and transcript is real.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from asr.recognition import Audio, HeardWord, Priority, Recognition
from tests.asr.speech import RATE, say

MARK = 512
"""Samples around the loudest one of a tape, by which it is found."""


@dataclass(frozen=True)
class Tape:
    """Words, and what they sound like."""

    text: str
    pcm: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE

    @property
    def mark(self) -> bytes:
        loudest = int(np.abs(self.pcm.astype(np.int32)).argmax())
        start = max(0, min(loudest - MARK // 2, len(self.pcm) - MARK))
        return self.pcm[start : start + MARK].tobytes()


def tape(text: str, *, sounds_like: str | None = None) -> Tape:
    """`sounds_like`: the sound is that of other words; with `text` empty it means nothing."""
    return Tape(text, say(sounds_like or text))


class TapeRecogniser:
    """Gives the text of each tape whose mark is in the audio; obeys `asr.recognition`."""

    model = "tapes"

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s
        self.tapes: dict[bytes, Tape] = {}

    def learn(self, one: Tape) -> None:
        self.tapes[one.mark] = one

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        await asyncio.sleep(self.delay_s)
        heard = np.round(audio * 32_768).astype(np.int16).tobytes()
        found = {heard.find(mark): one for mark, one in self.tapes.items()}
        spoken = [(at, one) for at, one in sorted(found.items()) if at >= 0 and one.text]
        words = tuple(
            HeardWord(one.text, at / 2 / RATE, at / 2 / RATE + 0.1, 0.95) for at, one in spoken
        )
        text = " ".join(one.text for _, one in spoken)
        return Recognition(text, language, -0.05 if text else 0.0, 0.0 if text else 0.9, words)
