"""What stops the interviewer's voice, what does not, and what becomes of the line that it said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.events import LineSpoken, MoveHeard, QuestionAsked, SegmentHeard, TurnSettled
from agent.plan import Plan
from asr.engine import Engine
from tests.session.short_plans import short_plan
from tests.session.studio import Studio, Talk
from tests.session.tapes import Tape, tape

pytestmark = pytest.mark.session

QUESTION = "What was the hardest thing that you built in all the years with your last employer?"
ANSWER = "That was the payment system of the city bank."
LISTENING = "Mm-hmm, right, okay, I see."


def long_question() -> Plan:
    return short_plan({"text": QUESTION})


def resumptions(talk: Talk) -> list[bool]:
    """Filled as the session finds that an interruption was none."""
    found: list[bool] = []
    talk.call.session.on("agent_false_interruption", lambda event: found.append(event.resumed))
    return found


async def test_a_listeners_noise_does_not_stop_the_voice(studio: Studio) -> None:
    async def listen(talk: Talk, words: str) -> list[bool]:
        resumed = resumptions(talk)
        await talk.sounding("question")
        await talk.say(tape(words))
        await talk.answer("first", ANSWER)
        await talk.opened("second")
        return resumed

    async with studio.talk(long_question()) as brief, studio.talk(long_question()) as long:
        _, held = await asyncio.gather(listen(brief, "Mm-hmm."), listen(long, LISTENING))
    for talk in (brief, long):
        assert not talk.all(LineSpoken, kind="question")[0].interrupted
        assert [e.verdict for e in talk.all(SegmentHeard)] == ["backchannel", "ok"]
        assert talk.turns == [ANSWER]
    assert held == [True], "so long a noise holds the voice until it is understood"


async def test_a_listeners_noise_in_the_candidates_own_turn_is_words(studio: Studio) -> None:
    async with studio.talk(short_plan()) as talk:
        await talk.answer("first", LISTENING)
        assert (await talk.seen(TurnSettled)).text == LISTENING


async def test_words_stop_the_voice_and_a_noise_without_words_only_holds_it(
    studio: Studio, record_property: Callable[[str, object], None]
) -> None:
    async def interrupt(talk: Talk) -> None:
        await talk.sounding("question", 1.0)
        began = asyncio.get_running_loop().time()
        await talk.say(ANSWER)
        record_property("seconds_to_silence", round(talk.speaker.loud_until - began, 2))
        await talk.opened("second")

    async def disturb(talk: Talk) -> list[bool]:
        resumed = resumptions(talk)
        await talk.sounding("question")
        await talk.say(Tape("", tape("ha ha ha ha ha ha ha").pcm))
        await talk.answer("first", ANSWER)
        await talk.opened("second")
        return resumed

    async with studio.talk(long_question()) as stopped, studio.talk(long_question()) as held:
        _, resumed = await asyncio.gather(interrupt(stopped), disturb(held))
    cut, whole = (talk.all(LineSpoken, kind="question")[0] for talk in (stopped, held))
    assert cut.interrupted
    assert 10 < len(cut.text) < len(QUESTION), "the text as heard"
    assert QUESTION.startswith(cut.text)
    assert resumed == [True]
    assert (whole.text, whole.interrupted) == (QUESTION, False)
    for talk in (stopped, held):
        assert talk.turns == [ANSWER], "nothing is lost, and nothing added"
        assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]
        assert talk.call.interview.answer_text("first") == ANSWER


async def test_a_cough_is_no_turn_for_the_real_recogniser(
    engine: Engine, folder: Path, model_url: str
) -> None:
    noise = np.random.default_rng(3).normal(0, 4000, 12_000) * np.hanning(12_000)
    studio = Studio(folder, model_url, engine)
    async with studio.talk(long_question()) as talk:
        await talk.sounding("question")
        await talk.say(Tape("", noise.astype(np.int16)))
        await talk.answer("first", 0.5, Tape("", noise.astype(np.int16)), 0.5)
        await talk.say("We finished on time.")
        await talk.opened("second")
    assert not talk.all(LineSpoken, kind="question")[0].interrupted
    assert talk.turns == ["We finished on time."]
    await studio.aclose()


async def test_an_interrupted_acknowledgement_leaves_the_question_for_later(
    studio: Studio,
) -> None:
    async with studio.talk(short_plan()) as barging, studio.talk(short_plan()) as listening:

        async def answer(talk: Talk, *, barge: bool) -> None:
            await talk.answer("first", "I built a system for payments.")
            await talk.sounding("acknowledgement", 0.3)
            if barge:
                await talk.say("And I have to add that it was written in Java.")
            await talk.opened("second")

        await asyncio.gather(answer(barging, barge=True), answer(listening, barge=False))
    assert len(listening.turns) == 1
    first, *_ = barging.all(LineSpoken, kind="acknowledgement")
    assert first.interrupted
    order = barging.kinds(TurnSettled, QuestionAsked, MoveHeard)
    assert order == [
        "question_asked",
        "turn_settled",
        "move_heard",
        "turn_settled",
        "move_heard",
        "question_asked",
    ], "the move stood, the question was asked once, after what was added"
    told = barging.call.interview.answer_text("first")
    assert told.endswith("And I have to add that it was written in Java.")
