"""One telephone call, with a gateway, a voice and a host that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
import pytest
from livekit import rtc

from agent.plan import Plan
from server.api.ports import Busy, NotConsented, Over
from server.call import LeaveReason, OnLeft
from server.invites import UnknownInvite
from server.phone import attendant, reception, words
from server.phone import line as lines
from server.phone.acts import Consent, Input, NotWritten, Tick, WantsPerson, Written
from server.phone.bridge import (
    Answered,
    CallEvent,
    DigitPressed,
    HungUp,
    MediaUp,
    Party,
    Progress,
    Updating,
)
from server.phone.line import Line
from server.phone.pins import LENGTH
from server.phone.reception import Reception
from server.phone.records import Invited
from server.phone.talk import Ears
from server.rehearsal.phone.ground import until

PIN = "123456789"


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "QUIET_S", 0.0)
    monkeypatch.setattr(reception, "ANSWER_S", 0.05)
    monkeypatch.setattr(reception, "SETTLE_S", 0.0)
    monkeypatch.setattr(attendant, "TICK_S", 0.01)
    monkeypatch.setattr(lines, "repair", lambda sdp: sdp)
    monkeypatch.setattr(lines, "update_answer", lambda ours, offer, codec: f"answer to {offer}")


class Gateway:
    """A `BridgeCall`."""

    id, account = "call", "main"
    caller, callee = Party("+49301234567"), Party("viva")

    def __init__(self, direction: Literal["in", "out"] = "in") -> None:
        self.direction: Literal["in", "out"] = direction
        self.offer = "offer"
        self.updates: list[str] = []
        self.hung_up = False
        self.all: asyncio.Queue[CallEvent] = asyncio.Queue()

    async def update(self, sdp: str) -> None:
        self.updates.append(sdp)

    async def hang_up(self) -> None:
        if not self.hung_up:
            self.hung_up = True
            self.all.put_nowait(HungUp(200, "OK"))

    async def events(self) -> AsyncIterator[CallEvent]:
        while True:
            event = await self.all.get()
            yield event
            if isinstance(event, HungUp):
                return

    def tells(self, *events: CallEvent) -> None:
        for event in events:
            self.all.put_nowait(event)

    def presses(self, keys: str) -> None:
        self.tells(*(DigitPressed(key) for key in keys))


class Track:
    """Plays faster than time."""

    def __init__(self) -> None:
        self.source: Callable[[float], Any] | None = None
        self.on_frame = None
        self._pull()

    def once(self, name: str, call: object) -> None:
        """Never ends by itself."""

    def _pull(self) -> None:
        loop = asyncio.get_running_loop()
        if self.source is not None:
            self.source(loop.time())
        self._next = loop.call_later(0.001, self._pull)


class Media:
    """A `Peer`."""

    local_sdp, codec = "ours", "pcmu"

    def __init__(self) -> None:
        self.track = Track()
        self.held = self.closed = False
        self.quiet = False
        self.trips_over: Exception | None = None
        self._tell_quiet: Callable[[], None] = lambda: None
        self._tell_back: Callable[[], None] = lambda: None

    def through(self, filter: object) -> None: ...
    def on_heard(self, listener: object) -> None: ...
    def on_digit(self, callback: object) -> None: ...
    def on_closed(self, callback: object) -> None: ...

    def on_quiet(self, callback: Callable[[], None]) -> None:
        self._tell_quiet = callback

    def on_back(self, callback: Callable[[], None]) -> None:
        self._tell_back = callback

    def becomes(self, *, quiet: bool) -> None:
        self.quiet = quiet
        (self._tell_quiet if quiet else self._tell_back)()

    def hold(self, held: bool) -> None:
        self.held = held

    async def accept(self, sdp: str) -> None:
        if self.trips_over is not None:
            raise self.trips_over

    async def close(self) -> None:
        self.closed = True


@dataclass
class Leg:
    """A `Call`."""

    on_left: OnLeft
    live: bool = True
    keys: list[str] = field(default_factory=list)

    async def pressed(self, key: str) -> None:
        self.keys.append(key)

    def leave(self, reason: LeaveReason) -> None:
        self.ends(reason)

    def ends(self, reason: LeaveReason | None) -> None:
        if self.live:
            self.live = False
            self.on_left(reason)


class Call:
    """A line over fakes, and what it did."""

    def __init__(
        self,
        plan: Plan,
        *,
        called: bool = False,
        consented: bool = False,
        kept_for: Invited | None = None,
    ) -> None:
        """`kept_for`: who has the caller's number, by what is known of it."""
        self.gateway, self.media = Gateway("out" if called else "in"), Media()
        self.guest = Invited("ada", plan, consented, over=False)
        self.said: list[str] = []
        self.wrote: list[object] = []
        self.written: Written | NotWritten = Written()
        self.legs: list[Leg] = []
        self.refuses: Exception | None = None
        self.joining: asyncio.Event | None = None
        self.places = 1
        self.kept = 0
        self.pause_s = 0.0
        self.voiceless = False
        self.line = Line(
            self.gateway,
            cast(Any, self.media),
            Reception(pin_length=LENGTH, called=called),
            cast(Any, self),
            cast(Any, self),
            cast(Any, self),
            language="en",
            expected=self.guest if called else kept_for,
        )
        self.running = asyncio.create_task(self.line.run())
        self.gateway.tells(MediaUp())

    # The equipment's, the records' and the host's.
    recogniser = property(lambda self: self)
    model = "none"

    async def recognise(self, *_: object, **__: object) -> object:
        raise AssertionError("nobody speaks")

    def reception_voice(self, language: str, ready: object) -> Call:
        return self

    async def speak(self, text: str, reply_id: str) -> AsyncIterator[rtc.AudioFrame]:
        self.said.append(text)
        if self.voiceless:
            raise OSError("no voice works")
        yield rtc.AudioFrame(np.full(480, 99, np.int16).tobytes(), 24000, 1, 480)
        await asyncio.sleep(self.pause_s)

    async def by_pin(self, pin: str, number: str) -> Invited:
        assert number == "+49301234567"
        if pin != PIN:
            raise UnknownInvite
        return self.guest

    async def invited(self, interview_id: str) -> Invited:
        assert interview_id == self.guest.interview_id
        return self.guest

    async def consent(self, interview_id: str, answer: Consent, read: Plan) -> Written | NotWritten:
        assert interview_id == self.guest.interview_id
        if read != self.guest.plan:
            return NotWritten("changed")
        self.wrote.append(answer)
        return self.written

    async def wants_person(self, interview_id: str, *, disclosed: bool) -> None:
        self.wrote.append(WantsPerson(disclosed))

    async def keep_place(self, interview_id: str) -> None:
        assert interview_id == "ada"
        if not self.places:
            raise Busy(4)
        self.kept += 1

    async def join_line(self, interview_id: str, peer: object, on_left: OnLeft) -> Leg:
        if self.refuses:
            raise self.refuses
        self.legs.append(Leg(on_left))
        if self.joining is not None:
            await self.joining.wait()
        return self.legs[-1]

    # The test's.
    def heard(self, name: str) -> bool:
        return words.line(name, "en", self.guest.plan) in self.said

    async def hears(self, name: str) -> None:
        await until(lambda: self.heard(name), what=lambda: str(self.said))

    async def joined(self, n: int = 1) -> Leg:
        await until(lambda: len(self.legs) == n, what=lambda: str(self.said))
        return self.legs[n - 1]

    async def ends(self) -> HungUp:
        async with asyncio.timeout(20):
            return await self.running


