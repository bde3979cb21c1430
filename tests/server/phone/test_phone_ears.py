"""What the reception hears of a caller, through the rehearsal's model."""

from __future__ import annotations

import asyncio

import numpy as np

from asr.engine import Engine
from server.phone.talk import SAMPLE_RATE, Ears
from server.rehearsal.phone.ground import until
from tests.asr.speech import answer, errors

SAID = ("I used Python.", "I led a team of seven engineers.")
PAUSE_S = 0.3
"""A segment is cut in it, and nobody has finished."""
FRAME = 320


async def hears(ears: Ears, *parts: str | float) -> None:
    pcm = answer(*parts)
    for start in range(0, len(pcm), FRAME):
        ears.hear(np.asarray(pcm[start : start + FRAME]), SAMPLE_RATE, 0.0)
        await asyncio.sleep(0)


async def test_what_is_said_without_a_silence_is_one_answer(engine: Engine) -> None:
    heard: list[str] = []
    ears = Ears(engine, "en", heard.append)
    await hears(ears, 0.5, SAID[0], PAUSE_S, SAID[1], 1.0)
    await until(lambda: not ears.busy)
    await hears(ears, 0.5)  # a silence is heard, too
    assert len(heard) == 1 and errors(" ".join(SAID), heard[0]) <= 1, heard
    ears.close()


async def test_what_began_in_our_own_words_is_no_part_of_the_answer(engine: Engine) -> None:
    heard: list[str] = []
    ears = Ears(engine, "en", heard.append)
    await hears(ears, 0.5, SAID[0], PAUSE_S)
    await until(lambda: not ears.busy)
    ears.quiet()
    await hears(ears, SAID[1], 1.0)
    await until(lambda: not ears.busy)
    await hears(ears, 0.5)
    assert len(heard) == 1 and errors(SAID[1], heard[0]) <= 1, heard
    ears.close()
