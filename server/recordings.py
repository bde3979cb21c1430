"""Recordings by interview: one folder each under the data folder, one file out of its chunks on
demand.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from server.media import recording

JOINED = "interview.ogg"


class FolderRecordings:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._joining = threading.Lock()
        self._joined_from: dict[str, int] = {}

    def folder(self, interview_id: str) -> Path:
        return self._root / interview_id

    async def audio(self, interview_id: str) -> Path | None:
        """The whole interview so far; None if nothing was recorded."""
        return await asyncio.to_thread(self._join, interview_id)

    async def started_at(self, interview_id: str) -> float | None:
        return await asyncio.to_thread(recording.started_at, self.folder(interview_id))

    async def erase(self, interview_id: str) -> None:
        await asyncio.to_thread(recording.erase, self.folder(interview_id))

    def _join(self, interview_id: str) -> Path | None:
        folder = self.folder(interview_id)
        if not folder.is_dir():
            return None
        joined = folder / JOINED
        with self._joining:  # two readers at once would write the same file
            now = _state(folder)
            if self._joined_from.get(interview_id) == now and joined.exists():
                return joined  # a player asks for many parts, one after the other
            if recording.assemble(folder, joined) is None:
                return None
            self._joined_from[interview_id] = now
        return joined


def _state(folder: Path) -> int:
    """Stands for the chunks as they are now, whatever the clock says."""
    found = [(chunk.name, chunk.stat()) for chunk in recording.chunks(folder)]
    return hash(tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in found))
