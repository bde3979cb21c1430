"""The embedded voice: espeak-ng as a LiveKit TTS, and as a plain function that renders a line."""

import contextlib
import json
import struct
import subprocess

import numpy as np
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts, utils

from tts import espeak_child
from tts.audio import NUM_CHANNELS, SAMPLE_RATE, EvenEdges, Resampler, Samples
from tts.errors import EspeakError
from tts.espeak_process import COMMAND, EspeakProcess, Utterance
from tts.text import speakable

# The package's "en-gb" lacks its file (only regional ones are there), so English is American.
VOICES = {"en": "en-us", "zh": "cmn"}
"""espeak-ng's voice for each language of an interview."""


class EspeakTTS(tts.TTS):
    """Always works: no network, no weights. Give several of them one `process` to share it."""

    def __init__(
        self,
        language: str = "en",
        *,
        voice: str | None = None,
        rate: int = 165,
        pitch: int = 50,
        process: EspeakProcess | None = None,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
        )
        self._voice = voice or VOICES[language]
        self._rate, self._pitch = rate, pitch
        self._owns_process = process is None
        self._process = process or EspeakProcess()

    @property
    def model(self) -> str:
        return f"{self._voice} rate={self._rate} pitch={self._pitch}"

    @property
    def provider(self) -> str:
        return "espeak-ng"

    @property
    def process(self) -> EspeakProcess:
        return self._process

    def utterance(self, text: str) -> Utterance:
        return Utterance(text, self._voice, self._rate, self._pitch)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _EspeakStream(tts=self, input_text=speakable(text), conn_options=conn_options)

    async def aclose(self) -> None:
        if self._owns_process:
            await self._process.aclose()


class _EspeakStream(tts.ChunkedStream):
    _tts: EspeakTTS

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
            mime_type="audio/pcm",
        )
        if not self.input_text:
            return
        process = self._tts.process
        resampler, edges = Resampler(await process.start()), EvenEdges()
        utterance = self._tts.utterance(self.input_text)
        async with contextlib.aclosing(process.speak(utterance)) as pieces:
            async for pcm in pieces:
                output_emitter.push(edges.push(resampler.push(pcm)))
        output_emitter.push(edges.push(resampler.flush()) + edges.flush())
        if not edges.heard_sound:
            raise EspeakError("the embedded voice has no sound for these words", retryable=False)


def render(
    text: str,
    *,
    voice: str = "en-us",
    rate: int = 165,
    pitch: int = 50,
    range: int = 50,
    gap: int = 0,
) -> Samples:
    """One line as int16 samples at `SAMPLE_RATE`, exactly as espeak-ng gives it (edges untouched).

    Blocks for some 50 ms (a process of its own, for one line): call it in a thread from a loop.
    Raises EspeakError. `voice` takes variants ("en-us+f3"), `gap` is in units of 10 ms.
    """
    request = json.dumps(vars(Utterance(text, voice, rate, pitch, range, gap)) | {"id": 1})
    done = subprocess.run(
        [*COMMAND, "--once"], input=request.encode() + b"\n", stdout=subprocess.PIPE, check=False
    )
    if done.returncode != 0:
        raise EspeakError(f"the embedded voice's process ended with {done.returncode}")
    return _parse(done.stdout)


def _parse(output: bytes) -> Samples:
    header, at, rate, pcm = espeak_child.HEADER, 0, 0, bytearray()
    while at < len(output):
        try:
            _, kind, length = header.unpack_from(output, at)
        except struct.error as error:
            raise EspeakError("the embedded voice's process was cut short") from error
        payload = output[at + header.size : at + header.size + length]
        at += header.size + length
        match kind:
            case espeak_child.READY:
                rate = int(payload)
            case espeak_child.AUDIO:
                pcm += payload
            case espeak_child.ERROR:
                raise EspeakError(payload.decode(), retryable=False)
    resampler = Resampler(rate)
    return np.frombuffer(resampler.push(bytes(pcm)) + resampler.flush(), np.int16)
