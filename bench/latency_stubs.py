"""Recogniser, model and voice of fixed delay, the same for every arm, each counting its calls.

Nothing here depends on speed of the machine: what is left to measure is the framework around them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    LanguageCode,
    NotGivenOr,
    llm,
    stt,
    tts,
    utils,
)

from agent.interview import Interview
from agent.moves import NextQuestion
from agent.turn import Decided, Words
from asr.recognition import Audio, Priority, Recognition

VOICE_RATE = 24_000
SAID = (
    "we built the service in small steps and then moved every table across during one weekend "
    "because our largest customer needed reports before Monday while another team measured how "
    "long each request took under load so that nobody had to guess which index was missing when "
    "traffic doubled after lunch I wrote tests around old code first since its author had left "
    "later they asked me about queues retries caching deployment alerts budgets and hiring"
)
WORDS = SAID.split()
WORDS_PER_S = 2.3


@dataclass(frozen=True)
class Delays:
    """Seconds."""

    recogniser: float = 0.10
    """From a piece of audio to its text."""
    model: float = 0.25
    """From the request to the decision, or to the words of a reply."""
    voice: float = 0.15
    """From a line to its first frame."""
    commit: float = 0.005
    """Until a settled turn is durable; only ours waits for that."""


@dataclass
class Calls:
    """What one session asked for."""

    recogniser: int = 0
    interim: int = 0
    """Of ours, for captions; not in `recogniser`."""
    recognised_s: float = 0.0
    """Seconds of audio sent, without interims."""
    model_at: list[float] = field(default_factory=list)
    """Loop times of the requests to the model."""
    voice: int = 0
    heard: int = 0
    """Replies that sounded."""

    @property
    def model(self) -> int:
        return len(self.model_at)

    def ask_model(self) -> None:
        self.model_at.append(asyncio.get_running_loop().time())


@dataclass
class Script:
    """The words of one session's speaker: natural and ever different, or always the same."""

    always: str | None = None
    _at: int = 0

    def words(self, seconds: float) -> str:
        if self.always is not None:
            return self.always
        count = max(1, round(seconds * WORDS_PER_S))
        said = [WORDS[(self._at + i) * 7 % len(WORDS)] for i in range(count)]
        self._at += count
        return " ".join(said)


@dataclass
class ScriptedRecogniser:
    """Behind `asr.WhisperSTT`; obeys `asr.recognition.Recogniser`."""

    delays: Delays
    calls: Calls
    script: Script = field(default_factory=Script)
    model: str = "script"

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        seconds = len(audio) / 16_000
        interim = priority is Priority.INTERIM
        self.calls.interim += interim
        self.calls.recogniser += not interim
        self.calls.recognised_s += 0.0 if interim else seconds
        await asyncio.sleep(self.delays.recogniser)
        # An interim is heard again when it is final: its words are not used up.
        script = Script(self.script.always, self.script._at) if interim else self.script
        text = script.words(max(0.2, seconds - 0.7))
        return Recognition(text, language, -0.2 if text else 0.0, 0.05 if text else 0.95)


class ScriptedSTT(stt.STT):
    """For LiveKit, which puts its own StreamAdapter around it."""

    def __init__(self, delays: Delays, calls: Calls, script: Script) -> None:
        super().__init__(capabilities=stt.STTCapabilities(streaming=False, interim_results=False))
        self._delays, self._calls, self._script = delays, calls, script

    async def _recognize_impl(
        self,
        buffer: utils.AudioBuffer,
        *,
        language: NotGivenOr[str] = NOT_GIVEN,
        conn_options: APIConnectOptions,
    ) -> stt.SpeechEvent:
        frames = buffer if isinstance(buffer, list) else [buffer]
        seconds = sum(frame.duration for frame in frames)
        self._calls.recogniser += 1
        self._calls.recognised_s += seconds
        await asyncio.sleep(self._delays.recogniser)
        said = stt.SpeechData(LanguageCode("en"), self._script.words(max(0.2, seconds - 0.7)))
        return stt.SpeechEvent(stt.SpeechEventType.FINAL_TRANSCRIPT, alternatives=[said])


