import json
import random
from collections import Counter
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from server.rehearsal import faults, kills, model
from server.rehearsal.floor import Floor
from server.rehearsal.processes import ServerProcess
from server.rehearsal.run import shipped_plan
from server.rehearsal.survival import MOMENTS, Kill, Losses


def test_sixty_kills_are_at_least_ten_of_each_moment() -> None:
    hands = kills.deal(60)
    dealt = Counter(moment for hand in hands for moment in hand)
    assert sum(dealt.values()) == 60 and len(hands) == 5
    assert all(dealt[moment] >= 10 for moment in MOMENTS)


@pytest.mark.parametrize("count", [1, 5, 11, 12, 13])
def test_any_number_of_kills_is_dealt(count: int) -> None:
    hands = kills.deal(count)
    assert sum(map(len, hands)) == count
    assert len(set(hands[-1])) == min(count, 5) or count % 12 in (1,)


@pytest.mark.rehearsal
async def test_five_kills_lose_nothing_that_was_committed() -> None:
    await _survives(5)


@pytest.mark.soak
async def test_sixty_kills_lose_nothing_that_was_committed() -> None:
    await _survives(60)


async def _survives(count: int) -> None:
    held = await kills.series(count, 0, Console())
    print(json.dumps(kills.figures(held)))
    assert kills.failed(held) == []
    figures = kills.figures(held)
    assert figures["kills"] == figures["at_their_moment"] == count


async def test_the_stand_in_answers_when_it_is_no_longer_held() -> None:
    asked = {"messages": [{"role": "user", "content": "hello"}]}
    held = [True]
    with model.serving(faults.NONE, held=lambda: held[0]) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=0.5) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/chat/completions", json=asked)
            held[0] = False
            answer = await client.post("/chat/completions", json=asked, timeout=30.0)
            assert answer.status_code == 200


def test_the_last_grading_is_held_until_it_was_killed() -> None:
    plan = shipped_plan("rehearsal_en.yaml")
    floor, questions = Floor(plan), list(plan.questions())
    server = ServerProcess({}, 1, Path("server.log"))
    killer = kills.Killer(server, ["grading"], random.Random(0))
    grading = kills.Held(questions[-1].id)
    assert not grading.held()
    grading.watch(floor, killer)
    floor.question_id = questions[-2].id
    assert not grading.held()
    floor.question_id = questions[-1].id
    assert grading.held()
    killer.left["grading"] -= 1
    assert not grading.held()


def test_a_kill_that_missed_its_moment_is_told_and_not_counted() -> None:
    early, late = Kill("grading", 10.0, 3.0), Kill("grading", 20.0, 3.0)
    lost = Losses(0, (), 0, (), ())
    told = kills.figures([kills.Survived((early, late), (early,), 2, lost, (), 0, 9.0)])
    assert told["at_their_moment"] == 1 and told["missed_their_moment"] == {"grading": 1}


async def test_the_stand_in_takes_the_time_it_is_given() -> None:
    """So that there is a decision, and a grading, to be killed in."""
    asked = {"messages": [{"role": "user", "content": "hello"}]}
    with model.serving(faults.NONE, delay_s=30.0) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=0.5) as client:
            assert (await client.get("/models", timeout=30.0)).status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/chat/completions", json=asked)
