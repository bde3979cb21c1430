"""Silence that ends nothing: think time per question, and "let me think"."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import LineSpoken, MoveHeard, QuestionAsked, TurnSettled
from tests.session.short_plans import short_plan
from tests.session.studio import Studio

pytestmark = pytest.mark.session


async def test_a_pause_within_the_think_time_does_not_end_the_turn(studio: Studio) -> None:
    said = ("I built a cache, and then,", 1.8, "I sold it.")
    slow, quick = short_plan({"think_time_s": 3}), short_plan({"think_time_s": 0})
    async with studio.talk(slow) as patient, studio.talk(quick) as hasty:
        await asyncio.gather(patient.answer("first", *said), hasty.answer("first", *said))
        await asyncio.gather(patient.opened("second"), hasty.seen(TurnSettled, n=2))
    assert patient.turns == ["I built a cache, and then, I sold it."]
    assert hasty.turns == ["I built a cache, and then,", "I sold it."]


async def test_a_silence_within_the_think_time_is_nobodys_failure(studio: Studio) -> None:
    ladder = {"silence_ladder_s": (1, 60, 90)}
    slow, quick = short_plan({"think_time_s": 4}, **ladder), short_plan(**ladder)
    async with studio.talk(slow) as patient, studio.talk(quick) as hasty:
        await asyncio.gather(
            patient.answer("first", 3.0, "I built a cache."),
            hasty.answer("first", 3.0, "I built a cache."),
        )
        await asyncio.gather(patient.opened("second"), hasty.opened("second"))
    assert not patient.all(LineSpoken, kind="nudge", question_id="first")
    assert len(hasty.all(LineSpoken, kind="nudge", question_id="first")) == 1


async def test_let_me_think_holds_the_floor(studio: Studio) -> None:
    async with studio.talk(short_plan()) as asking, studio.talk(short_plan()) as telling:
        await asyncio.gather(
            asking.answer("first", "Let me think.", 2.5, "I built a cache."),
            telling.answer("first", "I think we did it.", 2.5, "It was a cache."),
        )
        await asyncio.gather(asking.opened("second"), telling.seen(TurnSettled, n=2))
    assert asking.turns == ["Let me think. I built a cache."]
    assert telling.turns == ["I think we did it.", "It was a cache."]


async def test_who_thinks_for_long_is_told_to_take_their_time(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", "Let me think.")
        patience = await talk.seen(LineSpoken, kind="patience")
        await talk.say("I built a cache.")
        await talk.opened("second")
    thinking = talk.all(TurnSettled)[0]
    assert thinking.text == "Let me think."
    assert patience.at - thinking.t0 > 4, "the silence that was asked for was kept"
    assert talk.moves == ["wait", "next_question"]
    assert len(talk.all(QuestionAsked)) == 2
    assert talk.all(MoveHeard)[1].turn_id == "c2"
