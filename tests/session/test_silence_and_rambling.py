"""Too little and too much: the silence ladder, and the polite cut-in on an endless answer."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import LineSpoken, MoveHeard, QuestionAsked, QuestionRepeated, TurnSettled
from tests.session.short_plans import short_plan
from tests.session.studio import Studio

pytestmark = pytest.mark.session

LADDER = (0.5, 3.0, 5.5)
LONG = (
    "I built a payment system for a bank",
    "and then I built another one for a shop",
    "and after that I built a third one for a school",
)


async def test_silence_is_met_by_comfort_then_the_question_then_the_next_one(
    studio: Studio,
) -> None:
    plan = short_plan(silence_ladder_s=LADDER)
    async with studio.talk(plan) as silent, studio.talk(plan) as speaking:

        async def speak_after_the_nudge() -> None:
            await speaking.asked("first")
            await speaking.seen(LineSpoken, kind="nudge")
            await speaking.say("I built a cache.")
            await speaking.asked("second")
            await speaking.seen(LineSpoken, kind="nudge", n=2)

        async with asyncio.TaskGroup() as group:
            group.create_task(speak_after_the_nudge())
            assert await silent.ended(within=60) == "completed"
    # Who says nothing is led through the whole interview, each step once a question.
    steps = [e.kind for e in silent.all(LineSpoken)]
    each = ["question", "nudge", "repeat", "acknowledgement"]
    assert steps == ["greeting", *each, *each, "closing"]
    assert {e.scripted for e in silent.all(MoveHeard)} == {"silence"}
    assert silent.turns == []
    # Who speaks starts the ladder anew.
    assert not speaking.all(QuestionRepeated, question_id="first")
    assert speaking.all(MoveHeard)[0].scripted is None


async def test_an_endless_answer_is_cut_in_on_and_a_long_one_is_not(studio: Studio) -> None:
    cut, left = short_plan({"hard_limit_s": 4}), short_plan({"hard_limit_s": 30})
    async with studio.talk(cut) as endless, studio.talk(left) as long:
        await asyncio.gather(endless.answer("first", *LONG), long.answer("first", *LONG))
        await asyncio.gather(endless.asked("second"), long.asked("second"))
        await asyncio.gather(endless.say("I wanted to move."), long.say("I wanted to move."))
        await asyncio.gather(endless.ended(), long.ended())
    assert len(endless.all(LineSpoken, kind="cut_in")) == 1
    assert not endless.all(LineSpoken, kind="cut_in")[0].interrupted
    assert not long.all(LineSpoken, kind="cut_in")
    for talk in (endless, long):
        assert talk.call.interview.answer_text("first") == " ".join(LONG), "no word is lost"
        assert talk.call.interview.answer_text("second") == "I wanted to move."
        assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
    assert len(long.all(TurnSettled)) == 2
    assert endless.all(MoveHeard)[0].scripted == "time_limit"
