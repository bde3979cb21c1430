"""A store whose disk is full, by SQLite's own account of it."""

from __future__ import annotations

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


async def fill(store: Store, interview_id: str) -> None:
    """Not a page more, and what room there is in the last ones taken by this interview."""
    limit_pages(store, 0)
    for size in (2000, 200, 20, 0):
        for _ in range(1000):
            try:
                stuff = Incident(at=0.0, kind="stuff", detail="x" * size)
                await store.append(interview_id, None, [stuff])
            except StoreUnavailable:
                break
