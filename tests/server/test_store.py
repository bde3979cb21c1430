"""The store keeps what it acknowledged, in order, for one owner at a time, until it is erased."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from agent.events import (
    SCHEMA_VERSION,
    STAND_INS,
    CallJoined,
    CallLeft,
    Event,
    Incident,
    InterviewEnded,
    SegmentHeard,
)
from agent.plan import Plan
from server.store import (
    Erased,
    ReportExists,
    StaleLease,
    Store,
    StoreUnavailable,
    UnknownInterview,
    UnknownPlan,
    sqlite_url,
)
from server.store.schema import metadata


def said(text: str, at: float = 1.0) -> Incident:
    return Incident(at=at, kind="test", detail=text)


def details(stored: list) -> list[str]:
    return [entry.event.detail for entry in stored if isinstance(entry.event, Incident)]


def files_with(text: str, folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if text.encode() in file.read_bytes()]


async def begun(store: Store, plan: Plan) -> tuple[str, int]:
    record = await store.create_interview(plan)
    return record.interview_id, await store.take_lease(record.interview_id, "host")


async def test_an_appended_event_is_read_back_by_another_process(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    heard = SegmentHeard(
        at=3.25, segment_id="s1", turn_id="c1", text="Grüße, 你好 </tool_call>", t0=1.1, t1=2.2
    )
    assert await store.append(interview_id, epoch, [heard, said("b")]) == 3
    other = Store(store.url)
    try:
        stored = await other.events(interview_id)
    finally:
        other.close()
    assert [entry.seq for entry in stored] == [1, 2, 3]
    assert stored[1].event == heard
    assert stored[0].event.type == "interview_created"


async def test_an_interview_is_a_rehearsal_once_its_log_says_so(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [said("a")])
    assert not (await store.interview(interview_id)).rehearsal
    await store.append(interview_id, epoch, [Incident(at=2.0, kind=STAND_INS, detail="a model")])
    await store.append(interview_id, epoch, [said("b")])
    assert (await store.interview(interview_id)).rehearsal


async def test_events_are_read_from_where_a_reader_left_off(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [said("a"), said("b"), said("c")])
    assert (
        details(await store.events(interview_id, after=3)) == ["c"]
        or details(await store.events(interview_id, after=3)) == ["b", "c"][1:]
    )
    assert await store.events(interview_id, after=4) == []


async def test_an_older_owner_can_write_nothing(store: Store, plan: Plan) -> None:
    interview_id, old = await begun(store, plan)
    await store.append(interview_id, old, [said("old")])
    new = await store.take_lease(interview_id, "another host")
    assert new > old
    with pytest.raises(StaleLease):
        await store.append(interview_id, old, [said("zombie"), said("zombie")])
    await store.append(interview_id, new, [said("new")])
    assert details(await store.events(interview_id)) == ["old", "new"]


async def test_a_fact_from_outside_the_call_stands_under_the_lease_that_is_held(
    store: Store, plan: Plan
) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, None, [said("page")])
    assert (await store.events(interview_id))[-1].epoch == epoch


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=st.lists(
        st.one_of(st.just("lease"), st.tuples(st.integers(0, 1), st.integers(1, 3))), max_size=25
    )
)
async def test_whatever_the_order_only_the_newest_lease_writes_and_no_number_is_left_out(
    store: Store, plan: Plan, steps: list
) -> None:
    interview_id, epoch = await begun(store, plan)
    epochs = [epoch, epoch]  # the two owners; a step of "lease" hands it to the other one
    owner, expected = 0, []
    waiting: list[tuple[bool, asyncio.Task]] = []
    for number, step in enumerate(steps):
        if step == "lease":
            await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
            owner = 1 - owner
            epochs[owner] = await store.take_lease(interview_id, f"host {owner}")
            continue
        who, count = step
        texts = [f"{number}.{part}" for part in range(count)]
        survives = epochs[who] == max(epochs)
        expected += texts if survives else []
        events = [said(text) for text in texts]
        task = asyncio.create_task(store.append(interview_id, epochs[who], events))
        waiting.append((survives, task))
        await asyncio.sleep(0)  # into the queue, in this order
    results = await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
    for (survives, _), result in zip(waiting, results, strict=True):
        assert isinstance(result, int) if survives else isinstance(result, StaleLease)
    stored = await store.events(interview_id)
    assert [entry.seq for entry in stored] == list(range(1, len(stored) + 1))
    assert details(stored) == expected
    assert (await store.verify_chain(interview_id)).ok


async def test_appends_in_one_group_each_get_their_own_answer(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    results = await asyncio.gather(
        *(
            store.append("nobody" if n % 3 == 0 else interview_id, epoch - n % 2, [said(str(n))])
            for n in range(60)
        ),
        return_exceptions=True,
    )
    for n, result in enumerate(results):
        if n % 3 == 0:
            assert isinstance(result, UnknownInterview)
        elif n % 2:
            assert isinstance(result, StaleLease)
        else:
            assert isinstance(result, int)
    kept = [str(n) for n in range(60) if n % 3 and n % 2 == 0]
    assert details(await store.events(interview_id)) == kept


async def test_the_status_in_lists_follows_the_events(tmp_path: Path, plan: Plan) -> None:
    store = Store(sqlite_url(tmp_path), clock=lambda: 0.0)
    interview_id, epoch = await begun(store, plan)

    async def after(*events: Event) -> str:
        await store.append(interview_id, epoch, events)
        return (await store.interview(interview_id)).status

    assert (await store.interview(interview_id)).status == "invited"
    assert await after(CallJoined(at=5, channel="web", epoch=epoch)) == "live"
    assert await after(CallLeft(at=6, reason="dropped")) == "away"
    assert await after(CallJoined(at=8, channel="web", epoch=epoch)) == "live"
    assert await after(CallLeft(at=9, reason="replaced")) == "live"
    ended = (InterviewEnded(at=10, reason="completed"), CallLeft(at=11, reason="hung_up"))
    assert await after(*ended) == "ended"
    record = await store.interview(interview_id)
    assert (record.end_reason, record.ended_at) == ("completed", 10)
    await store.aclose()


async def test_only_a_candidate_who_stays_away_has_abandoned_the_interview(
    tmp_path: Path, plan: Plan
) -> None:
    store = Store(sqlite_url(tmp_path), clock=lambda: 0.0)
    try:
        dropped, epoch = await begun(store, plan)
        joined = CallJoined(at=5, channel="web", epoch=epoch)
        await store.append(dropped, epoch, [joined, CallLeft(at=6, reason="dropped")])
        killed, held = await begun(store, plan)
        await store.append(killed, held, [CallJoined(at=7, channel="web", epoch=held)])
        await begun(store, plan)  # never joined: an invite that is still good
        assert await store.end_left(6, 100) == []
        assert await store.end_left(7, 100) == [dropped]
        assert await store.end_left(99, 100) == [killed]
        assert await store.end_left(99, 100) == []
        assert (await store.interview(dropped)).end_reason == "abandoned"
        assert await store.jobs_waiting() == 2
        with pytest.raises(StaleLease):
            await store.append(killed, held, [said("zombie")])
    finally:
        store.close()


async def test_lists_are_newest_first_with_their_total(tmp_path: Path, plan: Plan) -> None:
    ticks = iter(range(100))
    store = Store(sqlite_url(tmp_path), clock=lambda: float(next(ticks)))
    try:
        made = [(await store.create_interview(plan)).interview_id for _ in range(3)]
        page, total = await store.list_interviews(limit=2)
        assert [record.interview_id for record in page] == made[:0:-1]
        assert total == 3
        assert await store.list_interviews(status="ended") == ([], 0)
    finally:
        store.close()


async def test_a_plan_is_stored_once_and_comes_back_equal(store: Store, plan: Plan) -> None:
    assert await store.save_plan(plan) == await store.save_plan(plan) == plan.hash
    assert await store.plan(plan.hash) == plan
    with pytest.raises(UnknownPlan):
        await store.plan("0" * 64)


async def test_there_is_one_report_to_an_interview_and_revision(store: Store, plan: Plan) -> None:
    interview_id, _ = await begun(store, plan)
    assert await store.report(interview_id) is None
    await store.save_report(interview_id, 1, '{"a": 1}')
    with pytest.raises(ReportExists):
        await store.save_report(interview_id, 1, '{"a": 2}')
    await store.save_report(interview_id, 2, '{"a": 3}')
    newest, first = await store.report(interview_id), await store.report(interview_id, 1)
    assert newest and newest.json == '{"a": 3}' and newest.revision == 2
    assert first and first.json == '{"a": 1}'


async def test_the_end_of_an_interview_queues_its_report_in_the_same_breath(
    store: Store, plan: Plan
) -> None:
    interview_id, epoch = await begun(store, plan)
    assert await store.claim_job("a") is None
    await store.append(interview_id, epoch, [InterviewEnded(at=1, reason="withdrawn")])
    job = await store.claim_job("machine-1")
    assert job and (job.interview_id, job.revision, job.attempts) == (interview_id, 1, 1)
    assert await store.claim_job("machine-2") is None
    assert await store.release_jobs("machine-1") == 1
    again = await store.claim_job("machine-1")
    assert again and again.attempts == 2
    await store.put_back_job(again, after_s=60, error="no model")
    assert await store.claim_job("machine-1") is None  # not before its time
    assert await store.jobs_waiting() == 1
    await store.save_report(interview_id, 1, "{}")
    assert await store.jobs_waiting() == 0
    assert await store.enqueue_report(interview_id) == 2


async def test_a_second_end_queues_no_second_report(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [InterviewEnded(at=1, reason="completed")])
    await store.append(interview_id, epoch, [InterviewEnded(at=2, reason="abandoned")])
    assert await store.jobs_waiting() == 1
    assert (await store.interview(interview_id)).end_reason == "completed"


async def test_a_claim_whose_owner_is_gone_is_taken_over(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [InterviewEnded(at=1, reason="completed")])
    assert await store.claim_job("dead")
    assert await store.claim_job("alive", stale_after_s=900) is None
    assert await store.claim_job("alive", stale_after_s=-1)


async def test_the_last_grading_of_a_question_stands(store: Store, plan: Plan) -> None:
    interview_id, _ = await begun(store, plan)
    await store.save_grading(interview_id, 1, "q1", "first")
    await store.save_grading(interview_id, 1, "q1", "second")
    assert await store.gradings(interview_id, 1) == {"q1": "second"}
    assert await store.gradings(interview_id, 2) == {}


@pytest.mark.parametrize(
    ("change", "broken_at"),
    [
        ("UPDATE events SET payload = replace(payload, 'b', 'x') WHERE seq = 3", 3),
        ("UPDATE events SET at = at + 1 WHERE seq = 2", 2),
        ("UPDATE events SET epoch = 7 WHERE seq = 2", 2),
        ("UPDATE events SET schema_version = 0 WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 3", 3),
        ("DELETE FROM events WHERE seq = 4", 4),
        ("UPDATE events SET hash = prev_hash WHERE seq = 2", 2),
    ],
)
async def test_a_changed_log_names_the_event(
    store: Store, plan: Plan, tmp_path: Path, change: str, broken_at: int
) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [said("a"), said("b"), said("c")])
    assert (await store.verify_chain(interview_id)).ok
    with sqlite3.connect(tmp_path / "viva.sqlite3") as raw:
        raw.execute(change)
    raw.close()
    check = await store.verify_chain(interview_id)
    assert not check.ok
    assert check.broken_at == broken_at


async def test_events_of_a_newer_version_are_refused_and_not_read_as_something_else(
    store: Store, plan: Plan, tmp_path: Path
) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.append(interview_id, epoch, [said("a")])
    assert {one.schema_version for one in await store.events(interview_id)} == {SCHEMA_VERSION}
    with sqlite3.connect(tmp_path / "viva.sqlite3") as raw:
        raw.execute("UPDATE events SET schema_version = schema_version + 1 WHERE seq = 2")
    raw.close()
    with pytest.raises(StoreUnavailable, match="newer Viva: install that version"):
        await store.events(interview_id)


async def test_erasing_leaves_no_word_and_a_chain_that_verifies(
    store: Store, plan: Plan, tmp_path: Path
) -> None:
    secret = "Wolpertinger"
    record = await store.create_interview(plan, candidate_name=secret)
    interview_id = record.interview_id
    epoch = await store.take_lease(interview_id, "host")
    await store.append(interview_id, epoch, [said(f"{secret} {n}") for n in range(300)])
    await store.append(interview_id, epoch, [InterviewEnded(at=2, reason="completed")])
    await store.save_grading(interview_id, 1, "q1", secret)
    await store.save_report(interview_id, 1, f'"{secret}"')
    await store.add_invite("a" * 64, interview_id, 9e9)
    await store.erase(interview_id)

    assert files_with(secret, tmp_path) == []
    check = await store.verify_chain(interview_id)
    assert check.ok
    assert check.erased == check.events == 302
    assert await store.report(interview_id) is None
    assert await store.invite("a" * 64) is None
    assert (await store.interview(interview_id)).status == "erased"
    with pytest.raises(Erased):
        await store.events(interview_id)


async def test_a_running_call_cannot_write_into_an_erased_interview(
    store: Store, plan: Plan
) -> None:
    interview_id, epoch = await begun(store, plan)
    await store.erase(interview_id)
    await store.erase(interview_id)  # twice is once
    for write in (
        store.append(interview_id, epoch, [said("zombie")]),
        store.append(interview_id, None, [said("zombie")]),
        store.save_report(interview_id, 1, "{}"),
        store.save_grading(interview_id, 1, "q1", "{}"),
        store.add_invite("b" * 64, interview_id, 9e9),
        store.take_lease(interview_id, "host"),
    ):
        with pytest.raises(Erased):
            await write


async def test_an_interview_that_never_was_is_unknown_everywhere(store: Store) -> None:
    for call in (
        store.interview("x"),
        store.events("x"),
        store.append("x", 1, [said("a")]),
        store.take_lease("x", "host"),
        store.erase("x"),
        store.verify_chain("x"),
        store.enqueue_report("x"),
        store.save_report("x", 1, "{}"),
        store.revoke_invites("x"),
    ):
        with pytest.raises(UnknownInterview):
            await call


async def test_a_store_serves_several_event_loops_at_once(store: Store, plan: Plan) -> None:
    interview_id, epoch = await begun(store, plan)

    def in_a_loop_of_its_own(name: str) -> None:
        async def write() -> None:
            for n in range(10):
                await store.append(interview_id, epoch, [said(f"{name}{n}")])

        asyncio.run(write())

    await asyncio.gather(*(asyncio.to_thread(in_a_loop_of_its_own, name) for name in "abc"))
    assert len(await store.events(interview_id)) == 31
    assert (await store.verify_chain(interview_id)).ok


async def test_closing_writes_what_waits_and_refuses_what_comes_later(
    tmp_path: Path, plan: Plan
) -> None:
    store = Store(sqlite_url(tmp_path))
    interview_id, epoch = await begun(store, plan)
    tasks = [
        asyncio.create_task(store.append(interview_id, epoch, [said(str(n))])) for n in range(20)
    ]
    await asyncio.sleep(0)
    await store.aclose()
    assert await asyncio.gather(*tasks) == list(range(2, 22))
    with pytest.raises(StoreUnavailable):
        await store.append(interview_id, epoch, [said("late")])


def test_the_migrations_make_the_tables_that_the_code_expects(store: Store) -> None:
    engine = create_engine(store.url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    Store(sqlite_url(tmp_path)).close()
    with sqlite3.connect(tmp_path / "viva.sqlite3") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(StoreUnavailable, match="newer Viva"):
        Store(sqlite_url(tmp_path))


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "viva.sqlite3").write_bytes(b"not a database, but long enough to be read" * 50)
    with pytest.raises(StoreUnavailable, match="damaged"):
        Store(sqlite_url(tmp_path))
