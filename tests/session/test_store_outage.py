"""A store that fails for seconds in mid-call: a filler covers it, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import LineSpoken, MoveHeard, SegmentHeard, TurnSettled
from tests.session.short_plans import short_plan
from tests.session.studio import Studio, Talk

pytestmark = pytest.mark.session

OUTAGE_S = 5.0
"""The filler is due about 3 s after the last word."""
ANSWER = "I built a payment system for a bank."


async def outage(talk: Talk) -> int:
    """The store fails; how many events it still lacks at the end of it."""
    talk.log.broken = True
    await asyncio.sleep(OUTAGE_S)
    known = len(talk.log.events)
    talk.log.broken = False
    return known


@pytest.mark.parametrize("written", [False, True])
async def test_nothing_is_lost_and_the_reply_waits_for_the_store(
    studio: Studio, written: bool
) -> None:
    async with studio.talk(short_plan(), written=written) as talk:
        await talk.asked("first")
        if written:
            failing = asyncio.create_task(outage(talk))
            await talk.call.typed(ANSWER)
        else:
            await talk.say(ANSWER)
            failing = asyncio.create_task(outage(talk))
        known = await failing
        assert not any(isinstance(e, MoveHeard | TurnSettled) for e in talk.log.events[:known])
        assert talk.log.refused > 1
        await talk.opened("second")
    assert talk.turns == [ANSWER]
    order = talk.kinds(SegmentHeard, TurnSettled, MoveHeard)
    assert order == ["segment_heard", "turn_settled", "move_heard"]
    filler = talk.all(LineSpoken, kind="filler")
    assert len(filler) == 1
    assert filler[0].at < talk.all(MoveHeard)[0].at
    assert talk.all(MoveHeard)[0].turn_id == "c1"


async def test_a_hiccup_of_the_store_is_not_heard(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", ANSWER)
        talk.log.broken = True
        async with asyncio.timeout(20):
            while not talk.log.refused:  # noqa: ASYNC110 — what was said is recognised first
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.3)
        talk.log.broken = False
        await talk.opened("second")
    assert talk.log.refused > 0
    assert not talk.all(LineSpoken, kind="filler")
    assert talk.turns == [ANSWER]
