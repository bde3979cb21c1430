"""Which database errors pass by themselves, and what each is in an operator's words. Pure."""

from __future__ import annotations

import sqlite3
from enum import StrEnum

from sqlalchemy.exc import DBAPIError


class Fault(StrEnum):
    LOCKED = "another process holds the database"
    FULL = "the disk is full"
    DISK = "the disk cannot be read or written"
    READ_ONLY = "the data folder cannot be written"
    DAMAGED = "the database file is damaged"
    OTHER = "the database does not answer"


ADVICE = {
    Fault.LOCKED: "Stop it, or wait until it is done, and try again.",
    Fault.FULL: "Make room, and try again.",
    Fault.DISK: "See whether it is full (df -h), and try again.",
    Fault.READ_ONLY: "Give this user the right to, or name another folder with --data-dir.",
    Fault.DAMAGED: "Move it away and restore a backup: docs/operations.md.",
    Fault.OTHER: "See that it runs, and try again.",
}
"""What an operator can do."""

_PRIMARY = {
    sqlite3.SQLITE_BUSY: Fault.LOCKED,
    sqlite3.SQLITE_LOCKED: Fault.LOCKED,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_IOERR: Fault.DISK,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_CANTOPEN: Fault.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}


def fault_of(error: DBAPIError) -> Fault:
    code = getattr(error.orig, "sqlite_errorcode", None)
    # The low byte is the primary code; the rest says where in SQLite it happened.
    return Fault.OTHER if code is None else _PRIMARY.get(code & 0xFF, Fault.OTHER)


def passes(fault: Fault) -> bool:
    """Whether trying again a moment later makes sense."""
    return fault not in (Fault.READ_ONLY, Fault.DAMAGED)
