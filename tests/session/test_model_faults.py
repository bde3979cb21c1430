"""A model that fails is covered: a filler in time, a move of the machine's own, the end reached."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.events import LineSpoken, ModelFailed, MoveHeard, MoveRefused, QuestionAsked, TurnSettled
from tests.agent.scripted_server import (
    ROLE,
    Script,
    Step,
    arguments,
    call,
    content,
    move,
    named,
    scripted,
)
from tests.session.short_plans import short_plan
from tests.session.studio import NOWHERE, Studio, Talk

pytestmark = pytest.mark.session

ANSWER = "I built a payment system for a bank."
LAST = move("next_question", acknowledgement="Thank you.")


async def hold(folder: Path, *scripts: Script, url: str | None = None) -> Talk:
    """A whole interview of two questions over a model that does this."""
    async with scripted(*scripts) as server:
        studio = Studio(folder, url or server.url)
        async with studio.talk(short_plan()) as talk:
            await talk.answer("first", ANSWER)
            await talk.answer("second", "It was time to go.")
            assert await talk.ended() == "completed"
        await studio.aclose()
    return talk


def between(talk: Talk) -> list[str]:
    """What was heard from the first answer's end to the second question's."""
    settled = talk.all(TurnSettled)[0].at
    asked = talk.all(QuestionAsked, question_id="second")[0].at
    return [line.kind for line in talk.all(LineSpoken) if settled < line.at <= asked]


async def test_a_stall_is_covered_by_a_filler_and_no_model_by_the_machine_at_once(
    folder: Path,
) -> None:
    half: list[Step] = [
        ROLE,
        named("next_question"),
        arguments('{"acknowledgement": "You bu'),
        30.0,
    ]
    silent, stalled, alone = await asyncio.gather(
        hold(folder, Script([30.0]), LAST),
        hold(folder, Script(half), LAST),
        hold(folder, url=NOWHERE),
    )
    for talk in (silent, stalled):
        assert between(talk) == ["filler", "acknowledgement"]
        assert [e.scripted for e in talk.all(MoveHeard)] == ["model_stalled", None]
        assert len(talk.all(ModelFailed)) == 1
        assert "You bu" not in " ".join(talk.lines)
    assert [e.scripted for e in alone.all(MoveHeard)] == ["model_unavailable"] * 2
    assert len(alone.all(ModelFailed)) == 2
    assert between(alone) == ["acknowledgement"], "it is known at once: no filler is needed"


async def test_a_stream_that_dies_says_nothing_half(folder: Path) -> None:
    head: list[Step] = [ROLE, named("next_question")]
    half = [*head, arguments('{"acknowledgement": "You built a pay'), None]
    whole = [*head, arguments('{"acknowledgement": "You built a payment system. '), None]
    in_sentence, after_sentence = await asyncio.gather(
        hold(folder, Script(half), LAST), hold(folder, Script(whole), LAST)
    )
    assert between(in_sentence) == between(after_sentence) == ["acknowledgement"]
    assert [e.scripted for e in in_sentence.all(MoveHeard)] == ["model_unavailable", None]
    assert not any("You built a pay" in line for line in in_sentence.lines)
    # Once a sentence was whole and checked, its move stands.
    assert [e.scripted for e in after_sentence.all(MoveHeard)] == [None, None]
    assert "You built a payment system." in after_sentence.lines


async def test_rubbish_and_moves_refused_twice_end_in_the_machines_own(folder: Path) -> None:
    rubbish = call("next_question", "<tool_call>{nonsense")
    illegal = move("skip_question", reason="I like the next one better")
    nonsense, refused, talkative = await asyncio.gather(
        hold(folder, rubbish, rubbish, LAST),
        hold(folder, illegal, illegal, LAST),
        hold(folder, content("Well, tell me more!"), content("Please."), LAST),
    )
    for talk in (nonsense, refused, talkative):
        assert [e.scripted for e in talk.all(MoveHeard)] == ["illegal_move", None]
        assert len(talk.all(MoveRefused)) == 2
        assert between(talk) == ["acknowledgement"]
    spoken = " ".join(nonsense.lines + refused.lines + talkative.lines)
    for leaked in ("tool_call", "nonsense", "better", "tell me more", "Please"):
        assert leaked not in spoken


async def test_one_refusal_gets_a_second_try_with_the_reason(folder: Path) -> None:
    async with scripted(move("skip_question", reason="no"), LAST, LAST) as server:
        studio = Studio(folder, server.url)
        async with studio.talk(short_plan()) as talk:
            await talk.answer("first", ANSWER)
            await talk.asked("second")
        await studio.aclose()
    assert [e.move for e in talk.all(MoveRefused)] == ["skip_question"]
    assert [e.scripted for e in talk.all(MoveHeard)] == [None]
    assert talk.kinds(MoveRefused, MoveHeard) == ["move_refused", "move_heard"]
    assert "not asked to skip" in json.dumps(server.requests[1]["messages"])
