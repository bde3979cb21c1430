"""Who is called, when and how often: a real store, and a gateway whose lines are really taken."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from datetime import time as day_time
from typing import Any, cast

import pytest

from agent.events import Incident, InterviewEnded
from agent.plan import Plan
from server.api.ports import Busy
from server.phone import dialler
from server.phone.bridge import (
    AccountState,
    BridgeCall,
    DialRefused,
    GatewayState,
    Standing,
)
from server.phone.dialler import SEEN_EVERY_S, Dialler, Outgoing
from server.phone.outbound import RETRY_S, Policy
from server.phone.pins import Pins
from server.phone.records import CallRecords
from server.rehearsal.phone.ground import until
from server.store import CallOut, CallOutcome, Store, StoreError, StoreUnavailable

ALWAYS = Policy(prefixes=("+49",), opens=day_time.min, closes=day_time.max)
NOON = 1_800_014_400.0


class Ringing:
    """A `BridgeCall`, as far as it is needed."""

    def __init__(self, ends: asyncio.Future[CallOutcome]) -> None:
        self.hung_up = False
        self._ends = ends

    async def hang_up(self) -> None:
        self.hung_up = True
        if not self._ends.done():
            self._ends.set_result("failed")


class Office:
    """A gateway, a host, a clock, and telephones that ring until the test decides."""

    def __init__(self, store: Store, policy: Policy = ALWAYS, lines: int = 4) -> None:
        self.store, self.lines, self.now = store, lines, NOON
        self.standing: Standing = "registered"
        self.made: list[Outgoing] = []
        self.ends: dict[str, asyncio.Future[CallOutcome]] = {}
        self.breaks: Exception | None = None
        self.before_dialling = asyncio.Event()
        self.before_dialling.set()
        self.places, self.kept, self.in_browser = 9, set[str](), set[str]()
        self._of = (policy, itertools.count(1))
        self.begin_anew()

    def begin_anew(self) -> None:
        """As a server that starts."""
        records = CallRecords(self.store, Pins(self.store, b"key"), self.clock, cast(Any, None))
        bridge, host = cast(Any, self), cast(Any, self)
        policy = self._of[0]
        self.dialler = Dialler(
            bridge, self.store, records, host, self.clock, "main", policy, self.hold
        )

    def clock(self) -> float:
        return self.now

    # The gateway's.
    @property
    def accounts(self) -> dict[str, AccountState]:
        return {"main": AccountState(self.standing, datetime.now(UTC))}

    @property
    def free_lines(self) -> int:
        return self.lines - len(self.talking)

    @property
    def state(self) -> GatewayState:
        return GatewayState("up", lines=self.lines)

    @property
    def talking(self) -> list[Outgoing]:
        return [one for one in self.made if one.call and not self.ends[one.number].done()]

    # The host's.
    def has_place(self, interview_id: str) -> bool:
        return interview_id in self.in_browser

    async def keep_place(self, interview_id: str) -> None:
        if len(self.kept) >= self.places:
            raise Busy(len(self.kept))
        self.kept.add(interview_id)

    def leave_place(self, interview_id: str) -> None:
        self.kept.discard(interview_id)

    # The switchboard's.
    async def hold(self, made: Outgoing) -> CallOutcome:
        self.made.append(made)
        ends = self.ends[made.number] = asyncio.get_running_loop().create_future()
        await self.before_dialling.wait()
        if self.breaks is not None:
            ends.cancel()
            raise self.breaks
        made.call = cast(BridgeCall, Ringing(ends))
        return await ends

    # The test's.
    async def ask_for(self, plan: Plan, at: float = NOON) -> CallOut:
        record = await self.store.create_interview(plan)
        nth = next(self._of[1])
        number = f"+4930{nth:07}"
        call = CallOut(f"call {nth}", record.interview_id, number, "UTC", at, 1)
        await self.store.add_call(call)
        return call

    async def outcomes(self, call: CallOut) -> list[tuple[int, str]]:
        calls = await self.store.calls(call.interview_id)
        return [(one.attempt, one.outcome) for one in calls]

    async def become(self, call: CallOut, *wanted: str) -> None:
        async with asyncio.timeout(20):
            while [one for _, one in await self.outcomes(call)] != list(wanted):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def incidents(self, call: CallOut) -> list[str]:
        events = [one.event for one in await self.store.events(call.interview_id)]
        return [one.kind for one in events if isinstance(one, Incident)]

    async def looks(self, times: int = 3) -> None:
        """So often at least it was looked whether somebody is to be called."""
        for _ in range(times):
            await self.dialler._look()

    def end(self, call: CallOut, outcome: CallOutcome) -> None:
        self.ends[call.number].set_result(outcome)


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


async def test_calls_due_together_leave_a_line_for_callers(office: Office, plan: Plan) -> None:
    """The gateway counts none of them yet when the next one is looked at."""
    calls = [await office.ask_for(plan) for _ in range(7)]
    office.before_dialling.clear()
    await office.looks()
    await until(lambda: len(office.made) == 3)
    assert office.free_lines == 4, "none has reached the gateway"
    office.before_dialling.set()
    await until(lambda: len(office.talking) == 3)
    await office.looks()
    assert len(office.made) == 3 and office.free_lines == 1
    office.end(calls[0], "answered")
    await office.become(calls[0], "answered")
    await office.looks()
    await until(lambda: len(office.talking) == 3)
    assert office.free_lines == 1
    assert [await office.outcomes(one) for one in calls[4:]] == [[(1, "waiting")]] * 3


async def test_the_only_line_is_used_for_calls_out_as_well(store: Store, plan: Plan) -> None:
    office = Office(store, lines=1)
    first, second = await office.ask_for(plan), await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    assert [one.row.call_id for one in office.made] == [first.call_id]
    office.end(first, "busy")
    await office.become(first, "busy", "waiting")
    await office.looks()
    await until(lambda: len(office.made) == 2)
    assert office.made[1].row.call_id == second.call_id


async def test_two_lines_are_one_for_each_way(store: Store, plan: Plan) -> None:
    office = Office(store, lines=2)
    for _ in range(2):
        await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    await office.looks()
    assert len(office.made) == 1 and office.free_lines == 1


@pytest.mark.parametrize("standing", ["off", "registering", "failed"])
async def test_while_nobody_is_registered_calls_wait_and_it_is_said_once(
    office: Office, plan: Plan, caplog: pytest.LogCaptureFixture, standing: Standing
) -> None:
    """An outage of an hour is no try, let alone three."""
    office.standing = standing
    calls = [await office.ask_for(plan) for _ in range(2)]
    await office.looks(5)
    assert not office.made and caplog.text.count("main is not registered") == 1
    assert [await office.outcomes(one) for one in calls] == [[(1, "waiting")]] * 2
    assert not office.kept
    office.standing = "registered"
    await office.looks()
    await until(lambda: len(office.talking) == 2)


async def test_nobody_is_called_for_an_interview_without_a_place(
    office: Office, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    office.places = 1
    first, second = await office.ask_for(plan), await office.ask_for(plan)
    await office.looks(5)
    await until(lambda: office.talking)
    assert len(office.made) == 1 and office.kept == {first.interview_id}
    assert caplog.text.count("no place for one more interview") == 1
    assert await office.outcomes(second) == [(1, "waiting")]
    office.end(first, "no_answer")
    await office.become(first, "no_answer", "waiting")
    assert not office.kept, "nobody came for it"
    await office.looks()
    await until(lambda: len(office.made) == 2)


async def test_a_call_that_could_not_be_begun_keeps_no_place(
    office: Office, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.ask_for(plan)

    async def full(call_id: str, at: float) -> bool:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(office.store, "call_begun", full)
    await office.looks(1)
    assert not office.kept and not office.made


async def test_a_place_that_somebody_came_for_is_theirs(office: Office, plan: Plan) -> None:
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    office.made[0].joined = lambda: True
    office.end(call, "answered")
    await office.become(call, "answered")
    assert office.kept == {call.interview_id}


async def test_a_candidate_who_is_in_the_interview_already_is_not_called(
    office: Office, plan: Plan
) -> None:
    call = await office.ask_for(plan)
    office.in_browser.add(call.interview_id)
    await office.looks()
    assert not office.made and await office.outcomes(call) == [(1, "waiting")]
    office.in_browser.clear()  # they went, and did not come back
    await office.looks()
    await until(lambda: office.talking)


async def test_a_call_for_an_interview_that_is_over_is_not_made(office: Office, plan: Plan) -> None:
    call = await office.ask_for(plan)
    ended = InterviewEnded(at=NOON, reason="completed")
    await office.store.append(call.interview_id, None, [ended])
    await office.looks()
    assert not office.made and await office.outcomes(call) == [(1, "cancelled")]
    assert await office.store.calls_since(0.0, NOON) == (0, 0.0)


@pytest.mark.parametrize("erased", [False, True], ids=["cancelled", "erased"])
async def test_a_call_that_is_wanted_no_more_is_hung_up(
    office: Office, plan: Plan, erased: bool
) -> None:
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    if erased:
        await office.store.erase(call.interview_id)
    else:
        assert await office.store.cancel_calls(call.interview_id) == 1
    await office.looks()
    assert cast(Any, office.made[0].call).hung_up
    await until(lambda: not office.dialler._running)
    assert await office.outcomes(call) == ([] if erased else [(1, "cancelled")])
    if not erased:
        assert await office.incidents(call) == []


async def test_a_call_that_reached_the_interview_is_not_hung_up(office: Office, plan: Plan) -> None:
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    office.made[0].joined = lambda: True
    await office.store.cancel_calls(call.interview_id)
    await office.looks()
    assert not cast(Any, office.made[0].call).hung_up
    office.end(call, "answered")
    await office.become(call, "answered")


@pytest.mark.parametrize(
    "error",
    [DialRefused("Every line is in use."), StoreUnavailable("full"), RuntimeError("a fault")],
    ids=["gateway", "store", "ours"],
)
async def test_whatever_breaks_a_call_it_has_failed_and_is_tried_again(
    office: Office, plan: Plan, error: Exception
) -> None:
    call = await office.ask_for(plan)
    office.breaks = error
    await office.looks()
    await office.become(call, "failed", "waiting")
    _, again = await office.store.calls(call.interview_id)
    assert again.not_before == NOON + RETRY_S["failed"] and again.attempt == 2
    await until(lambda: not office.dialler._running)
    assert await office.incidents(call) == ["phone_failed"]


async def test_an_end_that_could_not_be_written_is_written_later(
    office: Office, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the call would be under way until a restart, and nobody could ask for another."""
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)

    async def full(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(office.store, "call_ended", full)
        office.end(call, "busy")
        await until(lambda: not office.dialler._running)
        with pytest.raises(StoreError):
            await office.looks()
        assert await office.outcomes(call) == [(1, "calling")]
    await office.looks()
    assert await office.outcomes(call) == [(1, "busy"), (2, "waiting")]
    assert await office.incidents(call) == ["phone_busy"]


async def test_minutes_count_while_a_call_runs(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(store, Policy(("+49",), 9, 10.0, day_time.min, day_time.max))
    monkeypatch.setattr(store, "_clock", office.clock)
    long, other = await office.ask_for(plan), await office.ask_for(plan, NOON + 300)
    await office.looks()
    await until(lambda: office.talking)
    office.now += 600.0
    await office.looks()
    assert len(office.made) == 1, "ten minutes are used up"
    assert not cast(Any, office.made[0].call).hung_up, "nobody is cut off for them"
    await store.erase(long.interview_id)
    await office.looks()
    assert len(office.made) == 1, "and erasing gives none back"
    assert await office.outcomes(other) == [(1, "waiting")]


async def test_calls_of_a_day_count_though_their_interviews_are_erased(
    store: Store, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    office = Office(store, Policy(("+49",), 1, 99.0, day_time.min, day_time.max))
    monkeypatch.setattr(store, "_clock", office.clock)
    first = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    office.end(first, "declined")
    await office.become(first, "declined")
    await store.erase(first.interview_id)
    await office.ask_for(plan)
    await office.looks()
    assert len(office.made) == 1
    office.now += 86_401
    await office.looks()
    await until(lambda: len(office.made) == 2)


@pytest.mark.parametrize(
    ("ran_s", "down_s", "booked_s"),
    [(30.0, 5.0, 35.0), (30.0, 9000.0, SEEN_EVERY_S), (610.0, 9000.0, 600.0 + SEEN_EVERY_S)],
    ids=["at once", "later", "after a long call"],
)
async def test_what_a_killed_server_left_open_is_booked_with_what_it_may_have_taken(
    office: Office, plan: Plan, ran_s: float, down_s: float, booked_s: float
) -> None:
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    for _ in range(int(ran_s // SEEN_EVERY_S)):
        office.now += SEEN_EVERY_S
        await office.looks(1)
    office.now = NOON + ran_s + down_s
    office.begin_anew()
    await office.dialler._end_unended()
    await office.looks(1)
    first, again = await office.store.calls(call.interview_id)
    assert (first.outcome, first.seconds) == ("failed", booked_s)
    assert (again.attempt, again.outcome) == (2, "waiting")
    assert await office.incidents(call) == ["phone_failed"]


async def test_it_looks_again_and_again_and_a_store_that_is_away_ends_nothing(
    office: Office, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "LOOK_S", 0.01)
    found: Callable[..., Any] = office.store.calls_due
    failures = iter((True, True))

    async def away(at: float) -> Any:
        if next(failures, False):
            raise StoreUnavailable("away")
        return await found(at)

    monkeypatch.setattr(office.store, "calls_due", away)
    call = await office.ask_for(plan)
    running = asyncio.create_task(office.dialler.run())
    await until(lambda: office.talking)
    office.end(call, "declined")
    await office.become(call, "declined")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_ended_as_the_server_stopped_is_written(office: Office, plan: Plan) -> None:
    call = await office.ask_for(plan)
    await office.looks()
    await until(lambda: office.talking)
    office.ends[call.number].cancel()  # as a line's task that was given up
    await office.dialler.finish(2.0)
    assert await office.outcomes(call) == [(1, "failed"), (2, "waiting")]
