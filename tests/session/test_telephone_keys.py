"""The telephone's keys in a real session."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import LineSpoken, QuestionAsked, QuestionRepeated, TurnSettled
from tests.session.short_plans import short_plan
from tests.session.studio import Studio

pytestmark = pytest.mark.session

ANSWER = "I built a payment system for a bank."


async def test_hash_ends_an_answer_at_once_and_loses_no_word_of_it(studio: Studio) -> None:
    plan = short_plan({"think_time_s": 60})  # by itself the turn would wait for long
    async with studio.talk(plan, channel="phone") as talk:
        await talk.asked("first")
        await talk.call.pressed("#")  # before a word it is nothing
        await talk.say(ANSWER)
        await talk.call.pressed("#")
        await talk.opened("second")
    assert talk.call.interview.answer_text("first") == ANSWER
    assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
    assert [turn.text for turn in talk.all(TurnSettled)] == [ANSWER]


async def test_star_asks_again_and_other_keys_say_what_keys_there_are(studio: Studio) -> None:
    async with studio.talk(short_plan(), channel="phone") as talk:
        await talk.asked("first")
        told = talk.all(LineSpoken, kind="keys")
        assert len(told) == 1, "once, by itself"
        await talk.call.pressed("*")
        await talk.seen(QuestionRepeated)
        await talk.call.pressed("5")
        await talk.seen(LineSpoken, kind="keys", n=2)
        assert talk.all(LineSpoken, kind="keys")[1].text == told[0].text


async def test_a_zero_explains_and_a_second_one_reaches_a_person(studio: Studio) -> None:
    async with studio.talk(short_plan(), channel="phone") as talk:
        await talk.asked("first")
        await talk.call.pressed("0")
        said = await talk.seen(LineSpoken, kind="keys", n=2)
        assert "call again" in said.text
        await talk.call.pressed("0")
        assert await talk.ended() == "declined_ai"


async def test_a_key_answers_whether_it_is_to_end(studio: Studio) -> None:
    async def wish(key: str) -> list[str]:
        async with studio.talk(short_plan(), channel="phone") as talk:
            await talk.answer("first", "Please end the interview.")
            await talk.seen(LineSpoken, kind="confirmation")
            await talk.call.pressed(key)
            if key == "1":
                return [await talk.ended()]
            await talk.seen(LineSpoken, kind="repeat")
            return []

    assert await asyncio.gather(wish("1"), wish("2")) == [["withdrawn"], []]
