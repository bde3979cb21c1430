"""A turn detector by script, and an AgentSession without a room that hears audio in real time."""

import asyncio
import time
from collections.abc import AsyncIterable, Callable

import numpy as np
from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    Agent,
    AgentSession,
    APIConnectOptions,
    LanguageCode,
    ModelSettings,
    StopResponse,
    inference,
    io,
    llm,
)
from livekit.agents.voice.turn import TurnDetectionEvent

FRAME = 320


class ScriptedDetector:
    """As sure of the end of the turn as it is told, after `delay_s`."""

    model = "script"
    provider = "test"

    def __init__(self, probability: float = 0.9, delay_s: float = 0.05) -> None:
        self.probability = probability
        self.delay_s = delay_s

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "ScriptedStream":
        return ScriptedStream(self)


class ScriptedStream:
    model = "script"
    provider = "test"
    is_fallback = False
    prediction_timeout = 1.0

    def __init__(self, detector: ScriptedDetector) -> None:
        self._detector = detector
        self.cancelled = 0
        self.flushed: list[str | None] = []

    async def unlikely_threshold(self, language: LanguageCode | None) -> float | None:
        return 0.36

    async def backchannel_threshold(self, language: LanguageCode | None) -> float | None:
        return None

    async def supports_language(self, language: LanguageCode | None) -> bool:
        return True

    def predict(self) -> "asyncio.Future[TurnDetectionEvent]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TurnDetectionEvent] = loop.create_future()
        event = TurnDetectionEvent("eot_prediction", self._detector.probability, time.time())
        loop.call_later(self._detector.delay_s, lambda: future.done() or future.set_result(event))
        return future

    def cancel_inference(self, *, timed_out: bool = False) -> None:
        self.cancelled += 1

    def flush(self, reason: str | None = None) -> None:
        self.flushed.append(reason)

    def push_audio(self, frame: rtc.AudioFrame) -> None: ...

    def end_input(self) -> None: ...

    async def aclose(self) -> None: ...


class Microphone(io.AudioInput):
    """Plays 16 kHz audio in real time, then silence."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._pcm = np.zeros(0, np.int16)
        self._next = 0.0

    def say(self, *audio: np.ndarray) -> float:
        """Seconds that it takes."""
        self._pcm = np.concatenate([self._pcm, *audio])
        return sum(len(a) for a in audio) / 16_000

    async def __anext__(self) -> rtc.AudioFrame:
        now = asyncio.get_running_loop().time()
        self._next = max(self._next, now - 0.5) + FRAME / 16_000
        await asyncio.sleep(max(0.0, self._next - now))
        piece, self._pcm = self._pcm[:FRAME], self._pcm[FRAME:]
        piece = np.pad(piece, (0, FRAME - len(piece)))
        return rtc.AudioFrame(piece.tobytes(), 16_000, 1, FRAME)


class StubLLM(llm.LLM):
    """Never asked: the agent's llm_node answers."""

    def chat(self, **_: object) -> llm.LLMStream:
        raise NotImplementedError


class Listener(Agent):
    """Takes turns down, with the time of each, and says nothing."""

    def __init__(self) -> None:
        super().__init__(instructions="")
        self.turns: list[tuple[float, str]] = []

    async def llm_node(
        self, chat_ctx: llm.ChatContext, tools: list[llm.Tool], model_settings: ModelSettings
    ) -> AsyncIterable[str]:
        yield "Noted."

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        self.turns.append((time.monotonic(), new_message.text_content or ""))
        raise StopResponse


def session(hearing: object, detector: object, **endpointing: float) -> AgentSession:
    return AgentSession(
        stt=hearing,  # type: ignore[arg-type]
        vad=inference.VAD(min_silence_duration=0.25),
        llm=StubLLM(),
        turn_handling={
            "turn_detection": detector,  # type: ignore[typeddict-item]
            "endpointing": {"mode": "fixed", "min_delay": 0.5, "max_delay": 2.0, **endpointing},  # type: ignore[typeddict-item]
            "interruption": {"mode": "vad"},
            "preemptive_generation": {"enabled": False},
        },
        aec_warmup_duration=None,
        session_close_transcript_timeout=0.0,
    )


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 — any condition at all
            await asyncio.sleep(0.02)