class StubLLM(llm.LLM):
    """Says the same reply to everything."""

    def __init__(self, delays: Delays, calls: Calls, reply: str) -> None:
        super().__init__()
        self.delays, self.calls, self.reply = delays, calls, reply

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: Any = NOT_GIVEN,
        tool_choice: Any = NOT_GIVEN,
        extra_kwargs: Any = NOT_GIVEN,
    ) -> llm.LLMStream:
        return _StubStream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _StubStream(llm.LLMStream):
    async def _run(self) -> None:
        stub = self._llm
        assert isinstance(stub, StubLLM)
        stub.calls.ask_model()
        await asyncio.sleep(stub.delays.model)
        delta = llm.ChoiceDelta(role="assistant", content=stub.reply)
        self._event_ch.send_nowait(llm.ChatChunk(id=utils.shortuuid(), delta=delta))


class StubTTS(tts.TTS):
    """A tone for LiveKit, which puts its own sentence adapter around it."""

    def __init__(self, delays: Delays, calls: Calls) -> None:
        super().__init__(
            capabilities=tts.TTSCapabilities(streaming=False),
            sample_rate=VOICE_RATE,
            num_channels=1,
        )
        self.delays, self.calls = delays, calls

    def synthesize(
        self, text: str, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return _Tone(tts=self, input_text=text, conn_options=conn_options)


class _Tone(tts.ChunkedStream):
    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        stub = self._tts
        assert isinstance(stub, StubTTS)
        stub.calls.voice += 1
        await asyncio.sleep(stub.delays.voice)
        output_emitter.initialize(
            request_id=utils.shortuuid(),
            sample_rate=VOICE_RATE,
            num_channels=1,
            mime_type="audio/pcm",
        )
        output_emitter.push(tone(self.input_text).tobytes())
        output_emitter.flush()


class StubVoice:
    """The same tone for our interviewer; obeys `agent.ports.Voice`."""

    def __init__(self, delays: Delays, calls: Calls, *, rendered: bool = False) -> None:
        """`rendered`: as if every line had been rendered before."""
        self._delays, self._calls, self._rendered = delays, calls, rendered

    async def speak(self, text: str, reply_id: str) -> AsyncIterator[rtc.AudioFrame]:
        self._calls.voice += 1
        if not self._rendered:
            await asyncio.sleep(self._delays.voice)
        pcm, step = tone(text), VOICE_RATE // 10
        for at in range(0, len(pcm), step):
            piece = pcm[at : at + step]
            yield rtc.AudioFrame(piece.tobytes(), VOICE_RATE, 1, len(piece))


class StubDecider:
    """Moves on to the next question; obeys `agent.ports.Decider`."""

    def __init__(self, delays: Delays, calls: Calls) -> None:
        self._delays, self._calls = delays, calls

    async def decide(
        self, interview: Interview, at: float, turn_ended: asyncio.Event
    ) -> AsyncIterator[Words | Decided]:
        self._calls.ask_model()
        await asyncio.sleep(self._delays.model)
        move = NextQuestion(acknowledgement="Thank you.")
        if not interview.legal(at).moves or "next_question" not in interview.legal(at).moves:
            yield Decided(interview.reply(interview.default(at), at))
        else:
            yield Decided(interview.reply(move, at))


def tone(text: str) -> np.ndarray:
    """As long as it takes to say the text, loud from the first sample."""
    seconds = max(0.6, 0.06 * len(text))
    wave = np.sin(np.arange(round(seconds * VOICE_RATE)) * (2 * np.pi * 220 / VOICE_RATE) + 0.5)
    return np.asarray(wave * 8000, np.int16)
