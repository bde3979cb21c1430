"""Bring a database to this version's tables; the migrations ship inside the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Engine

from server.store.errors import StoreUnavailable


def config() -> Config:
    made = Config()
    # `%` would be read as an interpolation.
    made.set_main_option(
        "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
    )
    made.set_main_option("path_separator", "os")
    return made


def upgrade(engine: Engine) -> None:
    """Apply what is missing, in one transaction under the write lock: two processes may start at
    once.
    """
    alembic = config()
    with engine.begin() as connection:
        alembic.attributes["connection"] = connection
        try:
            command.upgrade(alembic, "head")
        except CommandError as error:
            raise StoreUnavailable(
                "The database was written by a newer Viva. Install that version again, or restore"
                f" a backup made before it ({error})."
            ) from error


def head() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()
