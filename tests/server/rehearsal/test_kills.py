import json
from collections import Counter

import httpx
import pytest
from rich.console import Console

from server.rehearsal import faults, kills, model
from server.rehearsal.survival import MOMENTS


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
    assert kills.figures(held)["kills"] == count


async def test_the_stand_in_takes_the_time_it_is_given() -> None:
    """So that there is a decision, and a grading, to be killed in."""
    asked = {"messages": [{"role": "user", "content": "hello"}]}
    with model.serving(faults.NONE, delay_s=30.0) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=0.5) as client:
            assert (await client.get("/models")).status_code == 200
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/chat/completions", json=asked)
