"""A turn detector that does not let a turn end before all of it has been heard.

LiveKit ends a turn once its detector has answered and a delay has passed, whatever the recogniser
still has in hand; a late segment would then become a second turn. This wraps the detector: its
answer is given when the model has answered *and* the STT has nothing open, in recognition or
without a final *and* the session has taken the final in. `extra_hold` may ask for more silence
still, after "let me think".
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from livekit import rtc
from livekit.agents import (
    DEFAULT_API_CONNECT_OPTIONS,
    AgentSession,
    APIConnectOptions,
    LanguageCode,
    UserInputTranscribedEvent,
)
from livekit.agents.voice.turn import (
    TurnDetectionEvent,
    _StreamingTurnDetector,
    _StreamingTurnDetectorStream,
)

from asr.heard import Pending

logger = logging.getLogger(__name__)

ExtraHold = Callable[[str], float]
"""The turn's text so far -> seconds of silence before it may end; 0 leaves it to the model."""

_PREDICT_AFTER_S = 0.2
"""LiveKit asks for a prediction after so much silence."""


class Hearing(Protocol):
    """What the gate needs of `asr.stt.WhisperSTT`."""

    @property
    def pending(self) -> Pending: ...

    finals: int

    def on_change(self, callback: Callable[[], None]) -> None: ...


class TurnGate:
    """Given to `AgentSession` as its `turn_detection`; call `attach(session)` before it starts."""

    def __init__(
        self,
        detector: _StreamingTurnDetector,
        hearing: Hearing,
        *,
        timeout_s: float = 3.0,
        extra_hold: ExtraHold | None = None,
        max_hold_s: float = 120.0,
    ) -> None:
        """`timeout_s`: for how long the recogniser is waited for; then the turn ends without it."""
        self._detector = detector
        self.hearing = hearing
        self.timeout_s = timeout_s
        self.extra_hold = extra_hold
        self.max_hold_s = max_hold_s
        self._acknowledged = 0
        self._text: list[str] = []
        self._streams: list[GateStream] = []
        hearing.on_change(self._look)

    def attach(self, session: AgentSession) -> None:
        """Learn from the session which finals it has taken in."""
        session.on("user_input_transcribed", self.acknowledge)

    def acknowledge(self, event: UserInputTranscribedEvent) -> None:
        if event.is_final:
            self._acknowledged = min(self._acknowledged + 1, self.hearing.finals)
            self._text.append(event.transcript)
            self._look()

    @property
    def model(self) -> str:
        return self._detector.model

    @property
    def provider(self) -> str:
        return self._detector.provider

    @property
    def text(self) -> str:
        """Of the turn so far."""
        return " ".join(self._text)

    @property
    def settled(self) -> bool:
        return self.hearing.pending.settled and self._acknowledged >= self.hearing.finals

    def stream(
        self, *, conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS
    ) -> "GateStream":
        stream = GateStream(self, self._detector.stream(conn_options=conn_options))
        self._streams.append(stream)
        return stream

    # The streams report here.

    def _turn_over(self) -> None:
        self._text.clear()
        # A final that the session never took (it was closing, or cleared the turn) is forgotten.
        self._acknowledged = self.hearing.finals

    def _closed(self, stream: "GateStream") -> None:
        self._streams.remove(stream)

    def _look(self) -> None:
        for stream in self._streams:
            stream._look()


class GateStream:
    """Implements livekit.agents.voice.turn._StreamingTurnDetectorStream."""

    def __init__(self, gate: TurnGate, inner: _StreamingTurnDetectorStream) -> None:
        self._gate = gate
        self._inner = inner
        self._asked: asyncio.Future[TurnDetectionEvent] | None = None
        self._task: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()

    @property
    def model(self) -> str:
        return self._inner.model

    @property
    def provider(self) -> str:
        return self._inner.provider

    @property
    def is_fallback(self) -> bool:
        return self._inner.is_fallback

    @property
    def prediction_timeout(self) -> float:
        """LiveKit's, which commits without an answer: ours comes first."""
        return self._gate.timeout_s + self._gate.max_hold_s + 1.0

    async def unlikely_threshold(self, language: LanguageCode | None) -> float | None:
        return await self._inner.unlikely_threshold(language)

    async def backchannel_threshold(self, language: LanguageCode | None) -> float | None:
        return await self._inner.backchannel_threshold(language)

    async def supports_language(self, language: LanguageCode | None) -> bool:
        return await self._inner.supports_language(language)

    def predict(self) -> "asyncio.Future[TurnDetectionEvent]":
        self._end()
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[TurnDetectionEvent] = loop.create_future()
        self._asked = asked
        silent_since = loop.time() - _PREDICT_AFTER_S
        self._task = asyncio.create_task(self._answer(asked, self._inner.predict(), silent_since))
        return asked

    def cancel_inference(self, *, timed_out: bool = False) -> None:
        self._inner.cancel_inference(timed_out=timed_out)
        self._end()

    def flush(self, reason: str | None = None) -> None:
        self._inner.flush(reason)
        self._gate._turn_over()
        self._end()

    def push_audio(self, frame: rtc.AudioFrame) -> None:
        self._inner.push_audio(frame)

    def end_input(self) -> None:
        self._inner.end_input()

    async def aclose(self) -> None:
        self._gate._closed(self)
        self._end()
        await self._inner.aclose()

    async def _answer(
        self,
        asked: "asyncio.Future[TurnDetectionEvent]",
        model: "asyncio.Future[TurnDetectionEvent]",
        silent_since: float,
    ) -> None:
        event = _undecided()
        try:
            event = await self._heard_out(model)
            await self._hold(silent_since)
        except Exception:
            # This task's outermost edge: the session waits for an answer whatever happens here.
            logger.exception("the end of the turn could not be decided")
        if not asked.done():
            asked.set_result(event)

    async def _heard_out(self, model: "asyncio.Future[TurnDetectionEvent]") -> TurnDetectionEvent:
        try:
            async with asyncio.timeout(self._gate.timeout_s):
                while not self._gate.settled:
                    self._settled.clear()
                    await self._settled.wait()
                return await asyncio.shield(model)
        except TimeoutError:
            logger.warning(
                "the turn ends after %.1f s without all of it recognised", self._gate.timeout_s
            )
        return model.result() if model.done() and not model.cancelled() else _undecided()

    async def _hold(self, silent_since: float) -> None:
        loop = asyncio.get_running_loop()
        # Asked again and again: the session may shorten the hold while it lasts.
        while (silence := loop.time() - silent_since) < (hold_s := self._wanted_s()):  # noqa: ASYNC110
            await asyncio.sleep(min(0.2, hold_s - silence))

    def _wanted_s(self) -> float:
        if self._gate.extra_hold is None:
            return 0.0
        return min(self._gate.extra_hold(self._gate.text), self._gate.max_hold_s)

    def _look(self) -> None:
        if self._gate.settled:
            self._settled.set()

    def _end(self) -> None:
        """The question is no longer of interest: the candidate speaks on, or the turn is over."""
        task, asked = self._task, self._asked
        self._task = self._asked = None
        if task is not None:
            task.cancel()
        if asked is not None and not asked.done():
            asked.set_result(_undecided())


def _undecided() -> TurnDetectionEvent:
    return TurnDetectionEvent(
        type="eot_prediction", last_speaking_time=time.time(), end_of_turn_probability=0.0
    )
