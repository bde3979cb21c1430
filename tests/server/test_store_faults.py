"""A full disk, a locked database, a killed process: said, bounded, and nothing half-written or
lost.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from full_disk import limit_pages

import prompts
from agent.events import Event, Incident
from agent.interview import Interview
from agent.journal import Journal
from agent.plan import Plan
from server.store import Store, StoreUnavailable, sqlite_url
from server.store.backup import backup_folder, backup_sqlite

ROOT = Path(__file__).parents[2]


def said(text: str) -> Incident:
    return Incident(at=1.0, kind="test", detail=text)


async def begun(store: Store, plan: Plan) -> tuple[str, int]:
    record = await store.create_interview(plan)
    return record.interview_id, await store.take_lease(record.interview_id, "host")


async def texts(store: Store, interview_id: str) -> list[str]:
    stored = await store.events(interview_id)
    return [one.event.detail for one in stored if isinstance(one.event, Incident)]


LOCKER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
"""


@pytest.fixture
def locker(tmp_path: Path, store: Store) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the database until a line is written to it."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(tmp_path / "viva.sqlite3")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def lock(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"


def unlock(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


async def test_a_lock_that_passes_delays_an_append_and_loses_nothing(
    tmp_path: Path, plan: Plan, store: Store, request: pytest.FixtureRequest
) -> None:
    interview_id, epoch = await begun(store, plan)
    process = request.getfixturevalue("locker")
    await asyncio.to_thread(lock, process)
    appends = [
        asyncio.create_task(store.append(interview_id, epoch, [said(str(n))])) for n in range(5)
    ]
    await asyncio.sleep(0.4)
    assert not any(task.done() for task in appends)
    assert await store.events(interview_id)  # reading goes on meanwhile
    unlock(process)
    assert await asyncio.gather(*appends) == [2, 3, 4, 5, 6]
    assert await texts(store, interview_id) == list("01234")


async def test_a_lock_that_stays_is_unavailable_after_a_bounded_time(
    tmp_path: Path, plan: Plan, request: pytest.FixtureRequest
) -> None:
    store = Store(sqlite_url(tmp_path), patience_s=0.5, busy_timeout_ms=50)
    request.addfinalizer(store.close)
    interview_id, epoch = await begun(store, plan)
    process = request.getfixturevalue("locker")
    await asyncio.to_thread(lock, process)
    with pytest.raises(StoreUnavailable, match="another process"):
        await store.append(interview_id, epoch, [said("lost?")])
    unlock(process)
    await asyncio.to_thread(process.wait)
    await store.append(interview_id, epoch, [said("again")])
    assert await texts(store, interview_id) == ["again"]


async def test_a_full_database_fails_the_big_append_of_a_group_and_not_the_small_ones(
    tmp_path: Path, plan: Plan
) -> None:
    store = Store(sqlite_url(tmp_path), patience_s=0.3, busy_timeout_ms=50)
    try:
        interview_id, epoch = await begun(store, plan)
        limit_pages(store, 8)
        big = said("x" * 200_000)
        results = await asyncio.gather(
            store.append(interview_id, epoch, [said("small 1")]),
            store.append(interview_id, epoch, [said("half"), big]),
            store.append(interview_id, epoch, [said("small 2")]),
            return_exceptions=True,
        )
        assert isinstance(results[1], StoreUnavailable)
        assert "disk is full" in str(results[1])
        assert await texts(store, interview_id) == ["small 1", "small 2"]
        limit_pages(store, None)
        await store.append(interview_id, epoch, [said("room again"), big])
        assert (await texts(store, interview_id))[2] == "room again"
        assert (await store.verify_chain(interview_id)).ok
    finally:
        store.close()


async def test_a_full_database_puts_no_words_into_the_log(
    tmp_path: Path, plan: Plan, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store = Store(sqlite_url(tmp_path), patience_s=0.3, busy_timeout_ms=50)

    async def write(events: Sequence[Event]) -> int:
        return await store.append(interview_id, epoch, events)

    try:
        interview_id, epoch = await begun(store, plan)
        limit_pages(store, 2)
        past = [stored.event for stored in await store.events(interview_id)]
        journal = Journal(Interview(plan, prompts.lines("en"), past), write)
        journal.start()
        # The words stand at the beginning: SQLAlchemy cuts long parameters in their middle.
        journal.add(said("I was dismissed " + "x" * 200_000))
        async with asyncio.timeout(10):
            while not any(record.exc_info for record in caplog.records):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        limit_pages(store, None)
        await journal.aclose()  # and what could not be written is written
        assert (await texts(store, interview_id))[0].startswith("I was dismissed")
    finally:
        store.close()
    log = "\n".join(map(logging.Formatter().format, caplog.records))
    assert "disk is full" in log
    assert "dismissed" not in log


FILL = """
import asyncio, os, sys
from pathlib import Path
from agent.events import Incident
from agent.planfile import load
from server.store import Store, StoreUnavailable, sqlite_url

folder = Path(sys.argv[1])

def said(text):
    return Incident(at=1.0, kind="test", detail=text)

async def main():
    store = Store(sqlite_url(folder), patience_s=0.3, busy_timeout_ms=50)
    plan = load(Path("prompts/plans/rehearsal_en.yaml"))
    interview = (await store.create_interview(plan)).interview_id
    epoch = await store.take_lease(interview, "host")
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    acknowledged, refused = 0, None
    while refused is None:
        try:
            await store.append(interview, epoch, [said("y" * 2000)])
            acknowledged += 1
        except StoreUnavailable as error:
            refused = str(error)
    ballast.unlink()
    await store.append(interview, epoch, [said("room again")])
    stored = await store.events(interview)
    check = await store.verify_chain(interview)
    await store.aclose()
    assert len(stored) == acknowledged + 2, (len(stored), acknowledged)
    assert [one.seq for one in stored] == list(range(1, len(stored) + 1))
    assert check.ok
    print(refused)

asyncio.run(main())
"""


def test_a_disk_that_is_full_is_said_and_what_was_acknowledged_is_kept(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=2m tmpfs "{disk}" && exec "$0" -c "$1" "{disk}"'
    found = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, sys.executable, FILL],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare" in found.stderr or "mount:" in found.stderr:
        pytest.skip("this machine gives no mount namespace of our own")
    assert found.returncode == 0, found.stderr
    assert "disk" in found.stdout


WRITE = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from agent.events import Incident
    from server.store import Store

    async def main():
        store = Store(sys.argv[1])
        epoch = await store.take_lease(sys.argv[2], "child")
        n = 0
        while True:
            batch = [Incident(at=1.0, kind="test", detail=f"{n}.{part}") for part in range(3)]
            seq = await store.append(sys.argv[2], epoch, batch)
            print(seq, flush=True)
            n += 1

    asyncio.run(main())
""")


async def test_a_process_killed_while_it_writes_keeps_all_that_it_acknowledged(
    store: Store, plan: Plan
) -> None:
    interview_id, _ = await begun(store, plan)
    for _ in range(3):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WRITE,
            store.url,
            interview_id,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        acknowledged = 0
        for _ in range(20):
            acknowledged = int(await child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = (await child.stdout.read()).split()
        acknowledged = max([acknowledged, *map(int, rest)])
        await child.wait()
        stored = await store.events(interview_id)
        assert len(stored) >= acknowledged
        kept = [one for one in stored if isinstance(one.event, Incident)]
        assert len(kept) % 3 == 0  # an append is whole or not there
        assert (await store.verify_chain(interview_id)).ok


async def test_a_backup_taken_while_writing_is_whole_and_opens(
    store: Store, plan: Plan, tmp_path: Path
) -> None:
    interview_id, epoch = await begun(store, plan)
    recordings = tmp_path / "recordings" / interview_id
    recordings.mkdir(parents=True)
    (recordings / "chunk-0.opus").write_bytes(b"sound")
    (tmp_path / "api_key").write_text("secret")

    async def write() -> None:
        for n in range(60):
            await store.append(interview_id, epoch, [said(str(n))])

    target = tmp_path / "backup"
    writing = asyncio.create_task(write())
    await asyncio.sleep(0.01)
    await asyncio.to_thread(backup_folder, store.url, tmp_path, target)
    await writing
    assert sorted(one.name for one in target.iterdir()) == ["recordings", "viva.sqlite3"]
    assert (target / "recordings" / interview_id / "chunk-0.opus").read_bytes() == b"sound"
    restored = Store(sqlite_url(target))
    try:
        assert (await restored.verify_chain(interview_id)).ok
        count = len(await restored.events(interview_id))
        assert 1 <= count <= 61
        await restored.take_lease(interview_id, "restored")
    finally:
        restored.close()


async def test_a_backup_overwrites_nothing_and_leaves_nothing_half_done(
    store: Store, tmp_path: Path
) -> None:
    await asyncio.to_thread(backup_folder, store.url, tmp_path, tmp_path / "b")
    with pytest.raises(StoreUnavailable, match="not empty"):
        backup_folder(store.url, tmp_path, tmp_path / "b")
    with pytest.raises(StoreUnavailable, match="exists already"):
        await store.backup(tmp_path / "b" / "viva.sqlite3")
    with pytest.raises(StoreUnavailable, match="no database"):
        backup_sqlite(sqlite_url(tmp_path / "nowhere"), tmp_path / "c")
    with pytest.raises(StoreUnavailable, match="pg_dump"):
        backup_sqlite("postgresql://h/d", tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_the_database_is_its_owners_alone(store: Store, tmp_path: Path) -> None:
    for file in tmp_path.glob("viva.sqlite3*"):
        assert file.stat().st_mode & 0o077 == 0


def test_the_database_waits_for_the_disk(store: Store, tmp_path: Path) -> None:
    with store._write_engine.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("secure_delete", 1)):
            assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    with closing(sqlite3.connect(tmp_path / "viva.sqlite3")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        Store(sqlite_url(tmp_path / "nowhere"))
