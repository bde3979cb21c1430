"""A whole short interview: spoken with the real recogniser, by text alone, and both mixed."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.events import LineSpoken, MoveHeard, QuestionAsked, SegmentHeard, TurnSettled
from asr.engine import Engine
from tests.asr.speech import errors
from tests.session.short_plans import short_plan
from tests.session.studio import Studio

pytestmark = pytest.mark.session

FIRST = "I worked as a software engineer for ten years."
SECOND = "We finished on time, and the customer stayed with us."


async def test_a_spoken_interview_runs_from_greeting_to_goodbye(
    engine: Engine, folder: Path, model_url: str
) -> None:
    studio = Studio(folder, model_url, engine)
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", FIRST)
        await talk.answer("second", SECOND)
        assert await talk.ended() == "completed"
    assert sum(map(errors, (FIRST, SECOND), talk.turns)) == 0
    assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
    kinds = [line.kind for line in talk.all(LineSpoken) if line.kind != "acknowledgement"]
    assert kinds == ["greeting", "question", "question", "closing"]
    await studio.aclose()


async def test_a_turn_is_durable_before_the_reply_sounds(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", 0.5, FIRST)
        await talk.opened("second")
    order = talk.kinds(SegmentHeard, TurnSettled, MoveHeard, QuestionAsked)
    assert order == [
        "question_asked",
        "segment_heard",
        "turn_settled",
        "move_heard",
        "question_asked",
    ]
    heard = talk.all(SegmentHeard)[0]
    asked = talk.all(LineSpoken, kind="question")[0]
    assert asked.t1 < heard.t0 < heard.t1 < talk.all(MoveHeard)[0].at


async def test_an_interview_is_held_by_text_without_a_microphone(studio: Studio) -> None:
    async with studio.talk(short_plan(), written=True) as talk:
        await talk.asked("first")
        await talk.call.typed(FIRST)
        await talk.opened("second")
        await talk.call.typed(SECOND)
        assert await talk.ended() == "completed"
    assert talk.turns == [FIRST, SECOND]
    assert {e.source for e in talk.all(TurnSettled)} == {"typed"}
    assert talk.moves == ["next_question", "next_question"]
    assert talk.lines[-1] == "That was all. Goodbye."
    assert not any(line.interrupted for line in talk.all(LineSpoken))


async def test_a_typed_answer_counts_in_a_spoken_interview(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.asked("first")
        before = talk.speaker.played_s
        await talk.call.typed(FIRST)
        await talk.answer("second", SECOND)
        await talk.seen(TurnSettled, n=2)
    assert talk.turns == [FIRST, SECOND]
    assert [e.source for e in talk.all(TurnSettled)] == ["typed", "spoken"]
    assert talk.speaker.played_s - before > 1, "the reply to it is spoken"


async def test_what_was_said_before_a_typed_answer_belongs_to_it(studio: Studio) -> None:
    async with studio.talk(short_plan({"think_time_s": 2})) as talk:
        await talk.answer("first", "I built a payment system.")
        await talk.seen(SegmentHeard)
        await talk.call.typed("Its name was Lighthouse.")
        await talk.opened("second")
    assert talk.turns == ["I built a payment system. Its name was Lighthouse."]


async def test_a_typed_answer_stops_the_voice(studio: Studio) -> None:
    long = "What did you build in all the years that you spent with your last employer?"
    async with studio.talk(short_plan({"text": long})) as talk:
        await talk.sounding("question")
        await talk.call.typed(FIRST)
        await talk.opened("second")
    question = talk.all(LineSpoken, kind="question")[0]
    assert question.interrupted
    assert question.text != long
    assert long.startswith(question.text)
    assert talk.turns == [FIRST]
    assert len(talk.all(QuestionAsked, question_id="first")) == 1