async def test_a_pin_and_two_keys_lead_to_the_interview_and_its_end_to_the_calls_end(
    plan: Plan,
) -> None:
    ada = Call(plan)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await ada.hears("consent_interview")
    ada.gateway.presses("1")
    await ada.hears("consent_recording")
    ada.gateway.presses("2")
    leg = await ada.joined()
    assert ada.wrote == [Consent(True, False, "key", "key")]
    ada.gateway.presses("*")
    await until(lambda: leg.keys == ["*"])
    leg.ends(None)
    assert await ada.ends() == HungUp(200, "OK")
    assert ada.media.closed and ada.line.joined


async def test_the_reception_knows_whether_somebody_is_speaking(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, told = Call(plan), list[Input]()
    on = Reception.on
    monkeypatch.setattr(
        Reception, "on", lambda self, what, at: (told.append(what), on(self, what, at))[1]
    )
    await until(lambda: Tick(speaking=False) in told)
    monkeypatch.setattr(Ears, "busy", property(lambda self: True))
    await until(lambda: Tick(speaking=True) in told)
    ada.gateway.tells(HungUp(200, "gone"))
    await ada.ends()


async def test_a_key_stops_every_line_that_was_still_to_be_said(plan: Plan) -> None:
    ada = Call(plan, called=True)
    ada.gateway.tells(Answered(None))
    await ada.hears("called")
    ada.pause_s = 10.0
    ada.gateway.presses("1")
    await ada.hears("called_hello")
    ada.gateway.presses("2")  # before the disclosure and the question were said
    await ada.hears("consent_refused")
    assert not ada.heard("consent_interview")
    assert ada.wrote == [Consent(False, False, "key", disclosed=False)]
    ada.gateway.tells(HungUp(200, "gone"))
    await ada.ends()


async def test_what_is_said_into_a_hold_was_not_heard(plan: Plan) -> None:
    ada = Call(plan)
    await ada.hears("welcome")
    ada.pause_s = 0.2
    ada.gateway.tells(Updating("held", held=True))
    ada.gateway.presses(PIN)
    await ada.hears("consent_interview")
    ada.gateway.tells(Updating("back", held=False))
    await ada.hears("consent_interview_again")
    ada.said.clear()
    ada.gateway.presses("1")
    await ada.hears("disclosure")
    assert not ada.wrote
    ada.gateway.tells(HungUp(200, "gone"))
    await ada.ends()


async def test_what_no_voice_said_is_agreed_to_by_nobody(plan: Plan) -> None:
    ada = Call(plan)
    await ada.hears("welcome")
    ada.voiceless = True
    ada.gateway.presses(PIN)
    await ada.hears("consent_interview")
    ada.gateway.presses("1")
    await ada.ends()
    assert not ada.wrote and not ada.line.joined


async def test_a_number_kept_for_one_keeps_out_nobody_with_a_pin_of_their_own(plan: Plan) -> None:
    other = Invited("ben", plan, True, over=False)
    ada = Call(plan, consented=True, kept_for=other)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    (await ada.joined()).ends(None)
    await ada.ends()
    assert ada.line.joined


async def test_legs_that_end_by_themselves_at_once_are_not_made_for_ever(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "REJOIN_S", (0.01, 0.02))
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    for n in (1, 2, 3):
        (await ada.joined(n)).ends("dropped")
    await ada.ends()
    assert len(ada.legs) == 3 and ada.heard("failed")


async def test_a_leg_that_held_the_interview_for_a_while_is_followed_by_as_many_as_before(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "REJOIN_S", (0.0,))
    monkeypatch.setattr(lines, "AT_ONCE_S", 0.0)
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    for n in (1, 2, 3, 4):
        (await ada.joined(n)).ends("dropped")
    (await ada.joined(5)).ends(None)
    await ada.ends()
    assert not ada.heard("failed")


async def test_a_hold_pauses_the_interview_and_the_return_goes_on(plan: Plan) -> None:
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    first = await ada.joined()
    ada.gateway.tells(Updating("held", held=True))
    await until(lambda: not first.live)
    assert ada.media.held and ada.gateway.updates == ["answer to held"]
    await asyncio.sleep(0.05)
    assert len(ada.legs) == 1, "nobody is there to talk to"
    ada.gateway.tells(Updating("back", held=False))
    second = await ada.joined(2)
    assert not ada.media.held
    second.ends(None)
    await ada.ends()


async def test_a_line_that_was_quiet_goes_on_when_it_is_back(plan: Plan) -> None:
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    first = await ada.joined()
    ada.media.becomes(quiet=True)
    first.ends("dropped")  # as the call does by itself
    await asyncio.sleep(0.05)
    assert len(ada.legs) == 1
    ada.media.becomes(quiet=False)
    (await ada.joined(2)).ends(None)
    await ada.ends()


@pytest.mark.parametrize("how", ["quiet", "held"])
async def test_a_line_that_goes_while_the_leg_begins_is_not_talked_to(plan: Plan, how: str) -> None:
    ada = Call(plan, consented=True)
    ada.joining = asyncio.Event()
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    first = await ada.joined()
    if how == "quiet":
        ada.media.becomes(quiet=True)
    else:
        ada.gateway.tells(Updating("held", held=True))
        await until(lambda: ada.gateway.updates)
    ada.joining.set()
    await until(lambda: not first.live)
    if how == "quiet":
        ada.media.becomes(quiet=False)
    else:
        ada.gateway.tells(Updating("back", held=False))
    (await ada.joined(2)).ends(None)
    await ada.ends()


async def test_a_hold_without_an_end_ends_the_call(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "AWAY_S", 0.1)
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await ada.joined()
    ada.gateway.tells(Updating("held", held=True))
    await ada.ends()
    assert len(ada.legs) == 1


async def test_who_is_not_heard_for_long_is_told_before_the_end(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Perhaps they hear us all the time."""
    monkeypatch.setattr(lines, "AWAY_S", 0.1)
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    leg = await ada.joined()
    ada.media.becomes(quiet=True)
    leg.ends("dropped")
    await ada.ends()
    assert ada.heard("silence") and len(ada.legs) == 1


async def test_whoever_goes_on_elsewhere_is_told_and_the_call_ends(plan: Plan) -> None:
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    (await ada.joined()).ends("replaced")
    await ada.ends()
    assert ada.heard("replaced")


@pytest.mark.parametrize(
    ("event", "reason"),
    [(HungUp(200, "BYE"), "hung_up"), (HungUp(0, "gateway lost"), "dropped")],
)
async def test_a_caller_who_leaves_leaves_the_interview_as_it_is(
    plan: Plan, event: HungUp, reason: str
) -> None:
    ada = Call(plan, consented=True)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    leg = await ada.joined()
    reasons: list[LeaveReason | None] = []
    told = leg.on_left
    leg.on_left = lambda why: (reasons.append(why), told(why))[1]
    ada.gateway.tells(event)
    assert await ada.ends() == event
    assert reasons == [reason]


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Busy(4), "full"),
        (Over("ada"), "over"),
        (NotConsented("ada"), "consent_refused"),
        (TimeoutError(), "failed"),
    ],
)
async def test_a_caller_who_cannot_join_hears_why(
    plan: Plan, refusal: Exception, said: str
) -> None:
    ada = Call(plan, consented=True)
    ada.refuses = refusal
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await ada.ends()
    assert ada.heard(said) and not ada.line.joined


async def test_who_agreed_to_a_text_that_changed_meanwhile_hears_the_one_that_stands(
    plan: Plan,
) -> None:
    ada = Call(plan)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await ada.hears("consent_interview")
    ada.gateway.presses("1")
    await ada.hears("consent_recording")
    ada.guest = replace(ada.guest, plan=with_another_text(plan))
    assert not ada.heard("consent_text")
    ada.said.clear()
    ada.gateway.presses("1")
    for line in ("consent_changed", "disclosure", "consent_text", "consent_interview"):
        await ada.hears(line)
    assert not ada.wrote
    ada.gateway.presses("1")
    await ada.hears("consent_recording")
    ada.gateway.presses("1")
    (await ada.joined()).ends(None)
    await ada.ends()
    assert ada.wrote == [Consent(True, True, "key", "key")] and not ada.heard("failed")


def with_another_text(plan: Plan) -> Plan:
    consent = plan.policy.consent.model_copy(update={"version": "2", "text": "Another text."})
    policy = plan.policy.model_copy(update={"consent": consent})
    return plan.model_copy(update={"policy": policy})


async def test_who_began_in_a_browser_meanwhile_with_another_answer_is_told(plan: Plan) -> None:
    ada = Call(plan)
    ada.written = NotWritten("elsewhere")
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await ada.hears("consent_interview")
    ada.gateway.presses("2")
    await ada.ends()
    assert ada.heard("replaced") and not ada.heard("consent_refused") and not ada.heard("failed")
    assert ada.line.why == "elsewhere"


@pytest.mark.parametrize("called", [False, True])
async def test_nobody_consents_to_what_there_is_no_room_for(plan: Plan, called: bool) -> None:
    ada = Call(plan, called=called)
    ada.places = 0
    ada.gateway.tells(*[Answered(None)] * called)
    await ada.hears("called" if called else "welcome")
    ada.gateway.presses("1" if called else PIN)
    await ada.ends()
    assert ada.heard("full") and not ada.heard("consent_interview")
    assert not ada.wrote and not ada.line.joined


async def test_a_place_is_kept_for_as_long_as_the_reception_takes(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attendant, "RENEW_S", 0.01)
    monkeypatch.setattr(reception, "ANSWER_S", 60.0)
    ada = Call(plan)
    await ada.hears("welcome")
    ada.gateway.presses(PIN)
    await until(lambda: ada.kept > 3)
    ada.places = 0  # a renewal that fails ends no reception
    await ada.hears("consent_interview")
    ada.gateway.presses("1")
    await ada.hears("consent_recording")
    ada.gateway.presses("1")
    (await ada.joined()).ends(None)
    await ada.ends()


async def test_a_voicemail_hears_nothing_of_an_interview(plan: Plan) -> None:
    machine = Call(plan, called=True)
    machine.gateway.tells(Answered(None))
    await machine.ends()
    assert machine.line.why == "voicemail"
    told = [words.line(name, "en") for name in ("called", "called_again", "callback")]
    assert machine.said == told


async def test_a_call_that_is_not_taken_is_given_up(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "RING_S", 0.05)
    nobody = Call(plan, called=True)
    await nobody.ends()
    assert not nobody.said and nobody.gateway.hung_up and nobody.line.why == "no_answer"


@pytest.mark.parametrize("fault", [TimeoutError(), OSError("no socket"), ValueError("hostile")])
async def test_an_answer_that_trips_us_up_leaves_us_listening_for_the_calls_end(
    plan: Plan, fault: Exception
) -> None:
    ada = Call(plan, called=True)
    ada.media.trips_over = fault
    gone = HungUp(503, "gone")
    ada.gateway.tells(Progress("answer"), gone)
    assert await ada.ends() == gone


async def test_the_servers_end_is_said(plan: Plan) -> None:
    ada = Call(plan)
    await ada.hears("welcome")
    await ada.line.stop()
    await ada.ends()
    assert ada.heard("stopped")
