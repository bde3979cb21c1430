"""Long calls by telephone, over the real programs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from telephone_calls import agrees, narrow, office, phone, silent

from agent.events import (
    CallJoined,
)
from asr.engine import Engine
from server.rehearsal.phone.registrar import Registrar
from tests.asr.speech import errors
from tests.session.short_plans import short_plan

pytestmark = [pytest.mark.soak, pytest.mark.usefixtures("telephone_programs")]

PYTHON = "I used Python and testing every day."


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
            await agrees(call, "1", "1")
            await ada.asked("first")
            await asyncio.sleep(90)
            await call.say(narrow(PYTHON))
            await call.press("#")
            await ada.asked("second")
        assert len(await ada.all(CallJoined)) == 1
        assert errors(PYTHON, " ".join((await ada.answers())["first"])) <= 2
