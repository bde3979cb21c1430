"""The accounts of the sessions' benchmark: a sample that is missing or doubled shows."""

import asyncio
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.engine import Engine
from asr.errors import AtCapacity, Overloaded
from asr.recognition import Audio
from asr.segmenter import WINDOW
from bench.asr_sessions import Bench
from bench.paced_accounts import Accounts, Piece, Row, Session, accounts, row
from bench.paced_arms import Arm
from bench.paced_model import Model, Watched
from bench.paced_sessions import everyone, talk
from bench.paced_speech import Speech, speech
from tests.asr.test_engine_batches import Script
from tests.asr.test_engine_batches import piece as numbered

VOICED = np.array([False] * 2 + [True] * 6 + [False] * 2)
SPOKEN = Speech(np.zeros(10 * WINDOW, np.int16), VOICED, "yes yes")


def piece(
    first: int, after: int, outcome: str = "given", text: str = "", heard: int | None = None
) -> Piece:
    heard_from = (first if heard is None else heard) * WINDOW
    return Piece(first * WINDOW, after * WINDOW, heard_from, outcome, text, 0.1, 0.05)


def session(*pieces: Piece) -> Session:
    return Session(SPOKEN, list(pieces), sent=len(SPOKEN.pcm))


def windows(book: Accounts) -> dict[str, int]:
    return {name: samples // WINDOW for name, samples in vars(book).items() if samples}


def test_segments_that_tile_the_speech_lose_and_double_nothing() -> None:
    book = accounts(session(piece(0, 5, heard=1), piece(5, 9)))
    assert windows(book) == {"sent": 10, "recognised": 8, "silence": 2}


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_a_refusal_is_an_outcome_and_silence_is_not(outcome: str) -> None:
    book = accounts(session(piece(0, 5), piece(5, 9, outcome)))
    assert windows(book) == {"sent": 10, "recognised": 5, "refused": 4, "silence": 1}
    book = accounts(session(piece(0, 5), piece(5, 9, "unfinished")))
    assert windows(book) == {"sent": 10, "recognised": 5, "lost": 4, "silence": 1}


def test_gaps_and_overlaps_are_counted() -> None:
    assert windows(accounts(session(piece(0, 4), piece(6, 10))))["lost"] == 2
    assert windows(accounts(session(piece(0, 6), piece(5, 10))))["doubled"] == 1


def test_speech_that_was_left_out_as_silence_is_unheard() -> None:
    book = accounts(session(piece(0, 5, heard=4), piece(5, 7)))
    assert windows(book) == {"sent": 10, "recognised": 3, "silence": 7, "unheard": 3}


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), max_size=5), st.sampled_from(["given", "refused"]))
def test_every_sample_has_one_place(cuts: list[int], outcome: str) -> None:
    edges = [0, *sorted(set(cuts))]
    pieces = [piece(a, b, outcome) for a, b in itertools.pairwise(edges)]
    book = accounts(session(*pieces))
    assert book.sent == book.recognised + book.refused + book.silence
    assert (book.lost, book.doubled) == (0, 0)


def told(*sessions: Session, arm: str = "engine") -> Row:
    return row(arm, sessions, 0.0, batches={"1": 2, "4": 2}, counts={})


def test_words_that_are_missing_are_errors() -> None:
    found = told(session(piece(0, 5, text="Yes."), piece(5, 9, "refused")))
    assert (found.word_errors, found.words, found.given, found.refused) == (1, 2, 1, 1)
    assert found.accounts["refused"] == 4 * WINDOW


def test_who_was_turned_away_is_counted_and_nothing_else() -> None:
    away = Session(SPOKEN, turned_away=True)
    found = told(session(piece(0, 9, text="yes yes")), away)
    assert (found.sessions, found.turned_away, found.words) == (1, 1, 2)
    assert found.accounts["sent"] == len(SPOKEN.pcm)


def test_the_slowest_session_is_held_against_the_middle_one() -> None:
    slow = session(piece(0, 9))
    slow.pieces[0].wait_s, slow.pieces[0].final_s = 0.2, 0.3
    found = told(session(piece(0, 9)), session(piece(0, 9)), slow)
    assert (found.worst_wait_ratio, found.worst_final_ratio) == (4.0, 3.0)
    assert found.wait_ms is not None
    assert found.final_ms[0] == 100.0


async def test_a_session_asks_for_everything_that_it_says() -> None:
    tone = np.full(20 * WINDOW, 1000, np.int16)
    first = Session(speech([("a", tone)], 0.2, seed=1))
    heard = []

    async def recognise(audio: Audio, number: int) -> tuple[str, float]:
        heard.append(audio)
        if number:
            raise Overloaded("no")
        return "a", 0.0

    other = Session(first.speech)
    await asyncio.gather(*(talk(i, s, recognise, 0.0, 1.0) for i, s in enumerate((first, other))))
    assert [p.outcome for p in first.pieces] == ["given"]
    assert [p.outcome for p in other.pieces] == ["refused"]
    assert first.sent == len(first.speech.pcm)
    for one in (first, other):
        book = accounts(one)
        assert (book.lost, book.doubled, book.unheard) == (0, 0, 0)
    assert heard[0].dtype == np.float32
    assert 0 < heard[0].max() < 0.1


class Doors:
    """For one."""

    def __init__(self) -> None:
        self.inside = 0

    async def enter(self, session: object, *, regardless: bool = False) -> None:
        if self.inside:
            raise AtCapacity("full")
        self.inside += 1

    def leave(self, session: object) -> None:
        self.inside -= 1


async def test_a_session_that_is_turned_away_says_nothing() -> None:
    async def recognise(audio: Audio, number: int) -> tuple[str, float]:
        return "a", 0.0

    tone = np.full(20 * WINDOW, 1000, np.int16)
    sessions = [Session(speech([("a", tone)], 0.2, seed=1)) for _ in range(3)]
    doors = Doors()
    await everyone(sessions, Arm(recognise, doors), arrive_s=0.05)
    assert [one.turned_away for one in sessions].count(True) == 2
    assert sorted(one.sent for one in sessions)[:2] == [0, 0]
    assert doors.inside == 0


async def test_a_watched_decoder_tells_whose_turn_came_when() -> None:
    watched = Watched(Script(), None)
    with Engine(watched) as engine:
        audio = numbered(1)
        await engine.recognise(audio, language="en")
    assert list(watched.begun) == [id(audio)]
    assert watched.batches == {1: 1}


@pytest.mark.parametrize("limit", [0, 1, 5, 23, 100, 2000])
def test_the_search_finds_the_most_that_are_served_in_time(limit: int) -> None:
    class Pretending(Bench):
        def run(self, arm: str, n: int, seconds: float, **how: object) -> Row:
            return told(session(piece(0, 9, "given" if n <= limit else "refused")))

    found = Pretending([], Model(), 1.0).search(16, 1.0)
    assert found <= min(limit, 1024)
    assert found >= min(limit, 1024) - max(1, limit // 16)
