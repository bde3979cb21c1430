"""Alembic's entry: runs on the connection that `server.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from server.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,  # SQLite can, and the caller's transaction is ours to keep
)
with context.begin_transaction():
    context.run_migrations()
