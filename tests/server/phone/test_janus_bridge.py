"""The bridge with a real Janus and a real registrar."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCSessionDescription
from bridges import (
    account,
    answer,
    answers_options,
    bridge,
    call_viva,
    comes_in,
    ends,
    janus_pid,
    ready,
    registered,
    standing,
)
from calls_in import Desk, answered, given_up, hold, info, refused

from server.phone.bridge import (
    GATEWAY_LOST,
    DigitPressed,
    HungUp,
    MediaUp,
    Updating,
)
from server.phone.janus.examine import examine
from server.phone.janus.health import thread_seconds
from server.phone.janus.wiring import ACCOUNT, STATE_FILE, janus_bridge
from server.phone.resolver import Unresolved
from server.rehearsal.phone.ground import (
    PBX,
    STRANGER,
    VIVA,
    Ground,
    until,
    why_not,
)
from server.rehearsal.phone.registrar import Registrar
from server.settings import load

pytestmark = pytest.mark.phone
NEEDED = ("janus", "kamailio", "sipp")


@pytest.fixture(autouse=True)
def _programs(ground: Ground) -> None:
    if reason := why_not(*NEEDED):
        pytest.skip(reason)


@pytest.fixture
async def open_pbx(ground: Ground) -> AsyncIterator[Registrar]:
    """A PBX that lets everybody call."""
    made = Registrar(ground, {"viva": "viva-word"}, challenge_calls=False)
    await made.start()
    yield made
    made.stop()


async def test_a_call_comes_in_and_is_declined(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk) as made:
        caller = call_viva(ground, refused(488))
        call = await comes_in(desk)
        assert call.offer is not None and "m=audio" in call.offer and "PCMU" in call.offer
        assert (call.caller.user, call.callee.user, call.direction) == ("anna", "viva", "in")
        assert call.id and made.free_lines == 1
        await call.decline(488)
        assert await caller.ended() == 0, caller.said
        assert (await ends(desk)).code == 488
        assert made.free_lines == 2


async def test_a_call_is_answered_and_hung_up(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk):
        caller = call_viva(ground, answered())
        call = await comes_in(desk)
        async with answer(call):
            await until(lambda: MediaUp() in desk.events[0])
            await call.hang_up()
            assert await caller.ended() == 0, caller.said
            await ends(desk)


async def test_the_caller_hangs_up(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk):
        caller = call_viva(ground, answered(ends="caller"))
        call = await comes_in(desk)
        async with answer(call):
            assert (await ends(desk)).code == 200
            await call.hang_up()  # nothing more happens
        assert await caller.ended() == 0, caller.said


async def test_a_caller_who_gives_up_while_it_rings(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk):
        caller = call_viva(ground, given_up())
        await comes_in(desk)
        await until(lambda: desk.events[0], what=lambda: caller.said[-3000:])
        assert (await ends(desk)).code == 487
        assert await caller.ended() == 0, caller.said


async def test_keys_by_info_and_a_hold_are_told(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk):
        caller = call_viva(ground, answered(more=(info("Signal=5"), info("Signal=11"), hold())))
        call = await comes_in(desk)
        async with answer(call) as peer:
            await until(lambda: any(isinstance(e, Updating) for e in desk.events[0]))
            update = next(e for e in desk.events[0] if isinstance(e, Updating))
            assert update.held and update.sdp
            await peer.setRemoteDescription(RTCSessionDescription(update.sdp, "offer"))
            await peer.setLocalDescription(await peer.createAnswer())
            await call.update(peer.localDescription.sdp)
            digits = [e.digit for e in desk.events[0] if isinstance(e, DigitPressed)]
            assert digits == ["5", "#"]
            await call.hang_up()
            assert await caller.ended() == 0, caller.said


async def test_one_call_too_many_is_busy_and_a_redial_is_not(
    open_pbx: Registrar, ground: Ground
) -> None:
    desk = Desk()
    async with registered(ground.folder, desk, lines=2) as made:
        first = call_viva(ground, refused(603), port=5071)
        second = call_viva(ground, refused(603), port=5072)
        await comes_in(desk, 2)
        third = call_viva(ground, refused(486), port=5073)
        assert await third.ended() == 0, third.said
        assert len(desk.calls) == 2 and made.state.missed == 1
        for call in desk.calls:
            await call.decline(603)
        assert (await first.ended(), await second.ended()) == (0, 0)
        again = call_viva(ground, refused(603), port=5074)  # at once, on a line that is free
        await (await comes_in(desk, 3)).decline(603)
        assert await again.ended() == 0, again.said


async def test_a_killed_janus_ends_its_calls_and_comes_back(
    open_pbx: Registrar, ground: Ground
) -> None:
    desk = Desk()
    async with registered(ground.folder, desk) as made:
        call_viva(ground, refused(486), port=5071)
        await comes_in(desk)
        os.kill(janus_pid(ground.folder), signal.SIGKILL)
        assert await ends(desk) == HungUp(0, GATEWAY_LOST)
        await desk.calls[0].hang_up()  # of a gateway that is gone: nothing is raised
        await ready(made)
        assert made.state.restarts == 1 and made.state.state == "up"
        caller = call_viva(ground, refused(486), port=5072)
        await (await comes_in(desk, 2)).decline(486)
        assert await caller.ended() == 0, caller.said


async def test_a_wrong_password_is_not_tried_again_soon(
    open_pbx: Registrar, ground: Ground
) -> None:
    async with bridge(ground.folder, Desk(), account("wrong")) as made:
        await until(lambda: standing(made) == "failed", what=lambda: str(made.state))
        state = made.accounts["main"]
        assert "password" in state.reason and state.code
        assert state.next_try and (state.next_try - state.since).total_seconds() > 400


async def test_after_a_restart_the_registrar_knows_us_again(
    open_pbx: Registrar, ground: Ground
) -> None:
    desk = Desk()
    async with registered(ground.folder, desk):
        await open_pbx.restart()
        # Until the next renewal it answers 480 by itself; from then on it asks us.
        for port in range(5100, 5200):
            caller = call_viva(ground, refused(480), port=port)
            await until(lambda one=caller: desk.calls or not one.alive)
            if desk.calls:
                break
            await asyncio.sleep(0.2)
        await (await comes_in(desk)).decline(480)
        assert await caller.ended() == 0, caller.said


async def test_a_registrar_that_comes_late_is_found(ground: Ground) -> None:
    async with bridge(ground.folder, Desk(), account()) as made:
        await until(lambda: standing(made) == "failed", 60, lambda: str(made.state))
        pbx = Registrar(ground, {"viva": "viva-word"})
        await pbx.start()
        await until(lambda: standing(made) == "registered", 60, lambda: str(made.state))


async def test_a_name_that_does_not_resolve_is_said_and_nothing_spins(
    open_pbx: Registrar, ground: Ground
) -> None:
    found: list[str] = []

    async def lookup(host: str) -> list[str]:
        if not found:
            raise Unresolved(f"{host} has no address")
        return found

    async with bridge(ground.folder, Desk(), account(host="pbx.test"), lookup=lookup) as made:
        await until(lambda: standing(made) == "failed")
        assert "pbx.test has no address" in made.accounts["main"].reason
        found.append(PBX)  # the namespace itself has no resolver: Janus must not need one
        await ready(made)
        before = thread_seconds(janus_pid(ground.folder))
        await asyncio.sleep(2.0)  # a stretch of time is what is measured
        after = thread_seconds(janus_pid(ground.folder))
        assert max(after[one] - before.get(one, 0.0) for one in after) < 1.0


async def test_a_stranger_at_the_sip_port_is_not_heard(open_pbx: Registrar, ground: Ground) -> None:
    desk = Desk()
    async with registered(ground.folder, desk) as made:
        assert made.state.guarded
        (port,) = made.state.sip_ports
        assert await answers_options(PBX, port)
        assert not await answers_options(STRANGER, port)
        assert not await answers_options("127.0.0.1", port)


@pytest.mark.parametrize(("trusted", "found"), [("", "ok"), ("0.0.0.0/0", "bad")])
async def test_the_doctor_says_who_is_registered_and_who_gets_in(
    open_pbx: Registrar, ground: Ground, trusted: str, found: str
) -> None:
    chosen = load(
        data_dir=ground.folder,
        phone=True,
        phone_registrar=PBX,
        phone_user="viva",
        phone_password="viva-word",
        phone_address=VIVA,
        phone_trusted=trusted,
    )
    made = janus_bridge(chosen)
    made.on_call(Desk())
    await made.start()
    try:
        await until(lambda: made.accounts[ACCOUNT].state == "registered")
        kept = ground.folder / "janus" / STATE_FILE
        await until(lambda: kept.exists() and json.loads(kept.read_text())["sip_ports"])
        await until(lambda: '"registered"' in kept.read_text())
        await until(lambda: made.free_lines)  # by then it is known whether the port is guarded
        await until(lambda: json.loads(kept.read_text())["guarded"] is made.state.guarded)
        told = {one.name: one async for one in examine(chosen)}
    finally:
        await made.stop()
    assert told["SIP port"].state == found, told
    assert told["registration"].state == told["registrar"].state == "ok", told
    assert told["phone ports"].state == "ok" and "1.1" in told["gateway"].text
