"""A copy of the data folder while it is in use: the database by SQLite's backup API, then the
recordings.

Restoring is putting the copy in the data folder's place while no server runs
(`docs/operations.md`). The API key is not copied: a restored folder without one makes its own.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from server.store.engine import DATABASE_FILE, sqlite_file
from server.store.errors import StoreUnavailable

RECORDINGS = "recordings"


def backup_folder(url: str, data_dir: Path, target: Path) -> list[Path]:
    """Copy everything that belongs to interviews to `target`, a new or empty folder; returns what
    was written.

    The database goes first: a recording that begins meanwhile is then in neither or only in the
    folder.
    """
    if target.exists() and any(target.iterdir()):
        raise StoreUnavailable(f"{target} is not empty; name a new folder.")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = [target / DATABASE_FILE]
    backup_sqlite(url, written[0])
    if (data_dir / RECORDINGS).is_dir():
        try:
            shutil.copytree(data_dir / RECORDINGS, target / RECORDINGS)
        except (OSError, shutil.Error) as error:
            raise StoreUnavailable(f"The recordings could not be copied: {error}") from error
        written.append(target / RECORDINGS)
    return written


def backup_sqlite(url: str, file: Path) -> None:
    source = sqlite_file(url)
    if source is None:
        raise StoreUnavailable(
            "The database is not SQLite: back it up with its own tool, such as pg_dump."
        )
    if not source.is_file():
        raise StoreUnavailable(f"There is no database at {source}.")
    if file.exists():
        raise StoreUnavailable(f"{file} exists already; a backup overwrites nothing.")
    part = file.with_name(file.name + ".part")
    try:
        _copy(source, part)
        part.rename(file)
    except (sqlite3.Error, OSError) as error:
        raise StoreUnavailable(f"The backup failed and was removed: {error}") from error
    finally:
        part.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    read_only = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(read_only, uri=True, timeout=10)) as live:
        part.touch(mode=0o600)
        with closing(sqlite3.connect(part)) as copy:
            live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, no -wal beside it
    with part.open("rb") as done:
        os.fsync(done.fileno())
