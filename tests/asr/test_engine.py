"""The queue: finals first, streams in turn, refusals in time; a failure loses one job only."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from asr.admission import AdmissionLimits
from asr.engine import Engine
from asr.errors import AtCapacity, Overloaded, RecognitionFailed
from asr.recognition import Audio, Priority, Recognition


class SlowDecoder:
    """Says the first sample of what it is given, when it is let go."""

    name = "slow"
    compute_type = "int8"

    def __init__(self) -> None:
        self.go = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)
        self.order: list[str] = []
        self.threads: set[int] = set()

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        self.threads.add(threading.get_ident())
        self.entered.release()
        self.go.acquire()
        name = str(int(audio[0]))
        self.order.append(name)
        if name == "13":
            raise RuntimeError("CTranslate2 says no")
        return Recognition(name, language, -0.1, 0.0)


def piece(number: int, seconds: float = 1.0) -> Audio:
    return np.full(round(seconds * 16_000), number, np.float32)


@pytest.fixture
async def slow() -> AsyncIterator[tuple[Engine, SlowDecoder]]:
    decoder = SlowDecoder()
    engine = Engine(decoder, max_queued=4)
    yield engine, decoder
    decoder.go.release(100)
    await asyncio.to_thread(engine.close)


async def ask(engine: Engine, number: int, **how: object) -> "asyncio.Task[Recognition]":
    task = asyncio.create_task(engine.recognise(piece(number), language="en", **how))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    return task


async def busy(engine: Engine, decoder: SlowDecoder) -> "asyncio.Task[Recognition]":
    """With its worker taken."""
    task = await ask(engine, 0)
    await asyncio.to_thread(decoder.entered.acquire)
    return task


async def test_streams_take_turns(slow: tuple[Engine, SlowDecoder]) -> None:
    engine, decoder = slow
    tasks = [await busy(engine, decoder)]
    for number, source in ((1, "a"), (2, "a"), (3, "a"), (4, "b")):
        tasks.append(await ask(engine, number, source=source))
    decoder.go.release(5)
    await asyncio.gather(*tasks)
    assert decoder.order == ["0", "1", "4", "2", "3"]


async def test_an_interim_is_refused_unless_the_engine_is_idle(
    slow: tuple[Engine, SlowDecoder],
) -> None:
    engine, decoder = slow
    first = await busy(engine, decoder)
    with pytest.raises(Overloaded):
        await engine.recognise(piece(1), language="en", priority=Priority.INTERIM)
    decoder.go.release(2)
    await first
    interim = await engine.recognise(piece(2), language="en", priority=Priority.INTERIM)
    assert interim.text == "2"


async def test_one_piece_too_many_is_refused_at_once(slow: tuple[Engine, SlowDecoder]) -> None:
    engine, decoder = slow
    tasks = [await busy(engine, decoder)]
    tasks += [await ask(engine, n) for n in range(1, 5)]
    with pytest.raises(Overloaded, match="fewer interviews"):
        await engine.recognise(piece(9), language="en")
    decoder.go.release(5)
    assert [r.text for r in await asyncio.gather(*tasks)] == ["0", "1", "2", "3", "4"]


async def test_work_that_could_not_be_done_in_time_is_refused() -> None:
    decoder = SlowDecoder()
    engine = Engine(decoder, max_wait_s=1.0)
    tasks = [await busy(engine, decoder)]
    tasks.append(asyncio.create_task(engine.recognise(piece(1, 29.0), language="en")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await engine.recognise(piece(2), language="en")
    decoder.go.release(2)
    await asyncio.gather(*tasks)
    await asyncio.to_thread(engine.close)


async def test_a_decoder_that_fails_loses_only_its_own_piece(
    slow: tuple[Engine, SlowDecoder],
) -> None:
    engine, decoder = slow
    decoder.go.release(2)
    with pytest.raises(RecognitionFailed, match="CTranslate2 says no"):
        await engine.recognise(piece(13), language="en")
    assert (await engine.recognise(piece(14), language="en")).text == "14"


async def test_a_caller_that_gave_up_costs_nothing(slow: tuple[Engine, SlowDecoder]) -> None:
    engine, decoder = slow
    first = await busy(engine, decoder)
    gone = await ask(engine, 1)
    gone.cancel()
    await asyncio.sleep(0)
    last = await ask(engine, 2)
    decoder.go.release(3)
    await asyncio.gather(first, last)
    assert decoder.order == ["0", "2"]


async def test_recognition_runs_in_a_worker_thread_for_any_loop(
    slow: tuple[Engine, SlowDecoder],
) -> None:
    engine, decoder = slow
    decoder.go.release(2)
    await engine.recognise(piece(1), language="en")
    other = await asyncio.to_thread(asyncio.run, engine.recognise(piece(2), language="en"))
    assert other.text == "2"
    assert threading.get_ident() not in decoder.threads


async def test_a_closed_engine_refuses(slow: tuple[Engine, SlowDecoder]) -> None:
    engine, decoder = slow
    decoder.go.release(100)
    await asyncio.to_thread(engine.close)
    with pytest.raises(RecognitionFailed, match="closed"):
        await engine.recognise(piece(1), language="en")


async def test_sessions_enter_as_long_as_what_was_measured_allows() -> None:
    now = 0.0
    decoder = SlowDecoder()
    engine = Engine(decoder, admission=AdmissionLimits(measure_s=1.0), clock=lambda: now)
    for name in ("a", "b"):
        await engine.enter(name)
    with pytest.raises(AtCapacity, match="not measured yet"):
        await engine.enter("c")
    task = asyncio.create_task(engine.recognise(piece(1, 20.0), language="en", source="a"))
    await asyncio.to_thread(decoder.entered.acquire)
    decoder.go.release()
    await task  # twenty seconds of speech in no time at all
    for number in range(10):
        await engine.enter(number)
    with pytest.raises(AtCapacity, match="busy to"):
        for number in range(100):
            await engine.enter(number)
    assert engine.sessions >= 12
    assert 0.4 < engine.promised <= 0.6
    await engine.enter("known", regardless=True)
    for name in ("a", "b", "known", "never seen"):
        engine.leave(name)
    await asyncio.to_thread(engine.close)


async def test_finals_that_come_late_keep_new_sessions_out() -> None:
    now = 0.0
    decoder = SlowDecoder()
    engine = Engine(decoder, admission=AdmissionLimits(measure_s=1.0), clock=lambda: now)
    tasks = [await busy(engine, decoder), await ask(engine, 1), await ask(engine, 2)]
    now = 2.0
    decoder.go.release(3)
    await asyncio.gather(*tasks)
    with pytest.raises(AtCapacity, match=r"finals take 2\.0 s"):
        await engine.enter("new")
    await asyncio.to_thread(engine.close)
