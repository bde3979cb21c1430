"""Invites in SQL. The store never sees a token, only its hash."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select, update

from server.store import log
from server.store.records import Invite
from server.store.schema import invites


def add(db: Connection, invite: Invite) -> None:
    log.standing(db, invite.interview_id)
    db.execute(insert(invites).values(vars(invite)))


def find(db: Connection, token_hash: str) -> Invite | None:
    row = db.execute(select(invites).where(invites.c.token_hash == token_hash)).first()
    return Invite(**row._mapping) if row else None


def of_interview(db: Connection, interview_id: str) -> list[Invite]:
    mine = select(invites).where(invites.c.interview_id == interview_id)
    return [Invite(**row._mapping) for row in db.execute(mine.order_by(invites.c.created_at))]


def revoke(db: Connection, interview_id: str, at: float) -> int:
    """Every invite of the interview that still stands; returns how many."""
    log.interview(db, interview_id)
    standing = (invites.c.interview_id == interview_id) & invites.c.revoked_at.is_(None)
    return db.execute(update(invites).where(standing).values(revoked_at=at)).rowcount
