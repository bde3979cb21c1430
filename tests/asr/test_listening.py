"""What both kinds of streams share: retries without a deadline, results in order, whole windows."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr import listening
from asr.errors import NoAnswer, Overloaded, RecognitionFailed
from asr.framing import Windows
from asr.in_order import InOrder
from asr.listening import OVERLOAD_TRIES, outcome
from asr.overhearing import Cadence, Overhearing, patience
from asr.recognition import Recognition
from asr.segmenter import WINDOW, Pcm, Segmenter
from tests.asr.hearing import tone

HEARD = Recognition("yes", "en", -0.1, 0.0)


def failing(*failures: Exception) -> tuple[Callable[[], "asyncio.Future[Recognition]"], list[int]]:
    """Asked once more than it fails, it answers."""
    left, asked = list(failures), []

    def ask() -> "asyncio.Future[Recognition]":
        asked.append(1)
        answer: asyncio.Future[Recognition] = asyncio.get_running_loop().create_future()
        if left:
            answer.set_exception(left.pop(0))
        else:
            answer.set_result(HEARD)
        return answer

    return ask, asked


async def test_an_overload_is_outwaited_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(listening.asyncio, "sleep", pause)
    ask, _ = failing(*[Overloaded("64 wait")] * (OVERLOAD_TRIES - 1))
    assert await outcome(ask, retry_after_s=0.5) == HEARD
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("failure", "tries"),
    [
        (Overloaded("64 wait"), OVERLOAD_TRIES),
        (RecognitionFailed("no"), 2),
        (NoAnswer("30 s were waited already"), 1),
        (OSError("bug"), 2),
    ],
)
async def test_what_fails_again_and_again_is_told_with_its_reason(
    failure: Exception, tries: int
) -> None:
    ask, asked = failing(*[failure] * 99)
    assert str(failure) in str(await outcome(ask, retry_after_s=0.0))
    assert len(asked) == tries


@settings(deadline=None)
@given(st.permutations(range(6)))
def test_results_are_told_in_the_order_in_which_the_work_began(done: list[int]) -> None:
    async def run() -> list[tuple[int, str]]:
        told: list[tuple[int, str]] = []
        rounds: list[int] = []
        line: InOrder[int, str] = InOrder(
            lambda what, result: told.append((what, result)), lambda: rounds.append(len(told))
        )
        ready = [asyncio.Event() for _ in done]

        async def work(number: int) -> str:
            await ready[number].wait()
            return f"r{number}"

        for number in range(len(done)):
            line.add(number, asyncio.create_task(work(number)))
        assert line.first == 0
        for number in done:
            ready[number].set()
            for _ in range(3):
                await asyncio.sleep(0)
        await line.all_told()
        assert (len(line), line.first) == (0, None)
        assert rounds[-1] == len(done)
        return told

    assert asyncio.run(run()) == [(n, f"r{n}") for n in range(len(done))]


async def test_what_is_cancelled_is_told_nobody() -> None:
    told: list[int] = []
    line: InOrder[int, None] = InOrder(lambda what, _: told.append(what), lambda: None)
    line.add(1, asyncio.create_task(asyncio.sleep(3600)))
    line.cancel()
    await line.all_told()
    assert told == []


async def test_an_interim_is_given_up_when_its_segment_is_cut() -> None:
    asked: list[int] = []
    told: list[str] = []

    async def ask(audio: Pcm) -> Recognition:
        asked.append(len(audio))
        await asyncio.sleep(3600)
        return HEARD

    segmenter, interims = Segmenter(), Overhearing(0.5, ask, told.append)
    speech = tone(1000, 3.0).reshape(-1, WINDOW)
    for window in speech:
        segmenter.push(window, 1.0)
        interims.look(segmenter)
        await asyncio.sleep(0)
    assert len(asked) == 1  # one at a time
    interims.cut()
    assert interims.task is not None
    await asyncio.wait({interims.task})
    assert interims.task.cancelled()
    assert told == []


def test_no_interim_is_begun_in_a_pause_and_none_waits_for_more_than_the_speech() -> None:
    segmenter, cadence = Segmenter(), Cadence(0.5)
    taken = []
    for i, voiced in enumerate([*[1] * 14, *[0] * 4, *[1] * 17]):
        segmenter.push(tone(100, 1.0)[:WINDOW], float(voiced))
        if (audio := cadence.take(segmenter)) is not None:
            taken.append((i, len(audio) // WINDOW))
    assert taken == [(18, 19), (34, 35)]


def test_windows_are_gathered_until_a_cut_or_an_interim_may_be_due() -> None:
    segmenter, cadence = Segmenter(), Cadence(0.5)
    waits = []
    for _ in range(17):
        segmenter.push(tone(100, 1.0)[:WINDOW], 1.0)
        cadence.take(segmenter)
        waits.append(patience(segmenter, cadence))
    assert waits == [1, *[7] * 8, 6, 5, 4, 3, 2, 1, 7, 7]
    assert patience(segmenter, Cadence(None)) == segmenter.patience


@settings(deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=12), st.integers(1, 4))
def test_windows_wait_until_there_are_as_many_as_are_wanted(
    lengths: list[int], wanted: int
) -> None:
    windows, came, gone = Windows(), 0, 0
    for length in lengths:
        out = windows.push(np.zeros(length, np.int16), wanted)
        came, gone = came + length, gone + len(out)
        assert len(out) == 0 or len(out) >= wanted * WINDOW
        assert came - gone < wanted * WINDOW
    assert len(windows.push(np.zeros(0, np.int16))) == (came - gone) // WINDOW * WINDOW


@settings(deadline=None)
@given(st.lists(st.integers(0, 1500), max_size=12))
def test_windows_are_the_same_however_the_sound_comes(lengths: list[int]) -> None:
    sound = np.arange(sum(lengths), dtype=np.int16)
    windows, out, at = Windows(), [], 0
    for length in lengths:
        out.append(windows.push(sound[at : at + length]))
        assert len(out[-1]) % WINDOW == 0
        at += length
    out.append(windows.finish())
    whole = np.concatenate(out)
    assert len(whole) - len(sound) in range(WINDOW)
    assert np.array_equal(whole[: len(sound)], sound)
    assert not whole[len(sound) :].any()
    assert len(windows.finish()) == 0
