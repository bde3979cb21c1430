"""Interviews, their leases and their events in SQL: each function runs inside the caller's
transaction.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from agent.events import (
    SCHEMA_VERSION,
    Event,
    InterviewCreated,
    InterviewEnded,
    NewerEvent,
    is_rehearsal,
    parse_event,
)
from agent.plan import Plan
from server.store import chain
from server.store.errors import (
    Erased,
    StaleLease,
    StoreUnavailable,
    UnknownInterview,
    UnknownPlan,
)
from server.store.records import (
    InterviewRecord,
    PlanEntry,
    Status,
    StoredEvent,
    status_after,
)
from server.store.schema import (
    events,
    gradings,
    interviews,
    invites,
    jobs,
    leases,
    plans,
    reports,
)


def save_plan(db: Connection, plan: Plan) -> str:
    known = db.execute(select(plans.c.hash).where(plans.c.hash == plan.hash)).first()
    if not known:
        db.execute(insert(plans).values(hash=plan.hash, json=plan.model_dump_json()))
    return plan.hash


def plan(db: Connection, plan_hash: str) -> Plan:
    found = db.execute(select(plans.c.json).where(plans.c.hash == plan_hash)).scalar()
    if found is None:
        raise UnknownPlan(plan_hash)
    return Plan.model_validate_json(found)


def plans_listed(db: Connection, hashes: Collection[str] | None) -> list[PlanEntry]:
    """By title and version; all of them, or those of these hashes."""
    wanted = select(plans)
    if hashes is not None:
        wanted = wanted.where(plans.c.hash.in_(hashes))
    found = [_entry(row.hash, json.loads(row.json)) for row in db.execute(wanted)]
    return sorted(found, key=lambda one: (one.title, one.version, one.hash))


def create(db: Connection, plan: Plan, created: InterviewCreated) -> None:
    """The interview, its lease (nobody's yet) and its first event."""
    save_plan(db, plan)
    db.execute(
        insert(interviews).values(
            interview_id=created.interview_id,
            plan_hash=created.plan_hash,
            candidate_name=created.candidate_name,
            language=created.language,
            time_factor=created.time_factor,
            rehearsal=created.rehearsal,
            created_at=created.at,
            status="invited",
            last_seq=0,
            last_event_at=created.at,
            head_hash=chain.GENESIS,
        )
    )
    db.execute(insert(leases).values(interview_id=created.interview_id, owner="", epoch=0))
    append(db, created.interview_id, 0, [created])


def take_lease(db: Connection, interview_id: str, owner: str) -> int:
    """A newer epoch than any before: whoever held the lease can write no more."""
    locked(db, interview_id)
    taken = (
        update(leases)
        .where(leases.c.interview_id == interview_id)
        .values(owner=owner, epoch=leases.c.epoch + 1)
        .returning(leases.c.epoch)
    )
    return int(db.execute(taken).scalar_one())


def append(db: Connection, interview_id: str, epoch: int | None, new: Sequence[Event]) -> int:
    """Add the events under the lease, and queue the report in the same transaction when they end
    it.
    """
    record = locked(db, interview_id)
    held = _epoch(db, interview_id)
    if epoch is not None and epoch != held:
        raise StaleLease(f"epoch {epoch} of {interview_id} was succeeded by epoch {held}")
    seq, head, status = record.last_seq, record.head_hash, record.status
    rows = []
    for event in new:
        seq += 1
        entry = chain.link(
            interview_id,
            seq,
            event.type,
            event.at,
            held,
            SCHEMA_VERSION,
            event.model_dump_json(),
            secrets.token_hex(16),
            head,
        )
        head, status = entry.hash, status_after(status, event)
        rows.append(vars(entry))
    if rows:
        db.execute(insert(events), rows)
        _advance(db, record, seq, head, status, new)
    return seq


def _advance(
    db: Connection,
    record: InterviewRecord,
    seq: int,
    head: str,
    status: Status,
    new: Sequence[Event],
) -> None:
    values: dict[str, object] = {
        "last_seq": seq,
        "head_hash": head,
        "status": status,
        "last_event_at": max(record.last_event_at, *(event.at for event in new)),
    }
    if is_rehearsal(new):
        values["rehearsal"] = True
    ended = next((event for event in new if isinstance(event, InterviewEnded)), None)
    if ended and record.ended_at is None:
        values |= {"end_reason": ended.reason, "ended_at": ended.at}
        db.execute(
            insert(jobs).values(
                interview_id=record.interview_id,
                revision=1,
                state="queued",
                owner="",
                not_before=0.0,
                attempts=0,
                error="",
            )
        )
    db.execute(
        update(interviews).where(interviews.c.interview_id == record.interview_id).values(values)
    )


def read(db: Connection, interview_id: str, after: int) -> list[StoredEvent]:
    standing(db, interview_id)
    rows = db.execute(_links(interview_id).where(events.c.seq > after))
    try:
        return [_stored(row) for row in rows]
    except NewerEvent as error:
        raise StoreUnavailable(
            f"This interview was held by a newer Viva: install that version again. {error}"
        ) from error


def verify(db: Connection, interview_id: str) -> chain.ChainCheck:
    record = interview(db, interview_id)
    links = (chain.Link(**row) for row in db.execute(_links(interview_id)).mappings())
    return chain.verify(links, record.last_seq, record.head_hash)


def erase(db: Connection, interview_id: str) -> None:
    """Every word of the interview goes; the log's skeleton and the plan stay, so that the chain
    still verifies.

    The lease's epoch grows, so that a call that is still running cannot write another word.
    """
    locked(db, interview_id, erased_too=True)
    mine = events.c.interview_id == interview_id
    db.execute(update(events).where(mine).values(payload=None, salt=None))
    for table in (reports, gradings, jobs, invites):
        db.execute(delete(table).where(table.c.interview_id == interview_id))
    db.execute(
        update(leases)
        .where(leases.c.interview_id == interview_id)
        .values(owner="", epoch=leases.c.epoch + 1)
    )
    db.execute(
        update(interviews)
        .where(interviews.c.interview_id == interview_id)
        .values(status="erased", candidate_name="")
    )


def standing(db: Connection, interview_id: str) -> InterviewRecord:
    """The interview, unless its words were erased."""
    record = interview(db, interview_id)
    if record.status == "erased":
        raise Erased(interview_id)
    return record


def interview(db: Connection, interview_id: str) -> InterviewRecord:
    row = db.execute(select(interviews).where(interviews.c.interview_id == interview_id)).first()
    if row is None:
        raise UnknownInterview(interview_id)
    return _record(row)


def listed(
    db: Connection, status: Status | None, limit: int, offset: int
) -> tuple[list[InterviewRecord], int]:
    """Newest first, and how many there are in all."""
    wanted = select(interviews)
    if status:
        wanted = wanted.where(interviews.c.status == status)
    total = db.execute(select(func.count()).select_from(wanted.subquery())).scalar_one()
    newest = wanted.order_by(interviews.c.created_at.desc(), interviews.c.interview_id)
    rows = db.execute(newest.limit(limit).offset(offset))
    return [_record(row) for row in rows], total


def end_left(db: Connection, before: float, at: float) -> list[str]:
    """End what was begun and has had no event since `before`: its candidate stayed away."""
    begun = interviews.c.status.in_(("live", "away"))
    found = select(interviews.c.interview_id).where(begun, interviews.c.last_event_at < before)
    left = list(db.execute(found).scalars())
    for interview_id in left:
        epoch = take_lease(db, interview_id, "abandoned")
        append(db, interview_id, epoch, [InterviewEnded(at=at, reason="abandoned")])
    return left


def locked(db: Connection, interview_id: str, *, erased_too: bool = False) -> InterviewRecord:
    """The interview's row, held until the commit (SQLite holds the whole database already)."""
    row = db.execute(
        select(interviews).where(interviews.c.interview_id == interview_id).with_for_update()
    ).first()
    if row is None:
        raise UnknownInterview(interview_id)
    if row.status == "erased" and not erased_too:
        raise Erased(interview_id)
    return _record(row)


def _epoch(db: Connection, interview_id: str) -> int:
    held = select(leases.c.epoch).where(leases.c.interview_id == interview_id)
    return int(db.execute(held).scalar_one())


def _links(interview_id: str) -> Select:
    return select(events).where(events.c.interview_id == interview_id).order_by(events.c.seq)


def _stored(row: Row) -> StoredEvent:
    event = parse_event(json.loads(row.payload), row.schema_version)
    return StoredEvent(row.seq, row.at, event, row.hash, row.epoch, row.schema_version)


def _entry(hashed: str, plan: dict[str, Any]) -> PlanEntry:
    return PlanEntry(
        hash=hashed,
        plan_id=plan["plan_id"],
        version=plan["version"],
        title=plan["title"],
        job_title=plan["job"]["title"],
        language=plan["language"],
    )


def _record(row: Row) -> InterviewRecord:
    return InterviewRecord(**row._mapping)
