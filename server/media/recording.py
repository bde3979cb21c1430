"""The recording of a call: candidate left, interviewer as played right, one timeline.

Sound is placed by the time at which it was sent or played, so that reconnects, stalls and crashes
leave silence and nothing shifts. It is written by a thread of its own, in append-only Ogg Opus
chunks of about ten seconds, each with its hash in `chunks.jsonl` once it is complete; a kill
loses at most the end of the last chunk. Rules:

- nothing is created before `start`, which is called when consent was given;
- nothing here ever raises into the call: when the disk is full or too slow, recording stops and
  `on_failed` says why;
- memory is bounded: a few seconds of sound, and a bounded queue to the thread.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

from server.media import opus
from server.media.ogg import OggOpusWriter, read_packets
from server.media.resample import Resampler

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]

RATE = 24000
FRAME = RATE // 50
FRAMES_PER_S = 50
CHUNK_FRAMES = 500
HOLD_S = 2.5
"""How long sound may be late and still be put in its place."""
WINDOW = int(RATE * (HOLD_S + 2.5))
TICK_S = 0.5
QUEUE = 60
"""Blocks of half a second that may wait for the disk."""
SNAP = int(RATE * 0.04)
"""Sound that is due within 40 ms of what came before follows it directly: times jitter."""
BITRATE = 64000
MAX_GAP_FRAMES = 4 * 3600 * FRAMES_PER_S
CHUNKS, TIMELINE, NAME = "chunks.jsonl", "timeline.json", "chunk-{:08d}.opus"


class _Channel:
    """The last seconds of one side, each sample in its place."""

    def __init__(self) -> None:
        self.begin = 0
        """Position of the first sample that was not yet taken."""
        self.end = 0
        """Position after the last sample placed."""
        self._window: Pcm = np.zeros(WINDOW, np.int16)
        self._resamplers: dict[int, Resampler] = {}

    def place(self, pcm: Pcm, rate: int, position: int) -> None:
        if rate not in self._resamplers:
            self._resamplers[rate] = Resampler(rate, RATE)
        sound = self._resamplers[rate].push(pcm)
        position -= round(self._resamplers[rate].delay * RATE)
        if abs(position - self.end) <= SNAP:
            position = self.end
        first = max(position, self.begin)
        last = min(position + len(sound), self.begin + WINDOW)
        if first < last:
            self._window[first - self.begin : last - self.begin] = sound[
                first - position : last - position
            ]
            self.end = max(self.end, last)

    def take(self, count: int) -> Pcm:
        taken = self._window[:count].copy()
        self._window[:-count] = self._window[count:]
        self._window[-count:] = 0
        self.begin += count
        return taken


class Recorder:
    """Records one interview into a folder; a new one over the same folder goes on where it was."""

    def __init__(
        self,
        folder: Path,
        *,
        on_failed: Callable[[str], None] | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._on_failed, self._wall = folder, on_failed, wall
        self._loop = asyncio.get_running_loop()
        self._left, self._right = _Channel(), _Channel()
        self._queue: queue.Queue[Pcm | None] = queue.Queue(QUEUE)
        self._thread: threading.Thread | None = None
        self._origin: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def recording(self) -> bool:
        return self._origin is not None

    def offset(self, at: float) -> float | None:
        """Where in the recording a loop time is, in seconds; None when nothing is recorded."""
        return None if self._origin is None else max(at - self._origin, 0.0)

    async def start(self) -> None:
        """Consent was given: record from now on."""
        if self._thread is not None:
            return
        try:
            first, now = await asyncio.to_thread(
                _open_timeline, self._folder, lambda: (self._wall(), self._loop.time())
            )
        except OSError as error:
            self._fail(f"the recording cannot begin: {error}")
            return
        self._origin = now - first / FRAMES_PER_S
        for channel in (self._left, self._right):
            channel.begin = channel.end = first * FRAME
        writer = _Writer(self._folder, first)
        self._thread = threading.Thread(
            target=self._work, args=(writer,), name="recording", daemon=True
        )
        self._thread.start()
        self._timer = self._loop.call_later(TICK_S, self._tick)

    def heard(self, frame: rtc.AudioFrame, at: float) -> None:
        """What the candidate said at this loop time."""
        self._place(self._left, frame, at)

    def played(self, frame: rtc.AudioFrame, at: float) -> None:
        """What the interviewer was heard to say at this loop time."""
        self._place(self._right, frame, at)

    async def stop(self) -> None:
        """Write what is left and close the last chunk."""
        if self._origin is not None:
            self._hand_over(max(self._left.end, self._right.end) + FRAME - 1)
        self._end()
        if self._thread is not None:
            await asyncio.to_thread(self._finish)

    def _finish(self) -> None:
        thread = self._thread
        assert thread is not None
        try:
            self._queue.put(None, timeout=5)
        except queue.Full:
            logger.error("the recording's disk does not answer; its end is lost")
        thread.join(timeout=5)

    def _place(self, channel: _Channel, frame: rtc.AudioFrame, at: float) -> None:
        if self._origin is None:
            return
        position = round((at - self._origin) * RATE)
        channel.place(np.frombuffer(frame.data, np.int16), frame.sample_rate, position)

    def _tick(self) -> None:
        assert self._origin is not None
        self._timer = self._loop.call_later(TICK_S, self._tick)
        self._hand_over(round((self._loop.time() - HOLD_S - self._origin) * RATE))

    def _hand_over(self, until: int) -> None:
        """Give the thread all whole frames before this position."""
        limit = self._left.begin + WINDOW // FRAME * FRAME
        while (count := (min(until, limit) - self._left.begin) // FRAME * FRAME) > 0:
            block = np.stack((self._left.take(count), self._right.take(count)), axis=1)
            try:
                self._queue.put_nowait(block)
            except queue.Full:
                self._fail("the recording's disk is too slow")
                return
            limit = self._left.begin + WINDOW // FRAME * FRAME

    def _work(self, writer: _Writer) -> None:
        """The thread: blocks to chunks, until None or an error."""
        try:
            while (block := self._queue.get()) is not None:
                writer.write(block)
            writer.close()
        except Exception as error:
            # The thread's outermost edge: the call goes on without a recording.
            logger.exception("recording into %s failed", self._folder)
            reason = f"the recording stopped: {error}"
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._fail, reason)
        finally:
            writer.abandon()

    def _fail(self, reason: str) -> None:
        self._end()
        if self._on_failed is not None:
            callback, self._on_failed = self._on_failed, None
            callback(reason)

    def _end(self) -> None:
        self._origin = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Writer:
    """Encodes blocks of stereo sound into chunk files; used by one thread."""

    def __init__(self, folder: Path, first_frame: int) -> None:
        self._folder, self._frame = folder, first_frame
        self._encoder = _encoder()
        self._file: BinaryIO | None = None
        self._ogg: OggOpusWriter | None = None
        self._in_chunk = 0

    def write(self, block: Pcm) -> None:
        frames = [block[i : i + FRAME] for i in range(0, len(block), FRAME)]
        while frames:
            room = CHUNK_FRAMES - self._in_chunk
            now, frames = frames[:room], frames[room:]
            packets = [self._encoder.encode(frame) for frame in now]
            self._opened().write(packets)
            self._in_chunk += len(packets)
            if self._in_chunk == CHUNK_FRAMES:
                self.close()

    def close(self) -> None:
        """Finish the open chunk: its hash makes it complete."""
        if self._file is None:
            return
        path = Path(self._file.name)
        self._file.close()
        self._file = self._ogg = None
        data = path.read_bytes()
        entry = {
            "name": path.name,
            "start_s": self._frame / FRAMES_PER_S,
            "seconds": self._in_chunk / FRAMES_PER_S,
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        with (self._folder / CHUNKS).open("a", encoding="utf-8") as chunks:
            chunks.write(json.dumps(entry) + "\n")
        self._frame, self._in_chunk = self._frame + self._in_chunk, 0

    def abandon(self) -> None:
        """Let go of the file, whatever state it is in."""
        if self._file is not None:
            self._file.close()

    def _opened(self) -> OggOpusWriter:
        if self._ogg is None:
            path = self._folder / NAME.format(self._frame)
            # Unbuffered and never over an old one: each page is on its way when it is written.
            self._file = path.open("xb", buffering=0)
            self._ogg = _ogg_writer(self._file, self._encoder)
        return self._ogg


def _encoder() -> opus.Encoder:
    return opus.Encoder(RATE, 2, bitrate=BITRATE, fec_loss_percent=0, speech=False)


def _ogg_writer(file: BinaryIO, encoder: opus.Encoder, tags: Sequence[str] = ()) -> OggOpusWriter:
    return OggOpusWriter(file, channels=2, rate=RATE, pre_skip=encoder.lookahead, tags=tags)


def _open_timeline(folder: Path, clocks: Callable[[], tuple[float, float]]) -> tuple[int, float]:
    """The frame at which to go on, and the loop time that belongs to it: 0, or as many as have
    passed since the recording began. Both clocks are read at once, however long the disk takes."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / TIMELINE
    wall, now = clocks()
    if not path.exists():
        path.write_text(json.dumps({"started_at": wall}), encoding="utf-8")
        return 0, now
    try:
        passed = wall - float(json.loads(path.read_text(encoding="utf-8"))["started_at"])
    except (ValueError, KeyError, TypeError):
        passed = 0.0  # written half by a process that died; the chunks still say where they end
    # At least one frame each: a chunk that died empty still has its name.
    written = [_first_frame(chunk) + max(len(_packets_of(chunk)), 1) for chunk in chunks(folder)]
    return max([int(passed * FRAMES_PER_S), *written]), now


