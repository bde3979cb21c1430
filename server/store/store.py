"""The Store: what is durable, for any event loop.

* A method that writes returns when its transaction is on the disk, or raises and has written
  nothing. A caller that is cancelled while it waits may find its events written or not, never half
  of them.
* An interview's events are written by whoever holds its newest lease (`take_lease` → epoch); an
  older epoch gets `StaleLease`. `epoch=None` is for facts from outside a call (a consent on the
  page): they stand under whichever lease is held.
* `InterviewEnded` queues the report in its own transaction.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from agent.events import Event, InterviewCreated
from agent.plan import Plan
from server.store import calls, log, logins, reporting, tokens
from server.store.backup import backup_sqlite
from server.store.chain import ChainCheck
from server.store.engine import open_engine, sqlite_file
from server.store.errors import StoreUnavailable
from server.store.faults import ADVICE, fault_of
from server.store.migrate import upgrade
from server.store.records import (
    CallOut,
    CallOutcome,
    InterviewRecord,
    Invite,
    InviteKind,
    Job,
    Login,
    PlanEntry,
    Status,
    StoredEvent,
    StoredReport,
)
from server.store.writer import Writer

T = TypeVar("T")
READERS = 4


class Store:
    """Opens the database and brings it up to date; raises `StoreUnavailable`. Close it with
    `close()`.
    """

    def __init__(
        self,
        url: str,
        *,
        patience_s: float = 10.0,
        busy_timeout_ms: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url = url
        self._clock = clock
        _make_private(url)
        self._write_engine = open_engine(url, writes=True, busy_timeout_ms=busy_timeout_ms)
        self._read_engine = open_engine(url, writes=False, busy_timeout_ms=busy_timeout_ms)
        try:
            upgrade(self._write_engine)
        except DBAPIError as error:
            self._dispose()
            fault = fault_of(error)
            raise StoreUnavailable(
                f"The database cannot be opened: {fault.value}. {ADVICE[fault]}"
            ) from error
        except StoreUnavailable:
            self._dispose()
            raise
        self._writer = Writer(self._write_engine, patience_s=patience_s)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")

    def close(self) -> None:
        """Write what waits, then let go of the database."""
        self._writer.close()
        self._readers.shutdown()
        self._dispose()

    async def aclose(self) -> None:
        await asyncio.to_thread(self.close)

    # --- interviews and their events --------------------------------------------------------------
    async def create_interview(
        self,
        plan: Plan,
        *,
        candidate_name: str = "",
        time_factor: float = 1.0,
        rehearsal: bool = False,
        interview_id: str | None = None,
    ) -> InterviewRecord:
        created = InterviewCreated(
            at=self._clock(),
            interview_id=interview_id or uuid.uuid4().hex,
            plan_id=plan.plan_id,
            plan_version=plan.version,
            plan_hash=plan.hash,
            language=plan.language,
            candidate_name=candidate_name,
            time_factor=time_factor,
            rehearsal=rehearsal,
        )
        await self._write(lambda db: log.create(db, plan, created))
        return await self.interview(created.interview_id)

    async def interview(self, interview_id: str) -> InterviewRecord:
        """Raises `UnknownInterview`; an erased one is still listed, without words."""
        return await self._read(lambda db: log.interview(db, interview_id))

    async def list_interviews(
        self, *, status: Status | None = None, limit: int = 100, offset: int = 0
    ) -> tuple[list[InterviewRecord], int]:
        """Newest first, and how many there are in all."""
        return await self._read(lambda db: log.listed(db, status, limit, offset))

    async def end_left(self, before: float, at: float) -> list[str]:
        """End as abandoned what was begun and has had no event since `before`; returns the ids.
        Whoever still held such an interview is fenced off."""
        return await self._write(lambda db: log.end_left(db, before, at))

    async def take_lease(self, interview_id: str, owner: str) -> int:
        """The new epoch. Raises `UnknownInterview`, `Erased`."""
        return await self._write(lambda db: log.take_lease(db, interview_id, owner))

    async def append(self, interview_id: str, epoch: int | None, events: Sequence[Event]) -> int:
        """The last sequence number, once all are durable. Raises `StaleLease`,
        `StoreUnavailable`.
        """
        frozen = tuple(events)
        return await self._write(lambda db: log.append(db, interview_id, epoch, frozen))

    async def events(self, interview_id: str, after: int = 0) -> list[StoredEvent]:
        """In order, from the one after `after`. Raises `UnknownInterview`, `Erased`."""
        return await self._read(lambda db: log.read(db, interview_id, after))

    async def verify_chain(self, interview_id: str) -> ChainCheck:
        return await self._read(lambda db: log.verify(db, interview_id))

    async def erase(self, interview_id: str) -> None:
        """Every word of it goes, out of the write-ahead log too; a running call is fenced off."""
        at = self._clock()

        def erase(db: Connection) -> None:
            log.erase(db, interview_id)
            calls.forget(db, interview_id, at)

        await self._write(erase)
        await asyncio.wrap_future(self._readers.submit(self._checkpoint))

    async def save_plan(self, plan: Plan) -> str:
        return await self._write(lambda db: log.save_plan(db, plan))

    async def plan(self, plan_hash: str) -> Plan:
        """Raises `UnknownPlan`."""
        return await self._read(lambda db: log.plan(db, plan_hash))

    async def plans(self, hashes: Collection[str] | None = None) -> list[PlanEntry]:
        """The saved plans by title and version; all of them, or those of these hashes."""
        wanted = None if hashes is None else tuple(hashes)
        return await self._read(lambda db: log.plans_listed(db, wanted))

    # --- reports and the queue that makes them ----------------------------------------------------
    async def save_report(self, interview_id: str, revision: int, json: str) -> None:
        """Raises `ReportExists`: there is one report to an interview and revision. Its job is done
        with it.
        """
        at = self._clock()
        await self._write(lambda db: reporting.save_report(db, interview_id, revision, json, at))

    async def report(self, interview_id: str, revision: int | None = None) -> StoredReport | None:
        """The newest, or the revision asked for; None if there is none yet."""
        return await self._read(lambda db: reporting.report(db, interview_id, revision))

    async def enqueue_report(self, interview_id: str) -> int:
        """Ask for one more revision; returns its number."""
        return await self._write(lambda db: reporting.enqueue(db, interview_id))

    async def claim_job(self, owner: str, *, stale_after_s: float = 900.0) -> Job | None:
        at = self._clock()
        return await self._write(lambda db: reporting.claim(db, owner, at, at - stale_after_s))

    async def put_back_job(self, job: Job, *, after_s: float, error: str) -> None:
        later = self._clock() + after_s
        await self._write(lambda db: reporting.put_back(db, job, later, error))

    async def release_jobs(self, owner_prefix: str) -> int:
        """At start: queue again what a process that died had claimed; returns how many."""
        return await self._write(lambda db: reporting.release(db, owner_prefix))

    async def reports_pending(self, interview_id: str) -> list[int]:
        """The revisions of this interview's report that are still to be made."""
        return await self._read(lambda db: reporting.pending(db, interview_id))

    async def jobs_waiting(self) -> int:
        return await self._read(reporting.waiting)

    async def save_grading(
        self, interview_id: str, revision: int, question_id: str, json: str
    ) -> None:
        """Keep one question's grading until the report is made; the last one stands."""
        await self._write(
            lambda db: reporting.save_grading(db, interview_id, revision, question_id, json)
        )

    async def gradings(self, interview_id: str, revision: int) -> dict[str, str]:
        """JSON by question id."""
        return await self._read(lambda db: reporting.gradings_of(db, interview_id, revision))

    # --- invites ----------------------------------------------------------------------------------
    async def add_invite(
        self,
        token_hash: str,
        interview_id: str,
        expires_at: float,
        kind: InviteKind = "link",
    ) -> None:
        invite = Invite(token_hash, interview_id, self._clock(), expires_at, None, kind)
        await self._write(lambda db: tokens.add(db, invite))

    async def keep_number(self, number: Invite) -> bool:
        """False where it still stands for another interview. Raises `UnknownInterview`,
        `Erased`."""
        return await self._write(lambda db: tokens.keep(db, number))

    async def forget_numbers(self, interview_id: str, token_hash: str | None = None) -> int:
        """All that are kept for the interview, or the one; returns how many. Raises
        `UnknownInterview`."""
        return await self._write(lambda db: tokens.forget(db, interview_id, token_hash))

    async def invite(self, token_hash: str) -> Invite | None:
        return await self._read(lambda db: tokens.find(db, token_hash))

    async def invites(self, interview_id: str) -> list[Invite]:
        return await self._read(lambda db: tokens.of_interview(db, interview_id))

    async def revoke_invites(self, interview_id: str) -> int:
        at = self._clock()
        return await self._write(lambda db: tokens.revoke(db, interview_id, at))

    # --- calls to candidates ----------------------------------------------------------------------
    async def add_call(self, call: CallOut) -> bool:
        """False where a call of the same interview waits, or is being made. Raises
        `UnknownInterview`, `Erased`."""
        return await self._write(lambda db: calls.ask(db, call))

    async def calls(self, interview_id: str) -> list[CallOut]:
        """Oldest first."""
        return await self._read(lambda db: calls.of_interview(db, interview_id))

    async def calls_due(self, at: float) -> list[CallOut]:
        return await self._read(lambda db: calls.due(db, at))

    async def call_begun(self, call_id: str, at: float) -> bool:
        """False where it was begun or cancelled meanwhile."""
        return await self._write(lambda db: calls.begun(db, call_id, at))

    async def call(self, call_id: str) -> CallOut | None:
        """None where its interview was erased."""
        return await self._read(lambda db: calls.one(db, call_id))

    async def calls_seen(self, at: float) -> None:
        """Those that are being made still are at this time: a server that is killed leaves with
        them how long they lasted."""
        await self._write(lambda db: calls.seen(db, at))

    async def calls_unended(self) -> list[CallOut]:
        """Those that are being made, or that a server which was killed was making."""
        return await self._read(calls.unended)

    async def call_ended(
        self,
        call_id: str,
        outcome: CallOutcome,
        seconds: float,
        again: CallOut | None = None,
        told: Event | None = None,
    ) -> CallOutcome | None:
        """Write how it ended, and with it when it is tried again, and what the interview's log is
        told. Returns the outcome that stands: one that was cancelled meanwhile stays so, without
        the other two. None where its interview was erased, or its end is written already."""
        return await self._write(lambda db: calls.ended(db, call_id, outcome, seconds, again, told))

    async def cancel_calls(self, interview_id: str) -> int:
        """Those that wait or are being made; whoever makes one has to look. Returns how many."""
        return await self._write(lambda db: calls.cancel(db, interview_id))

    async def calls_since(self, at: float, now: float) -> tuple[int, float]:
        """Calls that began since then, those of erased interviews too, and their seconds until
        now."""
        return await self._read(lambda db: calls.since(db, at, now))

    # --- the desk's password and logins -----------------------------------------------------------
    async def password_hash(self) -> str | None:
        """None while the desk is closed."""
        return await self._read(logins.password_hash)

    async def set_password(self, hashed: str) -> None:
        """Ends every login."""
        at = self._clock()
        await self._write(lambda db: logins.set_password(db, hashed, at))

    async def add_login(self, login: Login, verified: str) -> bool:
        """False where the password is no longer the one that was verified against this hash."""
        return await self._write(lambda db: logins.add(db, login, verified))

    async def login(self, token_hash: str) -> Login | None:
        return await self._read(lambda db: logins.find(db, token_hash))

    async def login_seen(self, token_hash: str, at: float) -> None:
        await self._write(lambda db: logins.seen(db, token_hash, at))

    async def remove_login(self, token_hash: str) -> None:
        await self._write(lambda db: logins.remove(db, token_hash))

    async def prune_logins(self, made_before: float, seen_before: float) -> None:
        await self._write(lambda db: logins.prune(db, made_before, seen_before))

    # --- upkeep -----------------------------------------------------------------------------------
    async def backup(self, file: Path) -> None:
        """Copy the SQLite database to a new file while it is in use; raises `StoreUnavailable`."""
        await asyncio.wrap_future(self._readers.submit(backup_sqlite, self.url, file))

    def _checkpoint(self) -> None:
        if sqlite_file(self.url) is not None:
            with self._read_engine.connect() as connection:
                raw = connection.connection.driver_connection
                assert raw is not None
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def _write(self, run: Callable[[Connection], T]) -> T:
        found: T = await asyncio.wrap_future(self._writer.submit(run))
        return found

    async def _read(self, run: Callable[[Connection], T]) -> T:
        return await asyncio.wrap_future(self._readers.submit(_reading, self._read_engine, run))

    def _dispose(self) -> None:
        self._write_engine.dispose()
        self._read_engine.dispose()


def _make_private(url: str) -> None:
    """A new database file is its owner's alone; SQLite gives its other files the same rights."""
    if file := sqlite_file(url):
        try:
            os.close(os.open(file, os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreUnavailable(f"{file} cannot be made: {error.strerror}.") from error


def _reading(engine: Engine, run: Callable[[Connection], T]) -> T:
    try:
        with engine.connect() as connection, connection.begin():
            return run(connection)
    except DBAPIError as error:
        raise StoreUnavailable(f"The store cannot be read: {fault_of(error).value}.") from error
