"""What the candidate may ask for at any time: an answer, a person, the end."""

from __future__ import annotations

import asyncio

import pytest

from agent.events import InterviewEnded, LineSpoken, MoveHeard, QuestionAsked, QuestionRepeated
from agent.moves import AnswerCandidate
from tests.session.short_plans import short_plan
from tests.session.studio import Studio, Talk

pytestmark = pytest.mark.session


async def test_a_question_gets_the_approved_answer_or_is_passed_on_and_the_interview_goes_on(
    studio: Studio,
) -> None:
    unheard_of = "Is there a garden behind the house?"

    async def ask(talk: Talk, words: str) -> str:
        await talk.answer("first", words)
        answer = await talk.seen(LineSpoken, kind="answer")
        await talk.say("I built a cache.")
        await talk.opened("second")
        return answer.text

    async with studio.talk(short_plan()) as known, studio.talk(short_plan()) as unknown:
        answers = await asyncio.gather(
            ask(known, "How large is the team?"), ask(unknown, unheard_of)
        )
    assert answers[0] == "Seven people."
    assert "pass" in answers[1]
    for talk, faq_id in ((known, "team_size"), (unknown, "none")):
        move = talk.all(MoveHeard)[0]
        assert (move.move, move.turn_id) == (AnswerCandidate(faq_id=faq_id), "c1")
        assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
        assert talk.call.interview.answer_text("first").endswith("I built a cache.")
    assert unknown.turns[0] == unheard_of, "logged, for the recruiter"


async def test_who_wants_a_person_gets_the_contact_and_who_worked_with_one_goes_on(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan()) as asking, studio.talk(short_plan()) as telling:
        await asyncio.gather(
            asking.answer("first", "I want to speak to a person."),
            telling.answer("first", "I worked with a person who knew it all."),
        )
        assert await asking.ended() == "declined_ai"
        await telling.opened("second")
        assert not telling.all(InterviewEnded)
    assert "the front desk" in asking.all(LineSpoken, kind="answer")[0].text
    assert asking.moves == ["answer_candidate"]
    assert telling.moves == ["next_question"]


async def test_the_end_is_confirmed_before_it_comes(studio: Studio) -> None:
    async def wish(talk: Talk, then: str, *, at_once: bool = False) -> None:
        await talk.answer("first", "I want to finish the interview.")
        if at_once:
            await talk.sounding("confirmation", 1.5)
        else:
            await talk.seen(LineSpoken, kind="confirmation")
        await talk.say(then)

    async with (
        studio.talk(short_plan()) as sure,
        studio.talk(short_plan()) as hasty,
        studio.talk(short_plan()) as unsure,
        studio.talk(short_plan()) as telling,
    ):
        await asyncio.gather(
            wish(sure, "Yes."),
            wish(hasty, "Yes.", at_once=True),
            wish(unsure, "No."),
            telling.answer("first", "We had two weeks to finish the project."),
        )
        assert await sure.ended() == "withdrawn"
        assert await hasty.ended() == "withdrawn", "a yes into the question is no listener's noise"
        await unsure.seen(QuestionRepeated)
        await unsure.say("I built a cache.")
        await asyncio.gather(unsure.opened("second"), telling.opened("second"))
        assert not unsure.all(InterviewEnded)
    assert sure.lines[-1] == "That was all. Goodbye."
    assert not telling.all(LineSpoken, kind="confirmation")
