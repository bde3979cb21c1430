"""The door through which events enter: applied at once, written in order, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from calls import Call, small_plan
from virtual_time import in_virtual_time, now

from agent.events import CallLeft, Event, Incident, QuestionAsked
from agent.journal import Fenced, Journal


class Store:
    """Writes what it is given, unless it is told to fail."""

    def __init__(self) -> None:
        self.written: list[Event] = []
        self.batches: list[int] = []
        self.broken_until = 0.0
        self.fenced = False
        self.tries: list[float] = []

    async def write(self, events: Sequence[Event]) -> int:
        self.tries.append(round(now(), 1))
        await asyncio.sleep(0.01)
        if self.fenced:
            raise Fenced
        if now() < self.broken_until:
            raise OSError("disk full")
        self.written += events
        self.batches.append(len(events))
        return len(self.written)


@asynccontextmanager
async def journal(store: Store, **options: Any):
    call = Call(small_plan())
    call.begin()
    kept = Journal(call.interview, store.write, **options)
    kept.start()
    yield kept
    await kept.aclose()


def incident(kind: str) -> Incident:
    return Incident(at=2_000_000_000.0, kind=kind)


def test_events_are_applied_at_once_and_written_in_order() -> None:
    async def go() -> None:
        store, told, committed = Store(), [], []
        async with journal(
            store, on_committed=lambda events, seq: committed.append((len(events), seq))
        ) as kept:
            kept.on_added = told.extend
            rev = kept.interview.rev
            kept.add(incident("a"))
            kept.add(incident("b"), incident("c"))
            assert kept.interview.rev == rev + 3
            assert store.written == []
            await kept.committed()
            assert [event.kind for event in store.written] == ["a", "b", "c"]
            assert told == store.written
            assert committed[-1] == (3, 3)

    in_virtual_time(go())


def test_an_impossible_event_is_dropped_and_the_rest_goes_on() -> None:
    async def go() -> None:
        store = Store()
        async with journal(store) as kept:
            kept.add(
                QuestionAsked(at=0.0, reply_id="r9", question_id="deep", wording="Not approved.")
            )
            kept.add(incident("a"))
            await kept.committed()
        assert [event.type for event in store.written] == ["incident"]

    in_virtual_time(go())


def test_a_store_that_fails_is_tried_until_it_works_and_nothing_is_lost() -> None:
    async def go() -> None:
        store = Store()
        store.broken_until = 30.0
        async with journal(store) as kept:
            kept.add(incident("a"))
            await asyncio.sleep(5)
            assert kept.failing_since is not None
            kept.add(incident("b"))
            await kept.committed()
            assert now() >= 30.0
            assert kept.failing_since is None
        assert [event.kind for event in store.written] == ["a", "b"]
        waits = [
            later - sooner for sooner, later in zip(store.tries, store.tries[1:], strict=False)
        ]
        assert waits[0] < waits[2], "less and less often"
        assert max(waits) < 2.5

    in_virtual_time(go())


def test_committed_waits_for_what_was_added_before_it_only() -> None:
    async def go() -> None:
        store = Store()
        async with journal(store) as kept:
            await kept.committed()
            assert store.tries == [], "nothing to wait for"

    in_virtual_time(go())


def test_a_lost_lease_ends_the_journal() -> None:
    async def go() -> None:
        store, fenced = Store(), []
        store.fenced = True
        async with journal(store, on_fenced=lambda: fenced.append(True)) as kept:
            kept.add(incident("a"))
            with pytest.raises(Fenced):
                await kept.committed()
            kept.add(incident("b"))
            with pytest.raises(Fenced):
                await kept.committed()
        assert kept.fenced
        assert fenced == [True]
        assert store.written == []
        assert len(store.tries) == 1, "another call owns the interview"

    in_virtual_time(go())


def test_closing_writes_what_is_left() -> None:
    async def go() -> None:
        store = Store()
        store.broken_until = 4.0
        async with journal(store) as kept:
            kept.add(CallLeft(at=2_000_000_000.0, reason="hung_up"))
        assert [event.type for event in store.written] == ["call_left"]

    in_virtual_time(go())


def test_closing_does_not_wait_for_ever() -> None:
    async def go() -> None:
        store = Store()
        store.broken_until = 1e9
        async with journal(store) as kept:
            kept.add(incident("a"))
        assert now() < 15
        assert store.written == []

    in_virtual_time(go())
