"""The gate answers when everything is heard, or its time is up; and it never leaves one waiting."""

import asyncio
from collections.abc import Callable

import pytest
from livekit.agents import LanguageCode, UserInputTranscribedEvent
from livekit.agents.voice.turn import _StreamingTurnDetector, _StreamingTurnDetectorStream

from asr.gate import GateStream, TurnGate
from asr.heard import Pending
from tests.asr.turns import ScriptedDetector

SETTLED = Pending(open=False, recognising=0, unfinished=False)
BUSY = Pending(open=False, recognising=1, unfinished=True)


class Hearing:
    def __init__(self) -> None:
        self.finals = 0
        self.pending = SETTLED
        self._callbacks: list[Callable[[], None]] = []

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def become(self, pending: Pending, finals: int = 0) -> None:
        self.pending = pending
        self.finals += finals
        for callback in self._callbacks:
            callback()


def final(text: str = "words") -> UserInputTranscribedEvent:
    return UserInputTranscribedEvent(transcript=text, is_final=True, language=LanguageCode("en"))


def build(**options: object) -> tuple[Hearing, TurnGate, GateStream]:
    hearing = Hearing()
    gate = TurnGate(ScriptedDetector(delay_s=0.0), hearing, **options)  # type: ignore[arg-type]
    return hearing, gate, gate.stream()


async def soon(answer: "asyncio.Future[object]", seconds: float = 0.03) -> bool:
    await asyncio.wait([answer], timeout=seconds)
    return answer.done()


async def comes(answer: "asyncio.Future[object]") -> bool:
    return await soon(answer, 20.0)


async def test_it_is_what_livekit_takes_for_a_streaming_turn_detector() -> None:
    _, gate, stream = build()
    assert isinstance(gate, _StreamingTurnDetector)
    assert isinstance(stream, _StreamingTurnDetectorStream)
    assert (gate.model, gate.provider) == ("script", "test")
    assert await stream.unlikely_threshold(None) == 0.36


async def test_with_nothing_pending_the_model_decides() -> None:
    _, _, stream = build()
    event = await stream.predict()
    assert event.end_of_turn_probability == 0.9


async def test_it_waits_for_the_recogniser_and_then_for_the_session() -> None:
    hearing, gate, stream = build()
    hearing.become(BUSY)
    answer = stream.predict()
    assert not await soon(answer)
    hearing.become(SETTLED, finals=1)
    assert not await soon(answer)
    gate.acknowledge(final())
    assert await comes(answer)
    assert answer.result().end_of_turn_probability == 0.9


async def test_an_interim_acknowledges_nothing() -> None:
    hearing, gate, stream = build()
    hearing.become(SETTLED, finals=1)
    answer = stream.predict()
    gate.acknowledge(UserInputTranscribedEvent(transcript="wor", is_final=False))
    assert not await soon(answer)
    stream.cancel_inference()


async def test_a_recogniser_that_never_ends_holds_the_turn_no_longer_than_the_timeout() -> None:
    hearing, _, stream = build(timeout_s=0.5)
    hearing.become(BUSY)
    answer = stream.predict()
    assert not await soon(answer, 0.02)
    assert await comes(answer)
    assert answer.result().end_of_turn_probability == 0.9


async def test_speech_again_releases_the_question() -> None:
    hearing, _, stream = build()
    hearing.become(BUSY)
    answer = stream.predict()
    stream.cancel_inference()
    assert answer.done()
    assert answer.result().end_of_turn_probability == 0.0


async def test_a_hold_is_measured_from_the_end_of_speech_and_may_be_let_go() -> None:
    holds = {"let me think": 30.0}
    hearing, gate, stream = build(extra_hold=lambda text: holds.get(text, 0.0))
    hearing.become(SETTLED, finals=1)
    answer = stream.predict()
    gate.acknowledge(final("let me think"))
    assert not await soon(answer, 0.1)
    holds.clear()
    assert await comes(answer)


async def test_a_hold_shorter_than_the_silence_so_far_costs_nothing() -> None:
    _, _, stream = build(extra_hold=lambda _text: 0.15)
    assert await comes(stream.predict())


async def test_the_text_is_that_of_the_turn_and_starts_anew_after_it() -> None:
    hearing, gate, stream = build()
    hearing.become(SETTLED, finals=2)
    gate.acknowledge(final("let me think"))
    gate.acknowledge(final("about it"))
    assert gate.text == "let me think about it"
    stream.flush(reason="turn committed")
    assert gate.text == ""


async def test_a_final_that_the_session_never_took_does_not_hold_the_next_turn() -> None:
    hearing, gate, stream = build()
    hearing.become(SETTLED, finals=1)
    assert not gate.settled
    stream.flush(reason="clear_user_turn")
    assert gate.settled
    hearing.become(SETTLED, finals=1)
    gate.acknowledge(final())
    assert gate.settled


async def test_a_policy_that_raises_does_not_leave_the_session_waiting() -> None:
    def broken(_text: str) -> float:
        raise KeyError("question")

    _, _, stream = build(extra_hold=broken)
    event = await asyncio.wait_for(stream.predict(), 1)
    assert event.end_of_turn_probability == 0.9


async def test_closing_leaves_nobody_waiting() -> None:
    hearing, gate, stream = build()
    hearing.become(BUSY)
    answer = stream.predict()
    await stream.aclose()
    assert answer.done()
    hearing.become(SETTLED)
    with pytest.raises(ValueError, match="not in list"):
        gate._streams.remove(stream)
