"""A telephone against a browser, for one interview, over the real programs."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from pathlib import Path

import pytest
from telephone_calls import office, phone
from telephone_races import Race, Rivals

from asr.engine import Engine
from server.rehearsal.phone.registrar import Registrar

pytestmark = pytest.mark.usefixtures("telephone_programs")
Programs = tuple[Path, Path, str, Engine]


@pytest.fixture
def programs(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> Programs:
    return tmp_path, rendered, model_url, engine


@pytest.mark.phone
async def test_a_telephone_and_a_browser_at_the_same_moment_have_one_interviewer(
    programs: Programs,
) -> None:
    assert len(await _races(programs, [3])) == 3


@pytest.mark.soak
async def test_fifty_races_of_telephone_and_browser_have_one_interviewer(
    programs: Programs,
) -> None:
    held = await _races(programs, [5] * 10)
    last = Counter(race.last for race in held)
    apart = sorted(race.apart_s for race in held)
    told = {"races": len(held), "last": dict(last), "apart_p50_s": round(apart[25], 2)}
    print(json.dumps({"name": "phone_races", **told, "apart_max_s": round(apart[-1], 2)}))
    assert len(held) == 50 and min(last["phone"], last["web"]) >= 5


async def _races(programs: Programs, counts: list[int]) -> list[Race]:
    """So many of each interview; two interviews at a time."""
    chance, turns = random.Random(1), asyncio.Semaphore(2)
    # Whoever dropped keeps their place for two minutes.
    async with office(*programs, places=len(counts)) as it, phone() as anna:

        async def one(count: int) -> list[Race]:
            async with turns:
                return await Rivals(it, anna, chance).races(count)

        held = await asyncio.gather(*map(one, counts))
    return [race for races in held for race in races]
