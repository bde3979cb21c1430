"""One turn, one final, one decision: late words, added words, speculation thrown away."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from agent.events import MoveHeard, QuestionAsked, SegmentHeard, TurnSettled
from tests.agent.scripted_server import Script, ScriptedServer, move, scripted
from tests.session.short_plans import short_plan
from tests.session.studio import Studio
from tests.session.tapes import TapeRecogniser

pytestmark = pytest.mark.session

FIRST, THEN = "I built a payment system for a bank.", "Then I sold it to a shop."
NEXT = {"name": "next_question", "acknowledgement": "Thank you."}


async def test_a_slow_recogniser_makes_one_turn_and_one_final(folder: Path, model_url: str) -> None:
    studio = Studio(folder, model_url, TapeRecogniser(delay_s=1.2))
    async with studio.talk(short_plan()) as talk:
        finals: list[str] = []
        talk.call.session.on(
            "user_input_transcribed",
            lambda event: finals.append(event.transcript) if event.is_final else None,
        )
        await talk.answer("first", FIRST, 0.35, THEN)
        await talk.opened("second")
    assert talk.turns == [f"{FIRST} {THEN}"]
    assert finals == [f"{FIRST} {THEN}"]
    assert len(talk.all(SegmentHeard)) == 2
    await studio.aclose()


def asked_about(server: ScriptedServer, words: str) -> list[bool]:
    """For each request to the model, whether its messages hold the words."""
    return [words in json.dumps(request["messages"]) for request in server.requests]


async def test_a_reply_interrupted_unheard_is_decided_again_with_what_was_added(
    folder: Path,
) -> None:
    slow = Script([8.0])
    async with scripted(slow, move(**NEXT)) as server:
        studio = Studio(folder, server.url)
        async with studio.talk(short_plan()) as talk:
            await talk.answer("first", FIRST)
            await talk.seen(TurnSettled)
            await talk.say(THEN)
            await talk.opened("second")
        await studio.aclose()
    assert talk.turns == [FIRST, THEN]
    assert [(e.turn_id, e.scripted) for e in talk.all(MoveHeard)] == [("c2", None)]
    assert asked_about(server, FIRST) == [True, True]
    assert asked_about(server, THEN) == [False, True]
    assert talk.call.interview.answer_text("first") == f"{FIRST} {THEN}"
    assert [e.question_id for e in talk.all(QuestionAsked)] == ["first", "second"]


async def test_speculation_is_thrown_away_when_the_candidate_goes_on_and_kept_when_not(
    folder: Path,
) -> None:
    open_end = "I built a payment system for a bank, and then,"
    said: dict[str, tuple[str | float, ...]] = {"on": (open_end, 0.9, THEN), "not": (FIRST,)}
    plan = short_plan({"think_time_s": 2})

    async def hold(how: str) -> tuple[list[str], int, bool, list[bool]]:
        async with scripted(Script([6.0]), move(**NEXT)) as server:
            if how == "not":
                server.scripts.pop(0)
            studio = Studio(folder, server.url)
            async with studio.talk(plan) as talk:
                await talk.answer("first", *said[how])
                await talk.opened("second")
            await studio.aclose()
            return (
                talk.turns,
                len(talk.all(MoveHeard)),
                server.left.is_set(),
                asked_about(server, THEN),
            )

    on, kept = await asyncio.gather(hold("on"), hold("not"))
    assert on == ([f"{open_end} {THEN}"], 1, True, [False, True])
    assert kept == ([FIRST], 1, False, [False])
