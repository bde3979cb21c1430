"""Voices that obey LiveKit's TTS and do as they are told."""

import asyncio
from collections.abc import Callable, Iterator

import numpy as np
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    APIConnectionError,
    APIConnectOptions,
    tts,
)

from tts.audio import SAMPLE_RATE

UNIT_S = 1 / 15
"""Seconds of tone for each character."""


class ToneVoice(tts.TTS):
    """Says a text as a steady value, as long as the text; `fails` decides, sentence by sentence."""

    def __init__(
        self,
        name: str,
        value: int,
        *,
        fail_after: Callable[[str], float | None] = lambda text: None,
        error: Callable[[], Exception] = lambda: APIConnectionError("down", retryable=False),
        rate: int = SAMPLE_RATE,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False), sample_rate=rate, num_channels=1
        )
        self.name, self.value, self.fail_after, self.error = name, value, fail_after, error
        self.asked: list[str] = []
        self.closed = False
        self.active = self.most_active = 0
        self.hold: asyncio.Event | None = None
        """When set, a sentence waits for it before its end."""

    @property
    def provider(self) -> str:
        return "test"

    @property
    def model(self) -> str:
        return self.name

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        self.asked.append(text)
        return _ToneStream(tts=self, input_text=text, conn_options=conn_options)

    async def aclose(self) -> None:
        self.closed = True


class _ToneStream(tts.ChunkedStream):
    _tts: ToneVoice

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        voice = self._tts
        output_emitter.initialize(
            request_id="1", sample_rate=voice.sample_rate, num_channels=1, mime_type="audio/pcm"
        )
        fail_after = voice.fail_after(self.input_text)
        voice.active += 1
        voice.most_active = max(voice.active, voice.most_active)
        try:
            for chunk in self._chunks(fail_after):
                output_emitter.push(chunk)
                output_emitter.flush()
                await asyncio.sleep(0)
            if voice.hold:
                await voice.hold.wait()
        finally:
            voice.active -= 1
        if fail_after is not None:
            # What was said before has been heard, as with a service that stops later on.
            for _ in range(20):
                await asyncio.sleep(0)
            raise voice.error()

    def _chunks(self, fail_after: float | None) -> Iterator[bytes]:
        length_s = len(self.input_text) * UNIT_S if fail_after is None else fail_after
        samples = np.full(round(length_s * self._tts.sample_rate), self._tts.value, np.int16)
        for i in range(0, len(samples), self._tts.sample_rate // 10):
            yield samples[i : i + self._tts.sample_rate // 10].tobytes()


def runs(pcm: bytes) -> list[tuple[int, float]]:
    """What was heard, in order: (value, seconds)."""
    samples = np.frombuffer(pcm, np.int16)
    edges = np.flatnonzero(np.diff(samples)) + 1
    parts = np.split(samples, edges)
    return [(int(part[0]), round(len(part) / SAMPLE_RATE, 2)) for part in parts if len(part) > 240]
