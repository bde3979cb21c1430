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

    def folder(self, interview_id: str) -> Path:
        return self._root / interview_id

    async def audio(self, interview_id: str) -> Path | None:
        """The whole interview so far; None if nothing was recorded."""
        return await asyncio.to_thread(self._join, interview_id)

    async def erase(self, interview_id: str) -> None:
        await asyncio.to_thread(recording.erase, self.folder(interview_id))

    def _join(self, interview_id: str) -> Path | None:
        folder = self.folder(interview_id)
        if not folder.is_dir():
            return None
        with self._joining:  # two readers at once would write the same file
            joined = recording.assemble(folder, folder / JOINED)
        return joined.path if joined else None
