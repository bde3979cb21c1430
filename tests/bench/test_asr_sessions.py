"""The accounts of the sessions' benchmark: a sample that is missing or doubled shows."""

import asyncio

import numpy as np
import pytest

from asr.errors import Overloaded
from asr.recognition import Audio
from asr.segmenter import WINDOW
from bench.asr_sessions import Piece, Session, Speech, accounts, row, speech, talk

SPOKEN = Speech(
    np.zeros(10 * WINDOW, np.int16), np.array([False] * 2 + [True] * 6 + [False] * 2), "yes yes"
)


def piece(first: int, after: int, outcome: str = "given", text: str = "") -> Piece:
    return Piece(first * WINDOW, after * WINDOW, outcome, text, 0.1)


def test_segments_that_tile_the_speech_lose_and_double_nothing() -> None:
    assert accounts(SPOKEN, [piece(0, 5), piece(5, 9)]) == (0, 0)


@pytest.mark.parametrize("outcome", ["refused", "failed"])
def test_a_refusal_is_an_outcome_and_silence_is_not(outcome: str) -> None:
    assert accounts(SPOKEN, [piece(0, 5), piece(5, 9, outcome)]) == (0, 0)
    assert accounts(SPOKEN, [piece(0, 5), piece(5, 9, "unfinished")]) == (3 * WINDOW, 0)


def test_gaps_and_overlaps_are_counted() -> None:
    assert accounts(SPOKEN, [piece(0, 4), piece(6, 9)]) == (2 * WINDOW, 0)
    assert accounts(SPOKEN, [piece(0, 6), piece(5, 9)]) == (0, WINDOW)


def test_words_that_are_missing_are_errors() -> None:
    sessions = [Session(SPOKEN, [piece(0, 5, text="Yes."), piece(5, 9, "refused")])]
    found = row("engine", sessions, 0.0, {})
    assert (found.word_errors, found.words, found.given, found.refused) == (1, 2, 1, 1)


async def test_a_session_asks_for_everything_that_it_says() -> None:
    tone = np.full(20 * WINDOW, 1000, np.int16)
    session = Session(speech([("a", tone)], 0.2, seed=1))
    heard = []

    async def recognise(audio: Audio, number: int) -> str:
        heard.append(audio)
        if number:
            raise Overloaded("no")
        return "a"

    other = Session(session.speech)
    await asyncio.gather(*(talk(i, s, recognise, 1.0) for i, s in enumerate((session, other))))
    assert [p.outcome for p in session.pieces] == ["given"]
    assert [p.outcome for p in other.pieces] == ["refused"]
    assert accounts(session.speech, session.pieces) == (0, 0)
    assert heard[0].dtype == np.float32
    assert 0 < heard[0].max() < 0.1
