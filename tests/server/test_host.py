"""The call host's rules, by text: who gets a place, which leg is live, what is left behind."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from live_calls import Caller, Exchange, census, exchange, until
from written_calls import NoEars

from agent.events import (
    STAND_INS,
    CallJoined,
    CallLeft,
    Incident,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
    RequestMade,
    TurnSettled,
)
from asr.errors import AtCapacity
from server.api.ports import BadOffer, Busy, NotConsented, NotLive, Over
from server.equipment import Equipment
from server.host import CallHost, HostSettings
from server.phone.bridge import GatewayState
from server.rehearsal import model
from server.rehearsal.faults import NONE
from server.store import StaleLease, Store, UnknownInterview
from tests.session.short_plans import short_plan

T = TypeVar("T")

PLAN = short_plan()
ROUNDS = 10


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with model.serving(NONE) as url:
        yield url


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")


@pytest.fixture
async def at(tmp_path: Path, rendered: Path, model_url: str) -> AsyncIterator[Exchange]:
    """A host with one place."""
    async with exchange(tmp_path, rendered, model_url, NoEars(), places=1) as made:
        yield made


async def caller(at: Exchange, **consent: bool) -> Caller:
    return Caller(at, PLAN, await at.invite(PLAN, **consent))


async def outcome(work: Awaitable[object]) -> type:
    """What a join came to."""
    try:
        return type(await work)
    except Exception as error:  # whatever it is, it is what the test asks for
        return type(error)


# --- one interview --------------------------------------------------------------------------------


async def test_a_typed_interview_is_told_of_in_order(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join_by_text()
        for question, text in (("first", "I built a bridge."), ("second", "It was finished.")):
            await ada.asked(question)
            await ada.type(text)
        assert await ada.ended() == "completed"
    told = [message["seq"] for message in ada.read if message["type"] == "committed"]
    log = await ada.log()
    joined = next(n for n, event in enumerate(log, 1) if isinstance(event, CallJoined))
    assert told == list(range(joined, len(log) + 1))
    captions = [m["text"] for m in ada.read if m["type"] == "caption" and m["final"]]
    assert captions == [e.text for e in log if isinstance(e, (LineSpoken, TurnSettled))]
    assert captions[:3] == ["Welcome.", "What did you build?", "I built a bridge."]
    assert ada.states()[-1] == "ended"
    assert ada.states().count("ended") == 1
    assert at.ended == [ada.interview_id]
    assert at.host.live == 0


async def test_hanging_up_ends_the_interview_for_good(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join_by_text()
        await ada.asked("first")
        await at.host.hang_up(ada.interview_id)
        assert await ada.ended() == "withdrawn"
        with pytest.raises(Over):
            await ada.join_by_text()
        with pytest.raises(NotLive):
            await at.host.hang_up(ada.interview_id)
    assert len(await ada.all(InterviewEnded)) == 1


async def test_what_is_held_with_stand_ins_is_a_rehearsal_whoever_made_it(at: Exchange) -> None:
    async with await caller(at, rehearsal=False) as ada:
        assert not (await at.store.interview(ada.interview_id)).rehearsal
        for _ in range(2):
            await ada.join_by_text()
            await ada.asked("first")
        assert (await at.store.interview(ada.interview_id)).rehearsal
    [noted] = await ada.all(Incident)
    assert (noted.kind, noted.detail) == (STAND_INS, "viva-stand-in")


async def test_a_button_is_written_and_answered(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join_by_text()
        await ada.asked("first")
        await at.host.request(ada.interview_id, "skip")
        await ada.asked("second")
    assert (await ada.all(RequestMade))[0].request == "skip"


async def test_who_is_not_in_a_call_is_told_so(at: Exchange) -> None:
    async with await caller(at) as ada:
        for doing in (
            at.host.typed(ada.interview_id, "hello"),
            at.host.request(ada.interview_id, "skip"),
            at.host.hang_up(ada.interview_id),
            at.host.typed("nobody", "hello"),
        ):
            assert await outcome(doing) is NotLive
        await at.host.drop(ada.interview_id)
        await at.host.close_text(ada.interview_id, 1)
    assert not await ada.all(TurnSettled)
    assert not await ada.all(CallLeft)


# --- rejoining ------------------------------------------------------------------------------------


async def test_a_new_leg_fences_off_the_old_one_and_says_so(at: Exchange) -> None:
    async with await caller(at) as ada:
        old = await ada.join_by_text()
        await ada.asked("first")
        new = await ada.join_by_text()
        replaced = await ada.told(type="notice", code="replaced")
        assert (replaced["epoch"], new) == (old, old + 1)
        with pytest.raises(StaleLease):
            await at.store.append(ada.interview_id, old, [Incident(at=1.0, kind="late")])
        await at.host.close_text(ada.interview_id, old)  # the old socket is closed at last
        assert at.host.live == 1
        await ada.event(LineSpoken, kind="welcome_back")
        await ada.type("I built a bridge.")
        await ada.asked("second")
    assert [e.epoch for e in await ada.all(CallJoined)] == [old, new]
    assert [e.reason for e in await ada.all(CallLeft)] == ["replaced"]
    assert len(await ada.all(LineSpoken, kind="greeting")) == 1
    assert [e.question_id for e in await ada.all(QuestionAsked)] == ["first", "second"]
    assert "reconnecting" not in ada.states()


async def test_a_lost_socket_ends_the_leg_and_the_next_one_goes_on(at: Exchange) -> None:
    async with await caller(at) as ada:
        epoch = await ada.join_by_text()
        await ada.asked("first")
        await at.host.close_text(ada.interview_id, epoch)
        assert at.host.live == 0
        await ada.told(type="state", state="reconnecting")
        await ada.join_by_text()
        await ada.event(LineSpoken, kind="welcome_back")
        await ada.type("I built a bridge.")
        await ada.asked("second")
    assert [e.reason for e in await ada.all(CallLeft)] == ["dropped"]


async def test_two_devices_at_once_leave_one_live_leg(at: Exchange) -> None:
    async with await caller(at) as ada:
        epochs: list[int] = []
        for _ in range(ROUNDS):
            async with asyncio.timeout(20):
                epochs += await asyncio.gather(ada.join_by_text(), ada.join_by_text())
            assert at.host.live == 1
        assert sorted(epochs) == list(range(1, 2 * ROUNDS + 1))
        await asyncio.sleep(0.5)
        joined = await ada.all(CallJoined)
        assert len(joined) == 2 * ROUNDS, "nobody comes back by itself"
        assert len(await ada.all(CallLeft, reason="replaced")) == 2 * ROUNDS - 1
        await ada.type("I built a bridge.")
        await ada.asked("second")
    assert len(await ada.all(LineSpoken, kind="greeting")) <= 1
    assert len(await ada.all(QuestionAsked, question_id="first")) == 1


# --- places ---------------------------------------------------------------------------------------


async def test_a_candidate_who_dropped_keeps_the_place_and_one_who_ended_does_not(
    at: Exchange,
) -> None:
    async with await caller(at) as ada, await caller(at) as bob:
        epoch = await ada.join_by_text()
        assert await outcome(bob.join_by_text()) is Busy
        await at.host.close_text(ada.interview_id, epoch)
        assert await outcome(bob.join_by_text()) is Busy
        await ada.join_by_text()
        await at.host.hang_up(ada.interview_id)
        await ada.ended()
        assert await outcome(bob.join_by_text()) is int
        await bob.asked("first")


async def test_a_place_is_not_held_for_ever(tmp_path: Path, rendered: Path, model_url: str) -> None:
    async with (
        exchange(tmp_path, rendered, model_url, NoEars(), places=1, hold_s=0.3) as at,
        await caller(at) as ada,
        await caller(at) as bob,
    ):
        epoch = await ada.join_by_text()
        await at.host.close_text(ada.interview_id, epoch)
        await asyncio.sleep(0.4)
        assert await outcome(bob.join_by_text()) is int
        assert await outcome(ada.join_by_text()) is Busy


class Front:
    """A companion, which keeps places on the call loop."""

    state = GatewayState("down")

    def __init__(self, host: CallHost) -> None:
        self._host, self._loop = host, asyncio.get_running_loop()

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def keep_place(self, interview_id: str) -> None:
        keeping = self._host.keep_place(interview_id)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(keeping, self._loop))

    async def has_place(self, interview_id: str) -> bool:
        return await self._there(lambda: self._host.has_place(interview_id))

    async def leave_place(self, interview_id: str) -> None:
        await self._there(lambda: self._host.leave_place(interview_id))

    async def _there(self, ask: Callable[[], T]) -> T:
        async def asking() -> T:
            return ask()

        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(asking(), self._loop))


@asynccontextmanager
async def one_place(
    tmp_path: Path, rendered: Path, model_url: str, hold_s: float
) -> AsyncIterator[tuple[Exchange, Front]]:
    fronts: list[Front] = []

    def companion(_: Store) -> Callable[[CallHost, Equipment], Front]:
        return lambda host, _: (fronts.append(Front(host)), fronts[0])[1]

    async with exchange(
        tmp_path, rendered, model_url, NoEars(), places=1, hold_s=hold_s, companion=companion
    ) as at:
        yield at, fronts[0]


async def test_a_place_that_nobody_came_for_is_given_back(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with (
        one_place(tmp_path, rendered, model_url, hold_s=120) as (at, front),
        await caller(at) as ada,
        await caller(at) as bob,
    ):
        await front.keep_place(ada.interview_id)
        assert await front.has_place(ada.interview_id)
        assert await outcome(bob.join_by_text()) is Busy
        await front.leave_place(ada.interview_id)
        assert not await front.has_place(ada.interview_id)
        await bob.join_by_text()
        await front.leave_place(bob.interview_id)  # somebody came
        assert await front.has_place(bob.interview_id)
        assert await outcome(ada.join_by_text()) is Busy


async def test_whoever_is_about_to_join_has_a_place_for_a_while(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with (
        one_place(tmp_path, rendered, model_url, hold_s=0.5) as (at, front),
        await caller(at) as ada,
        await caller(at) as bob,
    ):
        await front.keep_place(ada.interview_id)
        assert await outcome(bob.join_by_text()) is Busy
        assert await outcome(front.keep_place(bob.interview_id)) is Busy
        await ada.join_by_text()
        await front.keep_place(ada.interview_id)  # who is here needs no other
        await asyncio.sleep(0.6)
        assert await outcome(bob.join_by_text()) is Busy
        await at.host.hang_up(ada.interview_id)
        await ada.ended()
        await front.keep_place(bob.interview_id)
        await asyncio.sleep(0.6)  # and does not come
        assert await outcome(front.keep_place(await at.invite(PLAN))) is type(None)


async def test_those_who_come_in_the_same_moment_do_not_share_the_last_place(
    at: Exchange,
) -> None:
    interviews = [await at.invite(PLAN) for _ in range(5)]
    came = await asyncio.gather(*(outcome(at.host.open_text(one)) for one in interviews))
    assert Counter(came) == {int: 1, Busy: 4}
    assert at.host.live == 1


@pytest.mark.parametrize("what", ["consent", "interview", "offer", "ended"])
async def test_who_is_refused_takes_no_place(at: Exchange, what: str) -> None:
    async with await caller(at, interview=what != "consent") as ada, await caller(at) as bob:
        match what:
            case "consent":
                assert await outcome(ada.join_by_text()) is NotConsented
            case "interview":
                assert await outcome(at.host.open_text("nobody")) is UnknownInterview
            case "offer":
                refused = at.host.offer(ada.interview_id, "rubbish", "offer")
                assert await outcome(refused) is BadOffer
            case "ended":
                await ada.join_by_text()
                await at.host.hang_up(ada.interview_id)
                await ada.ended()
                assert await outcome(ada.join_by_text()) is Over
        await bob.join_by_text()
        await bob.asked("first")
    assert not await ada.all(LineSpoken, kind="question") or what == "ended"


async def test_a_bad_offer_leaves_the_live_call_as_it_is(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join_by_text()
        await ada.asked("first")
        with pytest.raises(BadOffer):
            await at.host.offer(ada.interview_id, "rubbish", "offer")
        assert at.host.live == 1
        await ada.type("I built a bridge.")
        await ada.asked("second")
    assert len(await ada.all(CallJoined)) == 1
    assert not await ada.all(CallLeft)
    assert not [m for m in ada.read if m["type"] == "notice"]


# --- the operator ---------------------------------------------------------------------------------


async def test_the_operator_drops_a_call_and_its_place_is_free(at: Exchange) -> None:
    async with await caller(at) as ada, await caller(at) as bob:
        await ada.join_by_text()
        await ada.asked("first")
        await at.host.drop(ada.interview_id)
        written = await ada.log()
        assert at.host.live == 0
        assert await outcome(at.host.typed(ada.interview_id, "hello")) is NotLive
        await bob.join_by_text()
        await bob.asked("first")
        assert await ada.log() == written, "a dropped call writes no more"
    assert select_reason(written) == "dropped"


def select_reason(log: list[Any]) -> str:
    [left] = [event for event in log if isinstance(event, CallLeft)]
    return str(left.reason)


async def test_a_leg_that_is_just_beginning_is_dropped_as_well(at: Exchange) -> None:
    async with await caller(at) as ada:
        joining = asyncio.create_task(ada.join_by_text())
        await asyncio.sleep(0)  # its join is on the way to the call loop, before the drop
        await at.host.drop(ada.interview_id)
        await joining
        assert at.host.live == 0
        assert [e.reason for e in await ada.all(CallLeft)] == ["dropped"]


async def test_erasing_an_interview_ends_its_call(at: Exchange) -> None:
    async with await caller(at) as ada:
        await ada.join_by_text()
        await ada.asked("first")
        await at.store.erase(ada.interview_id)
        await at.host.typed(ada.interview_id, "I built a bridge.")
        await until(lambda: at.host.live == 0)


# --- beginning and stopping -----------------------------------------------------------------------


async def test_after_a_stop_the_next_host_goes_on(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with exchange(tmp_path, rendered, model_url, NoEars()) as at, await caller(at) as ada:
        await ada.join_by_text()
        await ada.asked("first")
        await ada.type("I built a bridge.")
        await ada.asked("second")
        await at.host.stop()
        await ada.told(type="state", state="paused")
        assert select_reason(await ada.log()) == "server_stopped"
    async with (
        exchange(tmp_path, rendered, model_url, NoEars()) as at,
        Caller(at, PLAN, ada.interview_id) as ada,
    ):
        await ada.join_by_text()
        await ada.event(LineSpoken, kind="welcome_back")
        await ada.type("It was finished.")
        assert await ada.ended() == "completed"
        assert await ada.answers() == {
            "first": ["I built a bridge."],
            "second": ["It was finished."],
        }
        assert len(await ada.all(LineSpoken, kind="greeting")) == 1


async def test_a_stop_in_the_middle_of_a_join_leaves_nothing_live(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with exchange(tmp_path, rendered, model_url, NoEars(), places=8) as at:
        interviews = [await at.invite(PLAN) for _ in range(6)]
        joining = [asyncio.create_task(outcome(at.host.open_text(one))) for one in interviews]
        await asyncio.sleep(0.02)
        async with asyncio.timeout(20):
            await at.host.stop()
            came = await asyncio.gather(*joining)
        assert set(came) <= {int, Busy}
        for interview_id, how in zip(interviews, came, strict=True):
            events = [stored.event for stored in await at.store.events(interview_id)]
            left = [event.reason for event in events if isinstance(event, CallLeft)]
            assert left == (["server_stopped"] if how is int else [])


async def test_equipment_that_cannot_be_made_stops_the_start(tmp_path: Path, store: Store) -> None:
    def none() -> Equipment:
        raise OSError("no voice on this machine")

    before = set(threading.enumerate())
    host = CallHost(store, none, HostSettings())
    with pytest.raises(OSError, match="no voice"):
        host.start()
    await host.stop()
    assert set(threading.enumerate()) - before == set()


# --- room at the recogniser -----------------------------------------------------------------------


class Doors:
    """A recogniser's, with so much room."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.inside: list[Hashable] = []

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        if len(self.inside) >= self.room and not regardless:
            raise AtCapacity("full")
        self.inside.append(session)

    def leave(self, session: Hashable) -> None:
        self.inside.remove(session)


