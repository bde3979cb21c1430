"""Who is called and who is not, with a bridge that only notes what it is asked to dial."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from datetime import time as day_time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agent.events import Incident
from agent.plan import Plan
from server.media.peer import Peer
from server.phone import dialler
from server.phone.bridge import AccountState, BridgeCall, DialRefused, GatewayLost, GatewayState
from server.phone.outbound import Policy
from server.phone.pins import Pins
from server.phone.switchboard import BoardSettings, Switchboard
from server.rehearsal.phone.ground import until
from server.store import CallOut, Store

NUMBER = "+49301234567"
ALWAYS = Policy(prefixes=("+49",))


class Bridge:
    """Has lines, and brings no call about."""

    free_lines = 4
    state = GatewayState("up", lines=4)

    def __init__(self) -> None:
        self.accounts = {"main": AccountState("registered", datetime.now(UTC))}
        self.dialled: list[str] = []

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def on_call(self, callback: Callable[[BridgeCall], None]) -> None: ...

    async def dial(self, account: str, number: str, offer_sdp: str) -> BridgeCall:
        self.dialled.append(number)
        raise DialRefused("Every line is in use.")


class Host:
    """Has a place for everybody."""

    async def keep_place(self, interview_id: str) -> None: ...
    def has_place(self, interview_id: str) -> bool:
        return False

    def leave_place(self, interview_id: str) -> None: ...
    async def request(self, interview_id: str, request: str) -> None: ...


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialler, "LOOK_S", 0.01)


def board(store: Store, bridge: Bridge, policy: Policy) -> Switchboard:
    equipment, host = cast(Any, SimpleNamespace(clock=time.time)), cast(Any, Host())
    pins = Pins(store, b"key")
    return Switchboard(bridge, store, pins, host, equipment, BoardSettings("main", policy=policy))


async def asked_for(store: Store, plan: Plan, number: str = NUMBER, zone: str = "UTC") -> CallOut:
    record = await store.create_interview(plan)
    made = CallOut("call", record.interview_id, number, zone, time.time(), 1)
    await store.add_call(made)
    return made


@pytest.mark.parametrize(
    ("number", "zone", "policy", "told"),
    [
        ("+442079460123", "UTC", ALWAYS, "begin with +49"),
        (NUMBER, "UTC", Policy(), "calls to candidates are off"),
        (NUMBER, "UTC", Policy(prefixes=("+49",), calls_per_day=0), "VIVA_PHONE_CALLS_PER_DAY"),
        (NUMBER, "UTC", Policy(prefixes=("+49",), minutes_per_day=0), "VIVA_PHONE_MINUTES"),
        (NUMBER, "Mars/Olympus", ALWAYS, "no time zone"),
    ],
    ids=["prefix", "off", "calls", "minutes", "zone"],
)
async def test_what_is_not_allowed_any_more_waits_and_is_said_once(
    store: Store,
    plan: Plan,
    caplog: pytest.LogCaptureFixture,
    number: str,
    zone: str,
    policy: Policy,
    told: str,
) -> None:
    """It was asked for under other rules."""
    call, bridge = await asked_for(store, plan, number, zone), Bridge()
    made = board(store, bridge, policy)
    await made.start()
    await until(lambda: told.lower() in caplog.text.lower(), what=lambda: caplog.text)
    await asyncio.sleep(0.1)  # it is looked at again and again
    await made.stop()
    assert not bridge.dialled and caplog.text.count("is not called") == 1
    assert (await store.calls(call.interview_id))[0].outcome == "waiting"


async def test_nobody_is_called_outside_the_hours(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    night = 1_800_054_000.0  # 23:00 UTC
    call, bridge = await asked_for(store, plan), Bridge()
    monkeypatch.setattr(time, "time", lambda: night)
    made = board(store, bridge, ALWAYS)
    await made.start()
    await asyncio.sleep(0.1)
    await made.stop()
    assert not bridge.dialled
    assert (await store.calls(call.interview_id))[0].outcome == "waiting"


async def test_a_call_whose_answer_the_gateway_does_not_confirm_is_hung_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []

    async def offer(**_: object) -> tuple[object, str]:
        return SimpleNamespace(close=lambda: noted("closed")), "ours"

    async def noted(what: str) -> None:
        did.append(what)

    async def answer(sdp: str) -> None:
        raise GatewayLost("The SIP plugin did not answer within 5 s.")

    monkeypatch.setattr(Peer, "offer", offer)
    called = SimpleNamespace(offer=None, answer=answer, hang_up=lambda: noted("hung up"))
    board(store, Bridge(), ALWAYS)._called(cast(BridgeCall, called))
    await until(lambda: did == ["closed", "hung up"], what=lambda: str(did))


@pytest.mark.media
async def test_a_call_that_the_gateway_refuses_has_failed_and_is_tried_again(
    store: Store, plan: Plan
) -> None:
    call, bridge = await asked_for(store, plan), Bridge()
    made = board(store, bridge, Policy(prefixes=("+49",), opens=day_time.min, closes=day_time.max))
    await made.start()
    await until(lambda: bridge.dialled)
    await tried_again(store, call)
    await made.stop()


async def test_a_call_that_an_earlier_server_did_not_end_has_failed(
    store: Store, plan: Plan
) -> None:
    """Killed in mid-call; whoever is to be called can be called again."""
    call = await asked_for(store, plan)
    assert await store.call_begun(call.call_id, time.time())
    made = board(store, Bridge(), Policy())
    await made.start()
    await tried_again(store, call)
    await made.stop()


async def tried_again(store: Store, call: CallOut) -> None:
    async with asyncio.timeout(20):
        while len(calls := await store.calls(call.interview_id)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert [(one.attempt, one.outcome) for one in calls] == [(1, "failed"), (2, "waiting")]
    events = [one.event for one in await store.events(call.interview_id)]
    assert [one.kind for one in events if isinstance(one, Incident)] == ["phone_failed"]
