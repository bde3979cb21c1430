"""The local neural voice: a sherpa-onnx model as a LiveKit TTS, spoken clause by clause.

The first clause is on its way out while the next is computed. Each clause's end is told with the
audio, as edge-tts tells its words: a voice that takes over goes on with the clause that was not
given whole. A clause without a sound is an error, so that no words are lost in silence.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import numpy as np
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, tts, utils
from livekit.agents.types import TimedString

from tts.audio import NUM_CHANNELS, SAMPLE_RATE, EvenEdges, Resampler, seconds
from tts.clauses import clauses
from tts.errors import NeuralError
from tts.espeak_process import EspeakProcess
from tts.neural_process import Clause, NeuralProcess
from tts.text import speakable

PATIENCE_S = 4.0
"""How long a clause may let its first audio wait, others' turns and the model's loading included,
before another voice says it."""
_QUIET = 160


class NeuralTTS(tts.TTS):
    """`process` and `spelling` are shared, and closed by whoever made them. Raises `VoiceUnusable`
    for a language that the model does not speak."""

    def __init__(
        self,
        process: NeuralProcess,
        spelling: EspeakProcess,
        language: str = "en",
        *,
        speaker: int = 0,
        speed: float = 1.0,
        patience_s: float = PATIENCE_S,
    ) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False, aligned_transcript=True),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
        )
        self.process, self.patience_s = process, patience_s
        self._spelling, self._phonemes = spelling, process.folder.phonemes(language)
        self._speaker, self._speed = speaker, speed

    @property
    def model(self) -> str:
        folder = self.process.folder
        made_of = f"{folder.path.name} {folder.family} {folder.fingerprint}"
        return f"{made_of} speaker={self._speaker} speed={self._speed:g}"

    @property
    def provider(self) -> str:
        return "sherpa-onnx"

    def split(self, text: str) -> list[str]:
        """The pieces that the model is given, one after the other."""
        return clauses(text)

    async def clause(self, text: str) -> Clause:
        """What the model is asked for; raises `EspeakError` where there are no phonemes."""
        spelled = None
        if self._phonemes is not None:
            spelled = await self._spelling.phonemes(text, self._phonemes)
        return Clause(text, spelled, self._speaker, self._speed)

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _NeuralStream(tts=self, input_text=speakable(text), conn_options=conn_options)


class _NeuralStream(tts.ChunkedStream):
    _tts: NeuralTTS

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=SAMPLE_RATE,
            num_channels=NUM_CHANNELS,
            mime_type="audio/pcm",
        )
        if not self.input_text:
            return
        sound = _Sound(await self._loaded_rate(), output_emitter)
        for text in self._tts.split(self.input_text):
            async with contextlib.aclosing(self._patiently(text)) as pieces:
                async for pcm in pieces:
                    sound.push(pcm)
            sound.end_clause(text)
        sound.end()

    async def _loaded_rate(self) -> int:
        try:
            async with asyncio.timeout(self._tts.patience_s):
                return (await self._tts.process.start()).sample_rate
        except TimeoutError:
            raise NeuralError("the local voice is still loading", retryable=False) from None

    async def _patiently(self, text: str) -> AsyncGenerator[bytes, None]:
        """The clause's audio, as long as it keeps coming."""
        clause = await self._tts.clause(text)
        async with contextlib.aclosing(self._tts.process.speak(clause)) as pieces:
            while True:
                try:
                    async with asyncio.timeout(self._tts.patience_s):
                        pcm = await anext(pieces, None)
                except TimeoutError:
                    raise NeuralError("the local voice is too slow", retryable=False) from None
                if pcm is None:
                    return
                yield pcm


class _Sound:
    """What goes out of one sentence: at our rate, with even edges, the clauses' ends told."""

    def __init__(self, rate: int, emitter: tts.AudioEmitter) -> None:
        self._emitter = emitter
        self._resampler, self._edges = Resampler(rate), EvenEdges(quiet=_QUIET)
        self._given_s = self._clause_from_s = 0.0
        self._loud = False

    def push(self, pcm: bytes) -> None:
        samples = np.frombuffer(pcm, np.int16)
        self._loud |= bool(((samples > _QUIET) | (samples < -_QUIET)).any())
        self._give(self._edges.push(self._resampler.push(pcm)))

    def end_clause(self, text: str) -> None:
        if not self._loud:
            raise NeuralError("the local voice has no sound for these words", retryable=False)
        told = TimedString(text, start_time=self._clause_from_s, end_time=self._given_s)
        self._emitter.push_timed_transcript(told)
        self._emitter.flush()
        self._clause_from_s, self._loud = self._given_s, False

    def end(self) -> None:
        self._give(self._edges.push(self._resampler.flush()) + self._edges.flush())

    def _give(self, pcm: bytes) -> None:
        if pcm:
            self._emitter.push(pcm)
            self._given_s += seconds(pcm)
