"""Lines rendered ahead: a plan's verbatim lines as PCM, in memory and in a folder.

A line belongs to the voice that spoke it: the key is (voice id, text), so that voices never mix.
Only `render` touches the disk; `frames` is a look-up, fit for the call loop. The folder survives
restarts; a file that is cut short or altered fails its checksum and is rendered again.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from livekit import rtc
from livekit.agents import APIError, tts

from tts.audio import frames_of
from tts.text import speakable
from tts.voice import speak, voice_id

logger = logging.getLogger(__name__)

MAX_BYTES = 128 * 2**20
"""About 45 minutes of speech, in memory and on disk each."""
_MAGIC = b"viva-pcm-24k-1\n"
_SUFFIX = ".pcm"


@dataclass
class RenderResult:
    ready: int = 0
    failed: int = 0


class RenderedLines:
    """One for the process. `at_once` is small: edge-tts refuses at four sentences at a time."""

    def __init__(
        self, folder: Path | None = None, *, max_bytes: int = MAX_BYTES, at_once: int = 2
    ) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._slots = asyncio.Semaphore(at_once)
        self._lines: OrderedDict[str, bytes] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def frames(self, text: str, voice: str) -> list[rtc.AudioFrame] | None:
        """The line as `voice` (an id) says it, or None if it is not rendered."""
        key = _key(speakable(text), voice)
        if (pcm := self._lines.get(key)) is None:
            return None
        self._lines.move_to_end(key)
        return frames_of(pcm)

    async def render(
        self, lines: Iterable[str], voice: tts.TTS, *, give_up_after: int = 3
    ) -> RenderResult:
        """Have every line ready; never raises for a voice that fails, which is given up after a
        few failures in a row. Meant to run in the background while the interview begins."""
        result, unlucky = RenderResult(), 0

        async def one(text: str) -> None:
            nonlocal unlucky
            async with self._slots:
                ready = unlucky < give_up_after and await self._have(text, voice)
            unlucky = 0 if ready else unlucky + 1
            result.ready += ready
            result.failed += not ready

        texts = dict.fromkeys(filter(None, map(speakable, lines)))
        async with asyncio.TaskGroup() as tasks:
            for text in texts:
                tasks.create_task(one(text))
        if result.failed:
            logger.warning(
                "%d of %d lines not rendered by %s", result.failed, len(texts), voice_id(voice)
            )
        if self._folder is not None:
            await asyncio.to_thread(_prune, self._folder, self._max_bytes)
        return result

    def path(self, text: str, voice: str) -> Path | None:
        """Where the line is kept, if a folder was given."""
        return self._folder and self._folder / (_key(speakable(text), voice) + _SUFFIX)

    async def _have(self, text: str, voice: tts.TTS) -> bool:
        key, path = _key(text, voice_id(voice)), self.path(text, voice_id(voice))
        async with self._locks.setdefault(key, asyncio.Lock()):
            if key in self._lines:
                return True
            pcm = await asyncio.to_thread(_read, path) if path else None
            if pcm is None:
                try:
                    pcm = await _whole(voice, text)
                except APIError as error:
                    logger.warning("a line was not rendered: %s", error)
                    return False
                if path:
                    await asyncio.to_thread(_write, path, pcm)
            self._keep(key, pcm)
        return True

    def _keep(self, key: str, pcm: bytes) -> None:
        self._lines[key] = pcm
        while sum(map(len, self._lines.values())) > self._max_bytes and len(self._lines) > 1:
            self._lines.popitem(last=False)


async def _whole(voice: tts.TTS, text: str) -> bytes:
    async with contextlib.aclosing(speak(voice, text)) as pieces:
        return b"".join([piece.pcm async for piece in pieces])


def _key(text: str, voice: str) -> str:
    return hashlib.sha256(f"{voice}\0{text}".encode()).hexdigest()


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        logger.warning("a rendered line cannot be read: %s", error)
        return None
    head = len(_MAGIC)
    digest, pcm = data[head : head + 32], data[head + 32 :]
    if data[:head] != _MAGIC or hashlib.sha256(pcm).digest() != digest or not pcm:
        logger.warning("the rendered line %s is damaged, rendering it again", path.name)
        return None
    with contextlib.suppress(OSError):  # only its age for pruning
        os.utime(path)
    return pcm


def _write(path: Path, pcm: bytes) -> None:
    part = path.with_suffix(f".{os.getpid()}.part")  # workers may share the folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(_MAGIC + hashlib.sha256(pcm).digest() + pcm)
        part.replace(path)
    except OSError as error:  # a full disk costs the next start some rendering, nothing now
        logger.warning("a rendered line is kept in memory only: %s", error)
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _prune(folder: Path, max_bytes: int) -> None:
    """Keep the newest lines that fit, and no half-written file of a process that was killed."""
    kept, an_hour_ago = 0, time.time() - 3600
    try:
        for part in folder.glob("*.part"):
            if part.stat().st_mtime < an_hour_ago:
                part.unlink(missing_ok=True)
        files = [(file.stat(), file) for file in folder.glob("*" + _SUFFIX)]
        for stat, file in sorted(files, key=lambda pair: pair[0].st_mtime, reverse=True):
            kept += stat.st_size
            if kept > max_bytes:
                file.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("rendered lines cannot be pruned: %s", error)
