"""The desk's password and the logins made with it, in SQL. The store sees neither a password nor a
login's token, only their hashes.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, or_, select, update

from server.store.records import Login
from server.store.schema import admin, logins

ONE = 1
"""There is one admin."""


def password_hash(db: Connection) -> str | None:
    return db.execute(select(admin.c.password_hash).where(admin.c.id == ONE)).scalar()


def set_password(db: Connection, hashed: str, at: float) -> None:
    """Whoever was signed in with the old one is signed out in the same transaction."""
    db.execute(delete(logins))
    db.execute(delete(admin))
    db.execute(insert(admin).values(id=ONE, password_hash=hashed, changed_at=at))


def add(db: Connection, login: Login, verified: str) -> bool:
    """False where the password was changed since it was verified against this hash."""
    # The row is held, or a change that commits meanwhile would not see this login.
    held = select(admin.c.password_hash).where(admin.c.id == ONE).with_for_update()
    if db.execute(held).scalar() != verified:
        return False
    db.execute(insert(logins).values(vars(login)))
    return True


def find(db: Connection, token_hash: str) -> Login | None:
    row = db.execute(select(logins).where(logins.c.token_hash == token_hash)).first()
    return Login(**row._mapping) if row else None


def seen(db: Connection, token_hash: str, at: float) -> None:
    db.execute(update(logins).where(logins.c.token_hash == token_hash).values(last_seen_at=at))


def remove(db: Connection, token_hash: str) -> None:
    db.execute(delete(logins).where(logins.c.token_hash == token_hash))


def prune(db: Connection, made_before: float, seen_before: float) -> None:
    """Forget logins that are too old, or were left alone for too long."""
    old = or_(logins.c.created_at < made_before, logins.c.last_seen_at < seen_before)
    db.execute(delete(logins).where(old))
