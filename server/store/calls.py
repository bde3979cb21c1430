"""Calls to candidates, in SQL.

A call runs from `began_at` until it has its `seconds`, whatever its outcome says meanwhile: it may
be cancelled while it rings.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from agent.events import Event
from server.store import log
from server.store.records import CallOut, CallOutcome
from server.store.schema import calls_out, calls_tally

MADE = calls_out.c.began_at.is_not(None)
RUNNING = MADE & calls_out.c.seconds.is_(None)
OPEN = calls_out.c.outcome.in_(("waiting", "calling"))
TALLY_S = 86_400.0
"""No cap looks back further."""


def add(db: Connection, call: CallOut) -> None:
    log.standing(db, call.interview_id)
    db.execute(insert(calls_out).values(vars(call)))


def ask(db: Connection, call: CallOut) -> bool:
    """Add it, unless one of its interview's waits already or is being made: then False."""
    log.locked(db, call.interview_id)
    mine = calls_out.c.interview_id == call.interview_id
    if db.execute(select(calls_out.c.call_id).where(mine & OPEN)).first():
        return False
    add(db, call)
    return True


def of_interview(db: Connection, interview_id: str) -> list[CallOut]:
    """Oldest first."""
    mine = select(calls_out).where(calls_out.c.interview_id == interview_id)
    return [CallOut(**row._mapping) for row in db.execute(mine.order_by(calls_out.c.not_before))]


def one(db: Connection, call_id: str) -> CallOut | None:
    row = db.execute(select(calls_out).where(calls_out.c.call_id == call_id)).first()
    return CallOut(**row._mapping) if row else None


def due(db: Connection, at: float) -> list[CallOut]:
    """Those that wait and may begin, the longest due first."""
    ready = (calls_out.c.outcome == "waiting") & (calls_out.c.not_before <= at)
    found = select(calls_out).where(ready).order_by(calls_out.c.not_before)
    return [CallOut(**row._mapping) for row in db.execute(found)]


def begun(db: Connection, call_id: str, at: float) -> bool:
    """False where it does not wait any more."""
    waits = (calls_out.c.call_id == call_id) & (calls_out.c.outcome == "waiting")
    made = update(calls_out).where(waits).values(began_at=at, outcome="calling")
    _forget_old(db, at)
    return bool(db.execute(made).rowcount)


def seen(db: Connection, at: float) -> None:
    """Those that run are being made still."""
    db.execute(update(calls_out).where(RUNNING).values(seen_at=at))


def unended(db: Connection) -> list[CallOut]:
    """Those that run, oldest first."""
    found = select(calls_out).where(RUNNING).order_by(calls_out.c.began_at)
    return [CallOut(**row._mapping) for row in db.execute(found)]


def ended(
    db: Connection,
    call_id: str,
    outcome: CallOutcome,
    seconds: float,
    again: CallOut | None,
    told: Event | None,
) -> CallOutcome | None:
    """The outcome that stands: what was cancelled stays so, unless it had reached the interview,
    and is neither told nor tried again. None where it was written already, or the interview is
    erased."""
    mine = calls_out.c.call_id == call_id
    call = db.execute(select(calls_out).where(mine).with_for_update()).first()
    if call is None:
        tallied = update(calls_tally).where(calls_tally.c.call_id == call_id)
        db.execute(tallied.values(seconds=seconds))
        return None
    if call.seconds is not None:
        return None
    stands = outcome if call.outcome == "calling" or outcome == "answered" else call.outcome
    db.execute(update(calls_out).where(mine).values(outcome=stands, seconds=seconds))
    if stands == outcome and told is not None:
        log.append(db, call.interview_id, None, [told])
    over = log.interview(db, call.interview_id).status in ("ended", "erased")
    if stands == outcome and again is not None and not over:
        add(db, again)
    return stands


def cancel(db: Connection, interview_id: str) -> int:
    """Those of the interview that wait or are being made; returns how many."""
    mine = calls_out.c.interview_id == interview_id
    return db.execute(update(calls_out).where(mine & OPEN).values(outcome="cancelled")).rowcount


def since(db: Connection, at: float, now: float) -> tuple[int, float]:
    """How many calls began since then, and their seconds, those of running ones until now."""
    spent = func.coalesce(calls_out.c.seconds, now - calls_out.c.began_at)
    of_calls = select(func.count(), func.coalesce(func.sum(spent), 0.0))
    known = db.execute(of_calls.where(MADE & (calls_out.c.began_at >= at))).one()
    of_tally = select(func.count(), func.coalesce(func.sum(calls_tally.c.seconds), 0.0))
    erased = db.execute(of_tally.where(calls_tally.c.began_at >= at)).one()
    return int(known[0] + erased[0]), float(known[1] + erased[1])


def forget(db: Connection, interview_id: str, at: float) -> None:
    """Erase the interview's calls; what they took is kept for a day, and not whose they were."""
    mine = calls_out.c.interview_id == interview_id
    recent = mine & MADE & (calls_out.c.began_at >= at - TALLY_S)
    spent = func.coalesce(calls_out.c.seconds, at - calls_out.c.began_at)
    told = select(calls_out.c.call_id, calls_out.c.began_at, spent).where(recent)
    db.execute(insert(calls_tally).from_select(["call_id", "began_at", "seconds"], told))
    db.execute(delete(calls_out).where(mine))
    _forget_old(db, at)


def _forget_old(db: Connection, at: float) -> None:
    db.execute(delete(calls_tally).where(calls_tally.c.began_at < at - TALLY_S))