@dataclass(frozen=True)
class Assembled:
    """One file out of all chunks."""

    path: Path
    seconds: float
    chunks: int
    silent_seconds: float
    """Time between chunks for which there is no sound: the server was down."""


def assemble(folder: Path, out: Path, tags: Sequence[str] = ()) -> Assembled | None:
    """Join the chunks that exist, as far as they are whole; None when nothing was recorded.

    Nothing is encoded again. Blocks; call it in a thread. The same chunks give the same file.
    """
    parts = chunks(folder)
    if not parts:
        return None
    encoder = _encoder()
    nothing = encoder.encode(np.zeros((FRAME, 2), np.int16))
    frame = silent = 0
    part = out.with_name(out.name + ".part")
    with part.open("wb") as file:
        ogg = _ogg_writer(file, encoder, tags)
        for chunk in parts:
            packets = _packets_of(chunk)
            gap = min(_first_frame(chunk) - frame, MAX_GAP_FRAMES)
            for _ in range(max(gap, 0) // 50):
                ogg.write([nothing] * 50)
            ogg.write([nothing] * (max(gap, 0) % 50))
            ogg.write(packets[max(-gap, 0) :])
            silent += max(gap, 0)
            frame += max(gap, 0) + len(packets[max(-gap, 0) :])
        ogg.write([nothing], last=True)
    part.replace(out)
    return Assembled(out, frame / FRAMES_PER_S, len(parts), silent / FRAMES_PER_S)


def started_at(folder: Path) -> float | None:
    """Unix seconds of the recording's first moment; None when nothing was recorded."""
    try:
        timeline = json.loads((folder / TIMELINE).read_text(encoding="utf-8"))
        return float(timeline["started_at"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def erase(folder: Path) -> None:
    """Leave nothing of a recording, finished or not."""
    if folder.exists():
        shutil.rmtree(folder)


def damaged(folder: Path) -> list[str]:
    """Names of complete chunks that are no longer what was written."""
    path = folder / CHUNKS
    if not path.exists():
        return []
    entries = [_entry(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [e["name"] for e in entries if e and _hash(folder / e["name"]) != e["sha256"]]


def _entry(line: str) -> dict[str, str]:
    try:
        entry: dict[str, str] = json.loads(line)
        return entry
    except ValueError:
        return {}  # the line that was being written when the process was killed


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def chunks(folder: Path) -> list[Path]:
    """The chunks in their order."""
    return sorted(folder.glob("chunk-*.opus"))


def _first_frame(chunk: Path) -> int:
    return int(chunk.stem.removeprefix("chunk-"))


def _packets_of(chunk: Path) -> list[bytes]:
    return list(read_packets(chunk.read_bytes()))
