"""Long calls by telephone, over the real programs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from ground import Ground, why_not
from registrar import Registrar
from telephone_calls import narrow, office, phone, silent

from agent.events import (
    CallJoined,
)
from asr import rehearsal
from asr.engine import Engine
from server.rehearsal import model
from server.rehearsal.faults import NONE
from tests.asr.speech import errors
from tests.session.short_plans import short_plan

pytestmark = pytest.mark.soak

PYTHON = "I used Python and testing every day."


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as loaded:
        yield loaded


@pytest.fixture
def model_url(ground: Ground) -> Iterator[str]:
    with model.serving(NONE) as url:
        yield url


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture(autouse=True)
def programs(ground: Ground) -> None:
    if reason := why_not("janus", "kamailio"):
        pytest.skip(reason)


async def test_a_caller_who_thinks_for_a_minute_and_a_half_is_still_there(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    """Longer than the checks by which ICE finds a peer that is gone."""
    plan = short_plan({"think_time_s": 60})
    async with office(tmp_path, rendered, model_url, engine) as it:
        ada, pin = await it.invite(plan)
        async with ada, phone() as anna:
            call = await anna.call("viva")
            await silent(call)
            await call.press(pin)
            for key in "11":
                await asyncio.sleep(1)
                await call.press(key)
            await ada.asked("first")
            await asyncio.sleep(90)
            await call.say(narrow(PYTHON))
            await call.press("#")
            await ada.asked("second")
        assert len(await ada.all(CallJoined)) == 1
        assert errors(PYTHON, " ".join((await ada.answers())["first"])) <= 2
