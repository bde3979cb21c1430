"""Invites in SQL. The store never sees a token, only its hash."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select, update

from server.store import log
from server.store.records import Invite
from server.store.schema import invites


def add(db: Connection, invite: Invite) -> None:
    log.standing(db, invite.interview_id)
    db.execute(insert(invites).values(vars(invite)))


def find(db: Connection, token_hash: str) -> Invite | None:
    row = db.execute(select(invites).where(invites.c.token_hash == token_hash)).first()
    return Invite(**row._mapping) if row else None


def keep(db: Connection, number: Invite) -> bool:
    """In the place of an older one, unless that still stands for another interview: then False."""
    log.standing(db, number.interview_id)
    if (held := find(db, number.token_hash)) is not None:
        good = held.revoked_at is None and held.expires_at > number.created_at
        over = log.interview(db, held.interview_id).status in ("ended", "erased")
        if good and not over and held.interview_id != number.interview_id:
            return False
        db.execute(delete(invites).where(invites.c.token_hash == number.token_hash))
    db.execute(insert(invites).values(vars(number)))
    return True


def forget(db: Connection, interview_id: str, token_hash: str | None) -> int:
    """The interview's number of this hash, or all its numbers; returns how many there were."""
    log.interview(db, interview_id)
    mine = (invites.c.interview_id == interview_id) & (invites.c.kind == "number")
    if token_hash is not None:
        mine &= invites.c.token_hash == token_hash
    return db.execute(delete(invites).where(mine)).rowcount


def of_interview(db: Connection, interview_id: str) -> list[Invite]:
    """Its links; a PIN lives and ends with the link that it was made with."""
    mine = select(invites).where(
        (invites.c.interview_id == interview_id) & (invites.c.kind == "link")
    )
    return [Invite(**row._mapping) for row in db.execute(mine.order_by(invites.c.created_at))]


def revoke(db: Connection, interview_id: str, at: float) -> int:
    """Every invite of the interview that still stands; returns how many links those were."""
    log.interview(db, interview_id)
    standing = (invites.c.interview_id == interview_id) & invites.c.revoked_at.is_(None)
    links = select(func.count()).where(standing & (invites.c.kind == "link"))
    count = db.execute(links).scalar_one()
    db.execute(update(invites).where(standing).values(revoked_at=at))
    return count
