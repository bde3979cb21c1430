"""Kills of the gateway and of the server in telephone interviews, over the real programs."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence

import pytest
from rich.console import Console

from server.rehearsal import kills, phone_kills, survival
from server.rehearsal.floor import Floor
from server.rehearsal.phone.ground import why_not
from server.rehearsal.survival import Kill

SAID = {"type": "said", "text": "In the end, the project was a success."}


def test_sixty_kills_are_several_of_each_moment_of_a_call() -> None:
    hands = phone_kills.deal(60)
    dealt = Counter(moment for hand in hands for moment in hand)
    assert sum(dealt.values()) == 60 and len(hands) == 6
    assert len(dealt) == 7 and min(dealt.values()) >= 6


@pytest.mark.parametrize("count", [1, 3, 10, 11, 25])
def test_any_number_of_kills_of_calls_is_dealt(count: int) -> None:
    assert sum(map(len, phone_kills.deal(count))) == count


@pytest.mark.parametrize("count", [1, 2])
def test_the_short_plan_asks_its_questions(count: int) -> None:
    asked = phone_kills.QUESTIONS[:count]
    assert tuple(one.id for one in phone_kills.short_plan(asked).questions()) == asked


def test_a_sentence_said_into_a_dead_line_is_not_held_against_the_server() -> None:
    kill = Kill("candidate_speaks", 10.0, 2.0, "janus")
    into_it, long_after = {**SAID, "at": 12.0}, {**SAID, "at": 14.0}
    lost = survival.losses([into_it, long_after], [], [kill], unnoticed_s=3.0)
    assert (len(lost.open_lost), len(lost.lost)) == (1, 1)


def test_a_kill_is_in_the_reception_only_before_the_caller_came_through() -> None:
    notes = [{"type": "answered", "at": 1.0}, {"type": "came_through", "at": 5.0}]
    early, late = (Kill("reception", at, 2.0) for at in (3.0, 6.0))
    assert survival.hit(early, notes, [], 0.0)
    assert not survival.hit(late, notes, [], 0.0)


def test_what_is_said_before_the_first_question_is_the_greeting() -> None:
    class Dead:
        name = "nobody"

        async def kill(self) -> None: ...
        async def start(self) -> None: ...

    floor = Floor(phone_kills.short_plan())
    killer = phone_kills.CallKiller(Dead(), [], random.Random(0), lambda: False, "start")
    assert killer.speaks(floor) == "greeting"
    floor.question_id = "experience"
    assert killer.speaks(floor) == "question"


@pytest.mark.phone
async def test_a_gateway_and_a_server_killed_in_calls_lose_nothing() -> None:
    figures = await _survives(2, phone_kills.QUESTIONS[:1])
    assert figures["victims"] == {"janus": 1, "server": 1}


@pytest.mark.soak
async def test_thirty_kills_of_each_in_calls_lose_nothing() -> None:
    figures = await _survives(60, phone_kills.QUESTIONS)
    assert figures["victims"] == {"janus": 30, "server": 30}
    assert figures["at_their_moment"] == 60


async def _survives(count: int, questions: Sequence[str]) -> dict[str, object]:
    if reason := why_not("janus", "kamailio"):
        pytest.skip(reason)
    held = await phone_kills.series(count, 0, Console(), questions=questions)
    figures = phone_kills.figures(held)
    print(json.dumps(figures))
    assert kills.failed(held) == []
    return figures
