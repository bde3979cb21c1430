"""A call that broke goes on where it stood: from the events alone, with a new session."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import (
    CallJoined,
    CallLeft,
    LineSpoken,
    MoveHeard,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
)
from tests.session.short_plans import short_plan
from tests.session.studio import Log, Studio, Talk

pytestmark = pytest.mark.session

HALF, REST = "I built a payment system for a bank.", "Then I sold it to a shop."


async def test_both_halves_of_a_broken_answer_stand_under_the_same_question(
    studio: Studio,
) -> None:
    plan = short_plan({"think_time_s": 2})
    async with studio.talk(plan) as before:
        await before.answer("first", HALF)
        await before.seen(SegmentHeard)
    async with studio.talk(plan, before.log) as after:
        await after.seen(LineSpoken, kind="welcome_back")
        await after.say(REST)
        await after.opened("second")
    assert after.call.interview.answer_text("first") == f"{HALF} {REST}"
    assert [e.question_id for e in after.all(QuestionAsked)] == ["first", "second"]
    assert len(after.all(LineSpoken, kind="greeting")) == 1
    assert not after.all(LineSpoken, kind="repeat"), "who was answering is not asked again"
    assert [e.epoch for e in after.all(CallJoined)] == [1, 2]
    assert after.all(CallLeft)[0].reason == "dropped"
    ids = [line.utterance_id for line in after.all(LineSpoken)]
    assert len(ids) == len(set(ids))


async def test_an_answer_that_was_all_said_when_the_line_broke_is_replied_to(
    studio: Studio,
) -> None:
    plan = short_plan(silence_ladder_s=(2.0, 4.0, 60.0))
    async with studio.talk(plan) as before:
        await before.answer("first", HALF)
        await before.seen(SegmentHeard)
    async with studio.talk(plan, before.log) as after:
        await after.opened("second")
    assert [turn.text for turn in after.all(TurnSettled)] == [HALF]
    assert after.all(LineSpoken, kind="nudge"), "who may still be thinking is not cut off"


async def test_words_under_way_when_the_line_breaks_are_kept(studio: Studio) -> None:
    plan = short_plan({"think_time_s": 2})
    async with studio.talk(plan) as before:
        await before.answer("first", HALF)
    assert before.call.interview.answer_text("first") == HALF, f"{before}"
    assert not before.all(TurnSettled)


async def test_a_crash_between_the_settled_turn_and_its_reply_decides_again(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan(), written=True) as before:
        await before.asked("first")
        await before.call.typed(HALF)
        await before.opened("second")
    settled = next(i for i, e in enumerate(before.log.events) if isinstance(e, TurnSettled))
    crashed = Log(before.log.events[: settled + 1])
    async with studio.talk(short_plan(), crashed) as after:
        await after.answer("second", REST)
        assert await after.ended() == "completed"
    assert [e.turn_id for e in after.all(MoveHeard)] == ["c1", "c2"]
    assert [e.question_id for e in after.all(QuestionAsked)] == ["first", "second"]
    assert after.turns == [HALF, REST]


async def test_what_was_asked_is_asked_again_and_what_was_decided_is_not_decided_again(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan(), written=True) as before:
        await before.asked("first")
        unanswered = Log(before.log.events)
        await before.call.typed(HALF)
        await before.opened("second")
    moved = next(i for i, e in enumerate(before.log.events) if isinstance(e, MoveHeard))
    decided = Log(before.log.events[: moved + 1])

    async def answer_again(talk: Talk) -> None:
        await talk.seen(LineSpoken, kind="repeat")
        await talk.say(HALF)
        await talk.opened("second")

    async with (
        studio.talk(short_plan(), unanswered) as asked,
        studio.talk(short_plan(), decided) as owed,
    ):
        await asyncio.gather(answer_again(asked), owed.opened("second"))
    lines = [line.kind for line in asked.all(LineSpoken)]
    assert lines[:4] == ["greeting", "question", "welcome_back", "repeat"]
    for talk in (asked, owed):
        assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
        assert len(talk.all(MoveHeard)) == 1