async def test_a_spoken_interview_begins_only_with_room_at_the_recogniser(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    doors = Doors(room=0)
    async with exchange(tmp_path, rendered, model_url, NoEars(), ears=doors) as at:
        interview_id = await at.invite(PLAN)
        assert await outcome(at.host.offer(interview_id, "no sdp", "offer")) is Busy
        doors.room = 1
        # There was room, and the offer was looked at; the room is given back.
        assert await outcome(at.host.offer(interview_id, "no sdp", "offer")) is BadOffer
        assert doors.inside == []


async def test_who_has_a_place_is_heard_however_full_it_is(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    doors = Doors(room=0)
    async with (
        exchange(tmp_path, rendered, model_url, NoEars(), ears=doors, hold_s=0.2) as at,
        await caller(at) as ada,
    ):
        epoch = await ada.join_by_text()
        assert doors.inside == []  # a written interview needs no ears
        assert await outcome(at.host.offer(ada.interview_id, "no sdp", "offer")) is BadOffer
        assert doors.inside == [ada.interview_id]
        await at.host.close_text(ada.interview_id, epoch)
        await until(lambda: not doors.inside)  # when the place is held no longer


class BreakingOnce(Equipment):
    """Its first decider fails."""

    broken = False

    def decider(self, *parts: Any) -> Any:
        if not self.broken:
            self.broken = True
            raise RuntimeError("no model today")
        return super().decider(*parts)


async def test_a_leg_that_cannot_be_made_leaves_room_for_the_next(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with (
        exchange(tmp_path, rendered, model_url, NoEars(), places=1, equipment=BreakingOnce) as at,
        await caller(at) as ada,
        await caller(at) as bob,
    ):
        with pytest.raises(RuntimeError, match="no model today"):
            await ada.join_by_text()
        assert at.host.live == 0
        await bob.join_by_text()
        await bob.asked("first")


# --- the loop -------------------------------------------------------------------------------------


async def test_the_loops_lag_is_measured(at: Exchange) -> None:
    at.host._loop.call_soon_threadsafe(time.sleep, 1.0)
    await until(lambda: at.host.worst_lag_s > 0.4)


async def test_twenty_joins_and_drops_leave_no_task_thread_or_file(
    tmp_path: Path, rendered: Path, model_url: str
) -> None:
    async with exchange(tmp_path, rendered, model_url, NoEars()) as at, await caller(at) as ada:
        await at.host.close_text(ada.interview_id, await ada.join_by_text())
        await settled(at.host)
        before = census(at.host)
        for _ in range(20):
            await at.host.close_text(ada.interview_id, await ada.join_by_text())
        await settled(at.host)
        after = census(at.host)
    assert after <= before, after - before


async def settled(host: CallHost) -> None:
    """Whatever a leg leaves for a moment is gone."""
    await asyncio.sleep(0.3)
    await until(lambda: host.live == 0)
