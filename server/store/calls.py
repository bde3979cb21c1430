"""Calls to candidates, in SQL."""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from server.store import log
from server.store.records import CallOut, CallOutcome
from server.store.schema import calls_out

MADE = calls_out.c.began_at.is_not(None)


def add(db: Connection, call: CallOut) -> None:
    log.standing(db, call.interview_id)
    db.execute(insert(calls_out).values(vars(call)))


def of_interview(db: Connection, interview_id: str) -> list[CallOut]:
    """Oldest first."""
    mine = select(calls_out).where(calls_out.c.interview_id == interview_id)
    return [CallOut(**row._mapping) for row in db.execute(mine.order_by(calls_out.c.not_before))]


def due(db: Connection, at: float) -> list[CallOut]:
    """Those that wait and may begin, the longest due first."""
    ready = (calls_out.c.outcome == "waiting") & (calls_out.c.not_before <= at)
    found = select(calls_out).where(ready).order_by(calls_out.c.not_before)
    return [CallOut(**row._mapping) for row in db.execute(found)]


def begun(db: Connection, call_id: str, at: float) -> bool:
    """False where it does not wait any more."""
    waits = (calls_out.c.call_id == call_id) & (calls_out.c.outcome == "waiting")
    made = update(calls_out).where(waits).values(began_at=at, outcome="calling")
    return bool(db.execute(made).rowcount)


def unended(db: Connection) -> list[CallOut]:
    """Those that are being made, oldest first."""
    made = select(calls_out).where(calls_out.c.outcome == "calling")
    return [CallOut(**row._mapping) for row in db.execute(made.order_by(calls_out.c.began_at))]


def ended(db: Connection, call_id: str, outcome: CallOutcome, seconds: float) -> None:
    mine = calls_out.c.call_id == call_id
    db.execute(update(calls_out).where(mine).values(outcome=outcome, seconds=seconds))


def cancel(db: Connection, interview_id: str) -> int:
    """Those of the interview that wait; returns how many."""
    waits = (calls_out.c.interview_id == interview_id) & (calls_out.c.outcome == "waiting")
    return db.execute(update(calls_out).where(waits).values(outcome="cancelled")).rowcount


def since(db: Connection, at: float) -> tuple[int, float]:
    """How many calls began since then, and their seconds so far ended."""
    made = select(func.count(), func.coalesce(func.sum(calls_out.c.seconds), 0.0))
    count, seconds = db.execute(made.where(MADE & (calls_out.c.began_at >= at))).one()
    return int(count), float(seconds)
