"""What the candidate may ask for at any time: an answer, a person, the end."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import InterviewEnded, LineSpoken, MoveHeard, QuestionAsked, QuestionRepeated
from agent.moves import AnswerCandidate
from tests.session.short_plans import short_plan
from tests.session.studio import Studio, Talk

pytestmark = pytest.mark.session


async def test_a_known_question_gets_the_approved_answer_and_the_interview_goes_on(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", "How large is the team?")
        answer = await talk.seen(LineSpoken, kind="answer")
        await talk.say("I built a cache.")
        await talk.asked("second")
    assert answer.text == "Seven people."
    assert talk.all(MoveHeard)[0].move == AnswerCandidate(faq_id="team_size")
    assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
    assert talk.call.interview.answer_text("first").endswith("I built a cache.")


async def test_an_unknown_question_is_passed_on_and_logged(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", "Is there a garden behind the house?")
        answer = await talk.seen(LineSpoken, kind="answer")
        await talk.say("I built a cache.")
        await talk.asked("second")
    assert "pass" in answer.text
    move = talk.all(MoveHeard)[0]
    assert move.move == AnswerCandidate(faq_id="none")
    assert (move.turn_id, talk.turns[0]) == ("c1", "Is there a garden behind the house?")


async def test_who_wants_a_person_gets_the_contact_and_who_worked_with_one_goes_on(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan()) as asking, studio.talk(short_plan()) as telling:
        await asyncio.gather(
            asking.answer("first", "I want to speak to a person."),
            telling.answer("first", "I worked with a person who knew it all."),
        )
        assert await asking.ended() == "declined_ai"
        await telling.asked("second")
        assert not telling.all(InterviewEnded)
    assert "the front desk" in asking.all(LineSpoken, kind="answer")[0].text
    assert asking.moves == ["answer_candidate"]
    assert telling.moves == ["next_question"]


async def test_the_end_is_confirmed_before_it_comes(studio: Studio) -> None:
    async def wish(talk: Talk, then: str) -> None:
        await talk.answer("first", "I want to finish the interview.")
        await talk.seen(LineSpoken, kind="confirmation")
        await talk.say(then)

    async with (
        studio.talk(short_plan()) as sure,
        studio.talk(short_plan()) as unsure,
        studio.talk(short_plan()) as telling,
    ):
        await asyncio.gather(
            wish(sure, "Yes."),
            wish(unsure, "No."),
            telling.answer("first", "We had two weeks to finish the project."),
        )
        assert await sure.ended() == "withdrawn"
        await unsure.seen(QuestionRepeated)
        await unsure.say("I built a cache.")
        await asyncio.gather(unsure.asked("second"), telling.asked("second"))
        assert not unsure.all(InterviewEnded)
    assert sure.lines[-1] == "That was all. Goodbye."
    assert not telling.all(LineSpoken, kind="confirmation")


async def test_a_yes_said_into_the_confirmation_counts(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", "I want to finish the interview.")
        await talk.sounding("confirmation", 1.5)
        await talk.say("Yes.")
        assert await talk.ended() == "withdrawn"
