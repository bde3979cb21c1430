"""A store whose disk is full, by SQLite's own account of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from agent.events import Incident
from server.store import Store, StoreUnavailable


def limit_pages(store: Store, extra: int | None) -> None:
    """Let the writer's database grow by so many pages and no more: SQLITE_FULL, as on a full
    disk.
    """
    with store._write_engine.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        (pages,) = raw.execute("PRAGMA page_count").fetchone()
        most = 1_000_000_000 if extra is None else pages + extra
        raw.execute(f"PRAGMA max_page_count = {most}")


@asynccontextmanager
async def full(store: Store, interview_id: str) -> AsyncIterator[None]:
    """Not a page more, and what room there was in the last ones is taken by this interview. Whoever
    writes meanwhile is refused soon."""
    patience_s, store._writer._patience_s = store._writer._patience_s, 0.2
    limit_pages(store, 0)
    for size in (2000, 200, 20, 0):
        with suppress(StoreUnavailable):
            for _ in range(1000):
                stuff = Incident(at=0.0, kind="stuff", detail="x" * size)
                await store.append(interview_id, None, [stuff])
    try:
        yield
    finally:
        limit_pages(store, None)
        store._writer._patience_s = patience_s
