"""The telephone with a counterpart that is not ours: sipp calls it and is called, through kamailio,
and sends back the sound it gets.
"""

from __future__ import annotations

import pytest
import scenarios
from extensions import EXTENSIONS
from voices import arrived, voice

from server.phone.softphone.phone import Phone
from server.rehearsal.phone.ground import CALLERS, PBX, STRANGER, Ground, until, why_not
from server.rehearsal.phone.registrar import Registrar

pytestmark = pytest.mark.phone

ECHO = ("-rtp_echo", "-mi", STRANGER, "-timeout", "60s", "-timeout_error")
SENTENCE = voice(1, 0.5)


@pytest.fixture(autouse=True)
def _sipp_is_here() -> None:
    if reason := why_not("sipp"):
        pytest.skip(f"no sipp here: {reason}")


async def test_a_call_from_sipp_is_taken_and_its_bye_ends_it(
    ground: Ground, pbx: Registrar
) -> None:
    async with Phone(CALLERS, pbx.address, "anna", EXTENSIONS["anna"]) as anna:
        calls = scenarios.calls("ben", EXTENSIONS["ben"], "anna", talks_ms=2500)
        sipp = ground.sipp(calls, *ECHO, pbx.address, ip=STRANGER)
        call = await anna.incoming()
        assert f"sip:ben@{PBX}" in call.caller
        await call.answer()
        assert call.codec == "PCMA/8000"  # the first of sipp's offer
        call.play(SENTENCE)
        await until(lambda: arrived(SENTENCE, call) > 0.9)
        await until(lambda: call.state == "ended")
        assert call.ended_by == "them"
        assert await sipp.ended() == 0, sipp.said


async def test_sipp_takes_a_call_and_our_bye_ends_it(ground: Ground, pbx: Registrar) -> None:
    where = {"ip": STRANGER, "port": 5071}
    registering = ground.sipp(scenarios.registers("ben", EXTENSIONS["ben"]), pbx.address, **where)
    assert await registering.ended() == 0, registering.said
    sipp = ground.sipp(scenarios.takes_a_call(), *ECHO, **where)
    async with Phone(CALLERS, pbx.address, "anna", EXTENSIONS["anna"]) as anna:
        call = await anna.call("ben")
        call.play(SENTENCE)
        await until(lambda: arrived(SENTENCE, call) > 0.9)
        await call.hang_up()
        assert await sipp.ended() == 0, sipp.said
