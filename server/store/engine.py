"""Database engines: SQLite in WAL with full durability, or any other database SQLAlchemy knows, by
URL.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection

DATABASE_FILE = "viva.sqlite3"


def sqlite_url(data_dir: Path) -> str:
    """The URL of the database in a data folder."""
    return f"sqlite:///{data_dir.resolve() / DATABASE_FILE}"


def sqlite_file(url: str) -> Path | None:
    """The file behind a SQLite URL; None for other databases."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return None
    return Path(parsed.database or "")


def open_engine(url: str, *, writes: bool, busy_timeout_ms: int) -> Engine:
    """An engine; for SQLite its transactions take the write lock at once (`writes`) or never."""
    engine = create_engine(
        url,
        pool_pre_ping=not url.startswith("sqlite"),
        hide_parameters=True,  # an error would carry what a candidate said into the log
    )
    if engine.dialect.name == "sqlite":
        _configure_sqlite(engine, "BEGIN IMMEDIATE" if writes else "BEGIN", busy_timeout_ms)
    return engine


def _configure_sqlite(engine: Engine, begin: str, busy_timeout_ms: int) -> None:
    pragmas = (
        f"busy_timeout = {busy_timeout_ms}",
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL may lose the last commits when the power goes
        "foreign_keys = ON",
        "secure_delete = ON",  # erased words leave no trace in free pages
    )

    @event.listens_for(engine, "connect")
    def connect(connection: Any, record: object) -> None:
        # The driver would begin transactions by itself, lazily and deferred; we say BEGIN
        # ourselves.
        connection.isolation_level = None
        for pragma in pragmas:
            _run(connection, f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _run(connection: DBAPIConnection, statement: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()
