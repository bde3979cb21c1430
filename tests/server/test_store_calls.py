"""What is written of calls to candidates: how they end, and what they take of a day's caps."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import create_engine

from agent.events import Event, Incident, InterviewEnded
from agent.plan import Plan
from server.store import CallOut, Store, UnknownInterview, sqlite_url
from server.store.migrate import config

NUMBER = "+49301234567"
NOON = 1.8e9


class Clock:
    now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def dated(tmp_path: Path, clock: Clock) -> Store:
    made = Store(sqlite_url(tmp_path), clock=clock)
    yield made  # type: ignore[misc]  # a fixture's
    made.close()


async def made_call(store: Store, plan: Plan, call_id: str = "one", at: float = NOON) -> CallOut:
    """One that began."""
    record = await store.create_interview(plan)
    call = CallOut(call_id, record.interview_id, NUMBER, "UTC", at, 1)
    await store.add_call(call)
    assert await store.call_begun(call_id, at)
    return call


async def test_a_button_that_is_pressed_twice_asks_for_one_call(store: Store, plan: Plan) -> None:
    record = await store.create_interview(plan)
    calls = [CallOut(f"{n}", record.interview_id, NUMBER, "UTC", NOON, 1) for n in range(5)]
    added = await asyncio.gather(*(store.add_call(one) for one in calls))
    assert sorted(added) == [False] * 4 + [True]
    [waiting] = await store.calls(record.interview_id)
    assert await store.call_begun(waiting.call_id, NOON)
    assert not await store.add_call(second(waiting)), "it is being made"
    await store.call_ended(waiting.call_id, "declined", 3.0)
    assert await store.add_call(second(waiting))


def second(call: CallOut) -> CallOut:
    return CallOut("two", call.interview_id, NUMBER, "UTC", NOON + 600, 2)


async def outcomes(store: Store, call: CallOut) -> list[str]:
    return [one.outcome for one in await store.calls(call.interview_id)]


BUSY = Incident(at=NOON, kind="phone_busy", detail="try 1")


async def incidents(store: Store, call: CallOut) -> list[Event]:
    events = [one.event for one in await store.events(call.interview_id)]
    return [one for one in events if isinstance(one, Incident)]


async def test_an_end_and_the_next_try_are_written_together(store: Store, plan: Plan) -> None:
    call = await made_call(store, plan)
    assert await store.call_ended("one", "busy", 3.0, second(call), BUSY) == "busy"
    assert await outcomes(store, call) == ["busy", "waiting"]
    assert await incidents(store, call) == [BUSY]
    assert await store.calls_unended() == []
    again = await store.call_ended("one", "busy", 3.0, second(call), BUSY)
    assert again is None and await outcomes(store, call) == ["busy", "waiting"]
    assert await incidents(store, call) == [BUSY], "once is enough"


async def test_what_is_cancelled_while_it_rings_stays_so_and_has_no_second_try(
    store: Store, plan: Plan
) -> None:
    call = await made_call(store, plan)
    assert await store.cancel_calls(call.interview_id) == 1
    assert [one.call_id for one in await store.calls_unended()] == ["one"], "it rings still"
    assert await store.call_ended("one", "no_answer", 45.0, second(call), BUSY) == "cancelled"
    assert await outcomes(store, call) == ["cancelled"] and not await incidents(store, call)
    assert await store.calls_since(NOON, NOON + 99) == (1, 45.0)


async def test_a_call_that_reached_the_interview_was_answered(store: Store, plan: Plan) -> None:
    call = await made_call(store, plan)
    await store.cancel_calls(call.interview_id)
    assert await store.call_ended("one", "answered", 600.0) == "answered"


@pytest.mark.parametrize("erased", [False, True])
async def test_an_interview_that_is_over_has_no_next_try(
    store: Store, plan: Plan, erased: bool
) -> None:
    call = await made_call(store, plan)
    if erased:
        await store.erase(call.interview_id)
    else:
        ended = InterviewEnded(at=NOON, reason="completed")
        await store.append(call.interview_id, None, [ended])
    stands = await store.call_ended("one", "failed", 1.0, second(call))
    assert stands == (None if erased else "failed")
    assert await outcomes(store, call) == ([] if erased else ["failed"])


async def test_a_running_call_counts_until_now(store: Store, plan: Plan) -> None:
    await made_call(store, plan)
    assert await store.calls_since(NOON, NOON + 90) == (1, 90.0)
    assert await store.calls_since(NOON + 1, NOON + 90) == (0, 0.0)


async def test_a_running_call_is_seen_and_one_that_ended_is_not(store: Store, plan: Plan) -> None:
    await made_call(store, plan)
    await made_call(store, plan, "other")
    await store.call_ended("other", "busy", 2.0)
    await store.calls_seen(NOON + 60)
    seen = {one: (await store.call(one)).seen_at for one in ("one", "other")}  # type: ignore[union-attr]
    assert seen == {"one": NOON + 60, "other": None}


async def test_erasing_frees_nothing_of_the_days_caps_and_keeps_nobodys_number(
    dated: Store, plan: Plan, clock: Clock, tmp_path: Path
) -> None:
    call = await made_call(dated, plan)
    running = await made_call(dated, plan, "running")
    await dated.call_ended("one", "voicemail", 40.0)
    clock.now += 100
    for one in (call, running):
        await dated.erase(one.interview_id)
    assert await dated.calls_since(NOON, clock.now) == (2, 140.0)
    await dated.call_ended("running", "failed", 105.0)  # hung up a moment later
    assert await dated.calls_since(NOON, clock.now) == (2, 145.0)
    with closing(sqlite3.connect(tmp_path / "viva.sqlite3")) as raw:
        rows = raw.execute("SELECT * FROM calls_tally").fetchall()
    assert len(rows) == 2
    for told in (NUMBER, call.interview_id, running.interview_id):
        assert told not in str(rows)


@pytest.mark.parametrize("next_is", ["erasure", "call"])
async def test_what_no_cap_looks_at_any_more_is_forgotten(
    dated: Store, plan: Plan, clock: Clock, tmp_path: Path, next_is: str
) -> None:
    old, other = await made_call(dated, plan), await made_call(dated, plan, "two", NOON - 9)
    await dated.call_ended("one", "voicemail", 40.0)
    await dated.erase(old.interview_id)
    clock.now += 86_401
    if next_is == "erasure":
        await dated.erase(other.interview_id)
    else:
        await made_call(dated, plan, "three", clock.now)
    with closing(sqlite3.connect(tmp_path / "viva.sqlite3")) as raw:
        assert raw.execute("SELECT count(*) FROM calls_tally").fetchone() == (0,)


async def test_erasing_what_is_not_there_writes_nothing(store: Store) -> None:
    with pytest.raises(UnknownInterview):
        await store.erase("nobody")


def test_calls_of_an_older_database_are_still_there(tmp_path: Path) -> None:
    engine = create_engine(sqlite_url(tmp_path))
    alembic = config()
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "0003")
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "viva.sqlite3")) as raw, raw:
        raw.execute(
            "INSERT INTO calls_out VALUES ('old', 'ada', '+49', 'UTC', 1.0, 1, 2.0, 3.0, 'busy')"
        )
    store = Store(sqlite_url(tmp_path))
    with closing(sqlite3.connect(tmp_path / "viva.sqlite3")) as raw:
        found = raw.execute("SELECT call_id, seconds, seen_at FROM calls_out").fetchall()
    store.close()
    assert found == [("old", 3.0, None)]
