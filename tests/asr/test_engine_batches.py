"""Batches across sessions: who shares one, what a failure costs, and one outcome for every piece.

The decoder is by script. A piece's first sample says what becomes of it.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.engine import Counts, Engine
from asr.errors import HearingError, Overloaded, RecognitionFailed, UnknownLanguage
from asr.recognition import Audio, Outcome, Piece, Priority, Recognition

FINE, BAD, POISON, EXIT, SHORT, LOST = range(1, 7)
"""Text; an error of its own; a batch that fails; a thread told to end; outcomes amiss; no language
that is known when it is asked for."""


class Script:
    name = "script"
    compute_type = "int8"

    def __init__(self, *, most: int = 100, held: bool = False) -> None:
        self.most = most
        """Larger batches run out of memory."""
        self.calls: list[list[int]] = []
        self.pieces: list[Piece] = []
        self.entered = threading.Semaphore(0)
        self.go = threading.Semaphore(0 if held else 1_000_000)

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        raise NotImplementedError

    def bucket(self, piece: Piece) -> int:
        if piece.audio[0] == LOST:
            raise UnknownLanguage("no such language")
        return len(piece.audio)

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        self.pieces += pieces
        self.entered.release()
        self.go.acquire()
        fates = [int(piece.audio[0]) for piece in pieces]
        self.calls.append([int(piece.audio[1]) for piece in pieces])
        if len(pieces) > self.most:
            raise RuntimeError("CUDA failed with error out of memory")
        if POISON in fates:
            raise ValueError("something about a piece")
        if EXIT in fates:
            raise SystemExit(1)
        outcomes: list[Outcome] = [
            RecognitionFailed("bad")
            if piece.audio[0] == BAD
            else Recognition(str(int(piece.audio[1])), "en", -0.1, 0.0)
            for piece in pieces
        ]
        return outcomes[1:] if SHORT in fates else outcomes


def piece(number: int, fate: int = FINE, samples: int = 16_000) -> Audio:
    audio = np.zeros(samples, np.float32)
    audio[:2] = fate, number
    return audio


async def ask(engine: Engine, number: int, fate: int = FINE, **how: object) -> "asyncio.Task":
    samples = how.pop("samples", 16_000)
    audio = piece(number, fate, samples)  # type: ignore[arg-type]
    how = {"source": number, **how}

    async def in_time() -> Recognition:
        async with asyncio.timeout(20):
            return await engine.recognise(audio, language="en", **how)  # type: ignore[arg-type]

    task = asyncio.create_task(in_time())
    await asyncio.sleep(0)
    return task


Held = tuple[Engine, Script, "asyncio.Task"]


@pytest.fixture
async def held() -> AsyncIterator[Held]:
    """An engine whose one worker is busy with piece 0 until it is let go."""
    script = Script(held=True)
    engine = Engine(script, max_batch=4)
    first = await ask(engine, 0)
    await asyncio.to_thread(script.entered.acquire)
    yield engine, script, first
    script.go.release(1000)
    await asyncio.to_thread(engine.close)
    await asyncio.gather(first, return_exceptions=True)


async def test_what_waits_is_one_batch_as_far_as_it_fits(held: Held) -> None:
    engine, script, first = held
    tasks = [await ask(engine, n, samples=8_000 if n == 3 else 16_000) for n in range(1, 8)]
    script.go.release(100)
    heard = await asyncio.gather(first, *tasks)
    assert [one.text for one in heard] == [str(n) for n in range(8)]
    assert script.calls == [[0], [1, 2, 4, 5], [3], [6, 7]]
    counts = engine.counts
    assert (counts.batches, counts.items, counts.largest_batch) == (4, 8, 4)
    assert counts.given == 8


async def test_a_batch_too_large_for_the_memory_is_tried_in_halves() -> None:
    script = Script(most=1, held=True)
    engine = Engine(script)
    tasks = [await ask(engine, n) for n in range(5)]
    script.go.release(100)
    assert [one.text for one in await asyncio.gather(*tasks)] == ["0", "1", "2", "3", "4"]
    assert engine.counts.failed == 0
    assert engine.counts.retried > 0
    await asyncio.to_thread(engine.close)


@pytest.mark.parametrize("fate", [BAD, POISON, EXIT, SHORT])
async def test_one_bad_piece_never_harms_another(held: Held, fate: int) -> None:
    engine, script, _ = held
    tasks = [await ask(engine, n, fate if n == 2 else FINE) for n in range(1, 5)]
    script.go.release(100)
    heard = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(heard.pop(1), RecognitionFailed)
    assert [one.text for one in heard if isinstance(one, Recognition)] == ["1", "3", "4"]
    assert engine.counts.failed == 1


async def test_a_piece_that_fails_on_the_gpu_is_tried_on_a_copy_loaded_once() -> None:
    loaded: list[Script] = []

    def spare() -> Script:
        loaded.append(Script())
        return loaded[0]

    engine = Engine(Script(most=0), spare=spare)
    heard = await asyncio.gather(*[await ask(engine, n) for n in range(3)])
    assert [one.text for one in heard] == ["0", "1", "2"]
    assert len(loaded) == 1
    assert sorted(loaded[0].calls) == [[0], [1], [2]]
    await asyncio.to_thread(engine.close)


async def test_a_copy_that_does_not_load_fails_that_piece_and_the_next_is_tried() -> None:
    def spare() -> Script:
        raise HearingError("no memory for it")

    script = Script()
    engine = Engine(script, spare=spare)
    with pytest.raises(HearingError, match="no memory"):
        await (await ask(engine, 1, POISON))
    assert (await (await ask(engine, 2))).text == "2"
    await asyncio.to_thread(engine.close)


async def test_a_piece_whose_time_passes_is_refused_and_not_recognised(held: Held) -> None:
    engine, script, first = held
    late = await ask(engine, 1, within_s=0.02)
    early = await ask(engine, 2, within_s=60.0)
    with pytest.raises(Overloaded, match="in time"):
        await late  # while the worker is still busy
    script.go.release(100)
    await asyncio.gather(first, early)
    assert script.calls == [[0], [2]]
    assert engine.counts.refused == 1


async def test_a_worker_does_not_begin_what_is_late_by_its_own_clock() -> None:
    now = 0.0
    script = Script(held=True)
    engine = Engine(script, clock=lambda: now)
    first = await ask(engine, 0)
    await asyncio.to_thread(script.entered.acquire)
    late = await ask(engine, 1, within_s=5.0)
    now = 6.0
    script.go.release(100)
    await first
    with pytest.raises(Overloaded):
        await late
    assert script.calls == [[0]]
    await asyncio.to_thread(engine.close)


async def test_a_caller_that_gave_up_leaves_its_place_to_the_next() -> None:
    script = Script(held=True)
    engine = Engine(script, max_queued=1)
    tasks = [await ask(engine, 0)]
    await asyncio.to_thread(script.entered.acquire)
    gone = await ask(engine, 1)
    with pytest.raises(Overloaded):
        await (await ask(engine, 2))
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert engine.queued == 0
    tasks.append(await ask(engine, 3))
    script.go.release(100)
    await asyncio.gather(*tasks)
    assert script.calls == [[0], [3]]
    assert engine.counts.cancelled == 1
    await asyncio.to_thread(engine.close)


async def test_interims_are_counted_apart(held: Held) -> None:
    engine, script, first = held
    with pytest.raises(Overloaded):
        await (await ask(engine, 1, priority=Priority.INTERIM))
    script.go.release(100)
    await first
    await (await ask(engine, 2, priority=Priority.INTERIM))
    counts = engine.counts
    assert (counts.interims, counts.interims_dropped) == (1, 1)
    assert (counts.given, counts.refused) == (1, 0)


async def test_an_interim_that_is_given_up_in_work_is_no_longer_wanted(held: Held) -> None:
    engine, script, first = held
    script.go.release()
    await first
    interim = await ask(engine, 1, priority=Priority.INTERIM)
    await asyncio.to_thread(script.entered.acquire)
    assert script.pieces[-1].wanted()
    interim.cancel()
    await asyncio.gather(interim, return_exceptions=True)
    assert not script.pieces[-1].wanted()
    script.go.release(100)
    await (await ask(engine, 2))
    assert script.pieces[-1].wanted()
    assert engine.counts.given == 2


def fate(outcome: object) -> str:
    match outcome:
        case Recognition():
            return "given"
        case Overloaded():
            return "refused"
        case HearingError():
            return "failed"
        case asyncio.CancelledError():
            return "cancelled"
    raise AssertionError(outcome)


Asked = tuple[int, int, bool, bool]
asked = st.tuples(
    st.sampled_from([FINE] * 6 + [BAD, POISON, EXIT, SHORT, LOST]),
    st.sampled_from([8_000, 16_000]),
    st.booleans(),  # given up, at once or a little later
    st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(asked, max_size=24), st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_every_piece_gets_exactly_one_outcome(
    script: list[Asked], workers: int, most: int, closes: bool
) -> None:
    spare: Callable[[], Script] | None = Script if most == 0 else None
    engine = Engine(Script(most=most or 2), workers=workers, max_queued=12, spare=spare)

    async def run() -> list[object]:
        tasks = []
        for number, (what, samples, gives_up, later) in enumerate(script):
            task = await ask(engine, number, what, samples=samples, source=number % 5)
            if gives_up:
                if later:
                    await asyncio.sleep(0.001)
                task.cancel()
            tasks.append(task)
        if closes:
            await asyncio.to_thread(engine.close)
        async with asyncio.timeout(20):
            return [*await asyncio.gather(*tasks, return_exceptions=True)]

    outcomes = asyncio.run(run())
    engine.close()
    for number, ((what, *_), outcome) in enumerate(zip(script, outcomes, strict=True)):
        if isinstance(outcome, Recognition):
            assert what == FINE
            assert outcome.text == str(number)
        elif what == FINE:
            assert fate(outcome) in ("refused", "cancelled") or closes
    counts = engine.counts
    assert counts.given + counts.failed + counts.refused + counts.cancelled == len(script)
    told = Counter(fate(outcome) for outcome in outcomes)
    assert counts.refused == told["refused"]
    # What was given up while it was recognised has its outcome, and nobody to tell.
    assert counts.cancelled <= told["cancelled"]
    assert engine.queued == 0


def test_counts_begin_at_nothing() -> None:
    with Engine(Script()) as engine:
        assert engine.counts == Counts()
