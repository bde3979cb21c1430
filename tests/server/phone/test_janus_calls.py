"""The bridge, with a Janus by script: calls, losses, and what hostile packets do to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from calls_in import Desk
from fake_janus import MASTER, FakeJanus, Message

from server.phone import accounts
from server.phone.accounts import Account
from server.phone.bridge import (
    GATEWAY_LOST,
    Answered,
    BridgeCall,
    DialRefused,
    DigitPressed,
    GatewayLost,
    GatewayState,
    HungUp,
    MediaUp,
    Progress,
    Ringing,
    Updating,
)
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.doors import SipDoors
from server.phone.janus.lines import SPARE
from server.rehearsal.phone.ground import until

ACCOUNT = Account("main", "viva", "192.0.2.5", password="hush-hush")
LINES = 2
HELD = (
    "v=0\r\no=- 1 2 IN IP4 192.0.2.7\r\ns=-\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.7\r\na=sendonly\r\n"
)


class NoDoors(SipDoors):
    """The other end of the socket is the test itself."""

    async def before(self) -> None:
        pass

    async def after(self, account: str, addresses: object) -> None:
        pass


@pytest.fixture
def janus(tmp_path: Path) -> FakeJanus:
    return FakeJanus(tmp_path)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def states() -> list[GatewayState]:
    """Of the gateway, as they were told."""
    return []


@pytest.fixture
async def bridge(
    janus: FakeJanus, desk: Desk, states: list[GatewayState]
) -> AsyncIterator[JanusBridge]:
    made = JanusBridge([ACCOUNT], janus, lines=LINES, doors=NoDoors(), on_change=states.append)
    made.on_call(desk)
    await made.start()
    await ready(made, janus)
    yield made
    await made.stop()


async def ready(made: JanusBridge, janus: FakeJanus) -> None:
    await until(lambda: len(janus.handles) == 1 + LINES + SPARE and made.free_lines == LINES)
    assert made.accounts["main"].state == "registered"


async def rings(janus: FakeJanus, desk: Desk, nth: int = 0) -> BridgeCall:
    before = len(desk.calls)
    janus.rings(janus.handles[nth])
    await until(lambda: len(desk.calls) > before)
    return desk.calls[before]


async def told(desk: Desk, *events: object, nth: int = 0) -> None:
    await until(lambda: desk.events[nth][-len(events) :] == list(events), 10, str(desk.events))


async def test_it_registers_with_addresses_and_adds_helpers(
    bridge: JanusBridge, janus: FakeJanus
) -> None:
    first, *others = janus.bodies("register")
    assert first["proxy"] == "sip:192.0.2.5:5060" and first["secret"] == "hush-hush"
    assert [one["master_id"] for one in others] == [MASTER] * (LINES + SPARE)
    assert bridge.state.state == "up" and bridge.state.version == "1.1.2"


async def test_a_call_goes_from_ringing_to_its_end(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    call = await rings(janus, desk)
    assert (call.caller.user, call.offer, call.id) == ("anna", "v=0\r\n", "in-1")
    assert bridge.free_lines == LINES - 1
    await call.answer("v=0 answer")
    asked = janus.asked[-1]
    assert asked["jsep"] == {"type": "answer", "sdp": "v=0 answer", "trickle": False}
    assert asked["body"]["autoaccept_reinvites"] is False
    janus.says({"janus": "webrtcup", "sender": janus.handles[0]})
    info = {"event": "info", "type": "application/dtmf-relay", "content": "Signal=7\r\n"}
    janus.event(janus.handles[0], info)
    held = {"type": "offer", "sdp": HELD}
    janus.event(janus.handles[0], {"event": "updatingcall"}, held)
    await told(desk, MediaUp(), DigitPressed("7"), Updating(held["sdp"], held=True))
    await call.update("v=0 held")
    assert janus.asked[-1]["jsep"]["update"] is True
    await call.hang_up()
    assert janus.bodies("hangup")
    await told(desk, HungUp(200, "SIP BYE"))
    assert ours(desk.events[0][-1])
    asked_before = len(janus.asked)
    await call.hang_up()
    await call.decline(486)
    assert len(janus.asked) == asked_before  # it is over
    await until(lambda: bridge.free_lines == LINES)


async def test_the_end_of_the_last_calls_media_does_not_end_the_next_call(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.phone.janus.call.GOODBYE_S", 0.05)
    line = janus.handles[0]
    call = await rings(janus, desk)
    late = {"janus": "hangup", "sender": line, "reason": "Close PC"}
    janus.says(late)  # before it is answered it has no media
    await asyncio.sleep(0.1)
    await call.answer("v=0 answer")
    janus.says(late)  # nor are they up yet
    await asyncio.sleep(0.1)
    assert not call.ended.is_set()
    janus.says({"janus": "webrtcup", "sender": line})
    janus.says(late)
    await told(desk, MediaUp(), HungUp(0, "media lost"))


async def test_media_that_cannot_come_up_end_the_call(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.phone.janus.call.GOODBYE_S", 0.05)
    call = await rings(janus, desk)
    await call.answer("v=0 answer")
    janus.says({"janus": "hangup", "sender": janus.handles[0], "reason": "ICE failed"})
    await told(desk, HungUp(0, "media lost"))


async def test_a_call_that_ends_without_a_word_ends_all_the_same(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.phone.janus.call.GOODBYE_S", 0.05)
    janus.says_goodbye = False
    call = await rings(janus, desk)
    await call.hang_up()  # while it rings: declined
    assert janus.bodies("decline") == [{"request": "decline", "code": 603}]
    await told(desk, HungUp(603, "declined"))


async def test_an_offerless_call_is_answered_with_our_offer(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    janus.rings(janus.handles[0], sdp=None)
    await until(lambda: desk.calls)
    assert desk.calls[0].offer is None
    await desk.calls[0].answer("v=0 ours")
    assert janus.asked[-1]["jsep"]["type"] == "offer"


async def test_a_caller_without_the_encryption_we_demand_is_refused(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    janus.answers["accept"] = lambda body: {"error_code": 452, "error": "SDES-SRTP required"}
    call = await rings(janus, desk)
    await call.answer("v=0")
    assert janus.bodies("decline") == [{"request": "decline", "code": 488}]


async def test_one_call_too_many_is_told_busy(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    await rings(janus, desk, 0)
    await rings(janus, desk, 1)
    janus.rings(janus.handles[2])
    await until(lambda: janus.bodies("decline"))
    assert janus.bodies("decline") == [{"request": "decline", "code": 486}]
    assert len(desk.calls) == 2 and bridge.state.missed == 1 and bridge.free_lines == 0


async def test_who_is_told_busy_keeps_no_line_from_the_next_caller(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    """Or those who ring at a full house would keep it full."""
    janus.says_goodbye = False  # the refusal takes its time
    await rings(janus, desk, 0)
    await rings(janus, desk, 1)
    janus.rings(janus.handles[2])
    await until(lambda: janus.bodies("decline"))
    assert bridge.state.calls == LINES
    janus.event(janus.handles[0], {"event": "hangup", "code": 200, "reason": ""})
    await until(lambda: bridge.free_lines == 1)
    await rings(janus, desk, 3)
    assert len(desk.calls) == 3 and bridge.state.missed == 1


async def test_what_takes_calls_may_fail(bridge: JanusBridge, janus: FakeJanus) -> None:
    def fails(call: BridgeCall) -> None:
        raise RuntimeError("no desk today")

    bridge.on_call(fails)
    janus.rings(janus.handles[0])
    await until(lambda: janus.bodies("decline"))
    assert janus.bodies("decline") == [{"request": "decline", "code": 603}]
    assert bridge.state.state == "up"


@pytest.mark.parametrize("how", ["dies", "hangs up", "session timeout"])
async def test_a_lost_gateway_ends_every_call_and_is_brought_back(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, how: str
) -> None:
    call = await rings(janus, desk)
    match how:
        case "dies":
            janus.die()
        case "hangs up":
            janus.hang_up()
        case _:
            janus.says({"janus": "timeout", "session_id": 100})
    await told(desk, HungUp(0, GATEWAY_LOST))
    await call.answer("v=0")  # of a call that is over: nothing is raised
    await until(lambda: janus.ups == 2)
    await ready(bridge, janus)
    assert bridge.state.restarts == 1
    await rings(janus, desk)


async def test_while_the_gateway_is_down_nobody_can_dial(
    bridge: JanusBridge, janus: FakeJanus
) -> None:
    janus.die()
    await until(lambda: bridge.state.state == "down")
    assert bridge.free_lines == 0 and bridge.accounts["main"].state == "off"
    with pytest.raises(GatewayLost):
        await bridge.dial("main", "+442079460123", "v=0")


@pytest.mark.parametrize(
    "packet",
    [
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"janus":"event"}',
        b'{"janus":"event","sender":{}}',
        b'{"janus":"event","sender":%d,"plugindata":7,"jsep":[]}',
        b'{"janus":"event","sender":%d,"plugindata":{"data":{"result":"x"}}}',
        b'{"janus":"event","sender":%d,"plugindata":{"data":{"result":{"event":{}}}}}',
        b'{"janus":"event","sender":%d,"plugindata":{"data":{"error_code":"x"}}}',
        b'{"janus":7,"sender":%d,"transaction":{}}',
        b'"' + b"x" * 150_000 + b'"',
    ],
)
async def test_garbage_is_survived(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, packet: bytes
) -> None:
    janus.send(packet.replace(b"%d", str(janus.handles[0]).encode()))
    call = await rings(janus, desk)
    assert call.caller.user == "anna" and bridge.state.restarts == 0


async def test_an_offer_that_is_too_long_is_refused(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    janus.rings(janus.handles[0], sdp="v=0\r\n" + "a=x\r\n" * 10_000)
    await until(lambda: janus.bodies("decline"))
    assert janus.bodies("decline") == [{"request": "decline", "code": 488}] and not desk.calls


async def test_a_request_that_janus_would_drop_is_not_sent(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    call = await rings(janus, desk)
    await call.answer("v=0\r\n" + "a=x\r\n" * 2_000)
    assert not janus.bodies("accept") and janus.bodies("decline")


async def test_a_flood_of_keys_loses_keys_but_not_the_end(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    call = await rings(janus, desk)
    info = {"event": "info", "type": "application/dtmf", "content": "1"}
    for n in range(3000):
        janus.event(janus.handles[0], info)
        if n % 50 == 0:
            await asyncio.sleep(0)
    janus.event(janus.handles[0], {"event": "hangup", "code": 200, "reason": ""})
    await until(lambda: desk.events[0][-1:] == [HungUp(200, "")])
    assert call.caller.user == "anna"


async def test_a_call_out_has_a_line_of_its_own(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, states: list[GatewayState]
) -> None:
    call = await bridge.dial("main", "+442079460123", "v=0 ours")
    assert states[-1].calls == 1
    seen = desk.listen(call)
    handle = janus.handles[-1]
    assert len(janus.handles) == 2 + LINES + SPARE and call.id == "out-1"
    assert janus.bodies("call")[0]["uri"] == "sip:+442079460123@192.0.2.5"
    janus.event(handle, {"event": "ringing"})
    janus.event(handle, {"event": "progress"}, {"type": "answer", "sdp": "v=0 early"})
    janus.event(handle, {"event": "accepted"})
    janus.event(handle, {"event": "hangup", "code": 486, "reason": "Busy Here"})
    busy = HungUp(486, "Busy Here")
    await until(lambda: seen == [Ringing(), Progress("v=0 early"), Answered(None), busy])
    assert not ours(seen[-1]) and states[-1].calls == 0
    await until(lambda: any(one["janus"] == "detach" for one in janus.asked))
    assert bridge.free_lines == LINES


def ours(event: object) -> bool:
    """Whether it is the end of a call that we hung up."""
    return isinstance(event, HungUp) and event.ours


@pytest.mark.parametrize("number", ["", "sip:x@y", "1 2", "+44;x=y", "a" * 66, "1\r\n2", "<1>"])
async def test_what_is_no_number_is_not_dialled(
    bridge: JanusBridge, janus: FakeJanus, number: str
) -> None:
    with pytest.raises(DialRefused):
        await bridge.dial("main", number, "v=0")
    assert not janus.bodies("call")


async def test_a_call_out_that_janus_refuses_leaves_no_line_behind(
    bridge: JanusBridge, janus: FakeJanus
) -> None:
    janus.answers["call"] = lambda body: {"error_code": 447, "error": "Wrong state"}
    with pytest.raises(DialRefused, match="Wrong state"):
        await bridge.dial("main", "101", "v=0")
    await until(lambda: any(one["janus"] == "detach" for one in janus.asked))
    assert bridge.free_lines == LINES and bridge.state.calls == 0


@pytest.mark.parametrize("missing", ["handle", "helper", "call"])
async def test_a_call_out_takes_one_line_while_janus_dials(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk, missing: str
) -> None:
    """Whatever Janus is still to answer."""
    janus.withholds_handles = missing == "handle"
    answered = {"event": "registered"} if missing == "call" else None
    janus.answers |= {"register": lambda body: answered, "call": lambda body: None}
    asked = {"handle": "attach", "helper": "register", "call": "call"}[missing]
    before = len(janus.asked)
    dialling = asyncio.create_task(bridge.dial("main", "101", "v=0"))
    await until(lambda: asked in map(request, janus.asked[before:]))
    assert (bridge.free_lines, bridge.state.calls) == (LINES - 1, 1)
    for nth in range(LINES - 1):
        await rings(janus, desk, nth)
    assert (bridge.free_lines, bridge.state.calls) == (0, LINES)
    janus.rings(janus.handles[LINES - 1])
    await until(lambda: janus.bodies("decline"))
    assert janus.bodies("decline") == [{"request": "decline", "code": 486}]
    assert len(desk.calls) == LINES - 1 and bridge.state.missed == 1
    dialling.cancel()
    await asyncio.gather(dialling, return_exceptions=True)


def request(message: Message) -> str:
    """What Janus, or its plugin, was asked for."""
    return str(message.get("body", {}).get("request", message["janus"]))


async def test_a_call_out_that_gets_no_line_of_janus_is_refused(
    bridge: JanusBridge, janus: FakeJanus
) -> None:
    janus.refuses_handles = True
    with pytest.raises(DialRefused, match="Could not attach"):
        await bridge.dial("main", "101", "v=0")
    assert bridge.free_lines == LINES and bridge.state.calls == 0


async def test_stopping_ends_calls_and_unregisters(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    await rings(janus, desk)
    await bridge.stop()
    assert janus.bodies("decline") and isinstance(desk.events[0][-1], HungUp)
    assert bridge.state.state == "stopped"


async def test_a_registration_that_is_refused_is_shown(janus: FakeJanus) -> None:
    def refuses(body: dict[str, object]) -> dict[str, object]:
        janus.event(janus.handles[0], {"event": "registration_failed", "code": 904})
        return {"event": "unused"}

    janus.answers["register"] = refuses
    made = JanusBridge([ACCOUNT], janus, lines=LINES, doors=NoDoors())
    await made.start()
    await until(lambda: made.accounts["main"].state == "failed")
    assert "password" in made.accounts["main"].reason and made.free_lines <= LINES
    await made.stop()


@pytest.mark.parametrize(
    ("code", "asked"),
    [(408, ["192.0.2.5", "192.0.2.6", "192.0.2.6"]), (503, ["192.0.2.5", "192.0.2.6"])],
    ids=["silent", "overloaded"],
)
async def test_a_registrars_address_that_does_not_answer_is_passed_over(
    janus: FakeJanus, monkeypatch: pytest.MonkeyPatch, code: int, asked: list[str]
) -> None:
    """And the one that answers is kept, as long as the name has it."""
    monkeypatch.setattr(accounts, "_SHORT_S", (0.01, 0.01))
    registers = janus.answers["register"]

    def first_is_dead(body: dict[str, object]) -> dict[str, object] | None:
        if body.get("proxy") != "sip:192.0.2.5:5060":
            return registers(body)
        janus.event(janus.handles[0], {"event": "registration_failed", "code": code})
        return {"event": "unused"}

    async def both(host: str) -> list[str]:
        return ["192.0.2.5", "192.0.2.6"]

    janus.answers["register"] = first_is_dead
    short = Account("main", "viva", "pbx.example", password="hush-hush", ttl_s=1)
    made = JanusBridge([short], janus, lines=LINES, doors=NoDoors(), lookup=both)
    await made.start()
    try:
        await until(lambda: places(janus)[: len(asked)] == asked, what=lambda: str(places(janus)))
        assert made.accounts["main"].state in ("registered", "registering")
    finally:
        await made.stop()


async def test_a_refusal_is_the_word_of_every_address(
    janus: FakeJanus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "_LONG_S", (0.01, 0.01))

    def refuses(body: dict[str, object]) -> dict[str, object]:
        janus.event(janus.handles[0], {"event": "registration_failed", "code": 403})
        return {"event": "unused"}

    async def both(host: str) -> list[str]:
        return ["192.0.2.5", "192.0.2.6"]

    janus.answers["register"] = refuses
    made = JanusBridge([ACCOUNT], janus, lines=LINES, doors=NoDoors(), lookup=both)
    await made.start()
    await until(lambda: len(places(janus)) >= 3, what=lambda: str(places(janus)))
    await made.stop()
    assert set(places(janus)) == {"192.0.2.5"}


def places(janus: FakeJanus) -> list[str]:
    """Which addresses were asked to register us, in order."""
    asked = [str(one["proxy"]) for one in janus.bodies("register") if "proxy" in one]
    return [one.removeprefix("sip:").removesuffix(":5060") for one in asked]


async def test_a_master_that_is_taken_away_is_replaced(
    bridge: JanusBridge, janus: FakeJanus, desk: Desk
) -> None:
    old = list(janus.handles)
    call = await rings(janus, desk, 1)
    for handle in old:  # Janus takes the helpers with their master
        janus.says({"janus": "detached", "sender": handle})
    await told(desk, HungUp(0, "the line was taken away"))
    await until(lambda: len(janus.handles) == 2 * len(old) and bridge.free_lines == LINES)
    assert call.direction == "in" and bridge.accounts["main"].state == "registered"
