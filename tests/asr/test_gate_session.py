"""The gate in a real AgentSession that hears espeak-ng in real time, without a room."""

import asyncio
import time
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest
from livekit.agents import inference

from asr.engine import Engine
from asr.gate import TurnGate
from asr.heard import HeardSegment
from asr.recognition import Audio, Priority, Recognition
from asr.stt import WhisperSTT
from tests.asr.speech import errors, say, silence
from tests.asr.turns import Listener, Microphone, ScriptedDetector, session, until

pytestmark = pytest.mark.session

FIRST = "I worked as a nurse for five years."
SECOND = "We finished on time, and the customer stayed with us."


class SlowRecogniser:
    """The real one, late."""

    def __init__(self, engine: Engine, delay_s: float) -> None:
        self._engine = engine
        self.delay_s = delay_s

    @property
    def model(self) -> str:
        return self._engine.model

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
        return await self._engine.recognise(
            audio, language=language, hotwords=hotwords, priority=priority, source=source
        )


class Call:
    def __init__(self, hearing: WhisperSTT, detector: object) -> None:
        self.hearing = hearing
        self.detector = detector
        self.gate = TurnGate(detector, hearing)  # type: ignore[arg-type]
        self.gated = True
        self.microphone = Microphone()
        self.listener = Listener()
        self.segments: list[HeardSegment] = []
        hearing.on_segment(self.segments.append)

    @asynccontextmanager
    async def running(self, **endpointing: float) -> "AsyncIterator[Call]":
        live = session(self.hearing, self.gate if self.gated else self.detector, **endpointing)
        self.gate.attach(live)
        live.input.audio = self.microphone
        await live.start(self.listener)
        try:
            yield self
        finally:
            await live.aclose()

    @property
    def turns(self) -> list[str]:
        return [text for _, text in self.listener.turns]

    async def say(self, *audio: np.ndarray) -> float:
        """When it was said to its end."""
        await asyncio.sleep(self.microphone.say(*audio))
        return time.monotonic()


def call(engine: Engine, delay_s: float = 0.0, detector: object = None, **options: object) -> Call:
    hearing = WhisperSTT(SlowRecogniser(engine, delay_s), language="en", **options)  # type: ignore[arg-type]
    return Call(hearing, detector or ScriptedDetector())


async def test_a_slow_recogniser_makes_one_turn_of_an_answer_with_a_pause(engine: Engine) -> None:
    async with call(engine, delay_s=0.8).running() as c:
        await c.say(silence(0.5), say(FIRST), silence(0.3), say(SECOND))
        await until(lambda: bool(c.turns), 30)
        await asyncio.sleep(1.5)
        assert len(c.turns) == 1
        assert errors(f"{FIRST} {SECOND}", c.turns[0]) == 0
        assert [s.verdict for s in c.segments] == ["ok"] * len(c.segments)


@pytest.mark.parametrize("gated", [True, False])
async def test_a_late_segment_is_a_second_turn_only_without_the_gate(
    engine: Engine, gated: bool
) -> None:
    detector = ScriptedDetector(probability=0.1)
    c = call(engine, delay_s=1.2, detector=detector)
    c.gated = gated
    async with c.running(min_delay=0.3, max_delay=60.0):
        await c.say(silence(0.5), say(FIRST), silence(1.9))
        await until(lambda: c.hearing.finals == 1, 30)
        detector.probability = 0.9
        await c.say(say(SECOND))
        expected = 1 if gated else 2
        await until(lambda: c.hearing.finals == 2 and len(c.turns) >= expected, 30)
        await asyncio.sleep(1.0)
        assert len(c.turns) == expected
        assert errors(f"{FIRST} {SECOND}", " ".join(c.turns)) == 0


async def test_two_answers_are_two_turns(engine: Engine) -> None:
    async with call(engine).running() as c:
        await c.say(silence(0.5), say(FIRST))
        await until(lambda: len(c.turns) == 1, 30)
        await c.say(say(SECOND))
        await until(lambda: len(c.turns) == 2, 30)
        assert errors(FIRST, c.turns[0]) == errors(SECOND, c.turns[1]) == 0


async def test_let_me_think_holds_the_floor_and_only_that(engine: Engine) -> None:
    c = call(engine)
    c.gate.extra_hold = lambda text: 5.0 if text.endswith("for a moment?") else 0.0
    async with c.running():
        ended = await c.say(silence(0.5), say("May I think about that for a moment?"))
        await asyncio.sleep(1.7)
        assert c.turns == []
        await until(lambda: bool(c.turns), 30)
        assert c.listener.turns[0][0] - ended > 4.0
        ended = await c.say(say(FIRST))
        await until(lambda: len(c.turns) == 2, 30)
        assert c.listener.turns[1][0] - ended < 4.0


async def test_an_answer_goes_on_after_the_hold_as_one_turn(engine: Engine) -> None:
    c = call(engine)
    c.gate.extra_hold = lambda text: 6.0 if text.endswith("for a moment?") else 0.0
    async with c.running():
        await c.say(silence(0.5), say("May I think about that for a moment?"), silence(2.0))
        await c.say(say(FIRST))
        await until(lambda: bool(c.turns), 30)
        assert len(c.turns) == 1
        assert errors(f"May I think about that for a moment? {FIRST}", c.turns[0]) == 0


async def test_a_short_yes_is_a_turn(engine: Engine) -> None:
    async with call(engine).running() as c:
        await c.say(silence(0.5), say("Yes."))
        await until(lambda: bool(c.turns), 30)
        assert c.turns == ["Yes."]


async def test_a_backchannel_while_the_agent_speaks_is_no_turn(engine: Engine) -> None:
    c = call(engine, is_backchannel=lambda text, speaking: speaking and text == "Yes.")
    c.hearing.agent_speaking = True
    async with c.running():
        await c.say(silence(0.5), say("Yes."), silence(2.0))
        await until(lambda: bool(c.segments), 30)
        assert c.turns == []
        assert [s.verdict for s in c.segments] == ["backchannel"]
        c.hearing.agent_speaking = False
        await c.say(say("Yes."))
        await until(lambda: bool(c.turns), 30)
        assert c.turns == ["Yes."]


async def test_livekits_own_detector_behind_the_gate(engine: Engine) -> None:
    detector = inference.TurnDetector(version="v1-mini")
    async with call(engine, detector=detector).running(max_delay=1.5) as c:
        await c.say(silence(0.5), say(FIRST))
        await until(lambda: bool(c.turns), 30)
        assert errors(FIRST, c.turns[0]) == 0
