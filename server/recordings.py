"""Recordings by interview: one folder each under the data folder, one file out of its chunks on
demand.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

from server.media import recording

JOINED = "interview.ogg"
MARGIN_NS = 1_000_000_000
"""File systems' clocks are coarse."""


class FolderRecordings:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._joining = threading.Lock()

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
            if _is_whole(joined, folder):  # a player asks for many parts, one after the other
                return joined
            began = time.time_ns() - MARGIN_NS
            if recording.assemble(folder, joined) is None:
                return None
            os.utime(joined, ns=(began, began))
        return joined


def _is_whole(joined: Path, folder: Path) -> bool:
    """Whether nothing was recorded since the file was put together."""
    chunks = [chunk.stat().st_mtime_ns for chunk in recording.chunks(folder)]
    return joined.exists() and max(chunks, default=0) < joined.stat().st_mtime_ns
