"""The embedded voice's child process as one async object, started again if it dies.

Sessions share it: they take turns by the sentence, in order, and espeak-ng makes a sentence of
speech in a few tens of milliseconds. A sentence that was under way when the process died is asked
for again and carried on after the audio already given, so it is spoken once (espeak-ng repeats
itself to about 15 ms).
"""

import asyncio
import contextlib
import itertools
import json
import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tts import espeak_child
from tts.errors import EspeakError

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", str(Path(espeak_child.__file__)))
START_TIMEOUT_S = 10.0
STALL_TIMEOUT_S = 5.0
"""espeak-ng speaks two orders faster than real time, so a longer wait means that it hangs."""
ATTEMPTS = 3


@dataclass(frozen=True)
class Utterance:
    text: str
    voice: str = "en-us"
    rate: int = 165
    """Words a minute, 80 to 450."""
    pitch: int = 50
    """0 to 99."""
    range: int = 50
    """How much the pitch moves, 0 (monotone) to 99."""
    gap: int = 0
    """Pause between words, in units of 10 ms."""


class EspeakDied(Exception):
    """The process ended, or stopped answering, before the sentence did."""


class EspeakProcess:
    """Belongs to one event loop. Starts on first use; `aclose` ends it."""

    def __init__(
        self, command: Sequence[str] = COMMAND, *, stall_timeout_s: float = STALL_TIMEOUT_S
    ) -> None:
        self._command, self._stall_timeout_s = command, stall_timeout_s
        self._turn = asyncio.Lock()
        self._child: _Child | None = None
        self._ids = itertools.count(1)
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self) -> int:
        """Start the process if it is not running; the rate in Hz at which it speaks."""
        async with self._turn:
            return (await self._running()).sample_rate

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """PCM as it comes, int16 mono at `start()`'s rate. Closing the iterator stops the voice."""
        given = 0
        for attempt in range(1, ATTEMPTS + 1):
            skip = given
            try:
                async with contextlib.aclosing(self._ask(utterance)) as pieces:
                    async for pcm in pieces:
                        fresh, skip = pcm[skip:], max(0, skip - len(pcm))
                        given += len(fresh)
                        if fresh:
                            yield fresh
                return
            except EspeakDied as died:
                logger.warning("espeak-ng %s (attempt %d of %d)", died, attempt, ATTEMPTS)
        raise EspeakError(f"the embedded voice died {ATTEMPTS} times over one sentence")

    async def aclose(self) -> None:
        """At once: who is being spoken to, or waits, gets an EspeakError."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            await child.aclose()

    async def _ask(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        async with self._turn:
            child = await self._running()
            request_id = next(self._ids)
            ended = False
            try:
                child.ask(request_id, utterance)
                while (piece := await child.next(self._stall_timeout_s)) is not None:
                    yield piece
                ended = True
            except EspeakDied:
                ended, self._child = True, None
                await child.aclose()
                raise
            finally:
                if not ended:  # interrupted: the process drops the sentence at its next buffer
                    child.cancel(request_id)

    async def _running(self) -> "_Child":
        if self._closed:
            raise EspeakError("the embedded voice is closed")
        if self._child is not None and not self._child.alive:
            logger.warning("espeak-ng ended by itself; starting it again")
            await self._child.aclose()
            self._child = None
        if self._child is None:
            child = await _Child.start(self._command)
            if self._closed:  # meanwhile
                await child.aclose()
                raise EspeakError("the embedded voice is closed")
            self._child = child
        return self._child


class _Child:
    """One process and the task that reads it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._frames: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._request_id = 0
        self._reader = asyncio.create_task(self._read(), name="espeak reader")
        self.sample_rate = 0

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Child":
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        except OSError as error:
            raise EspeakError("the embedded voice's process cannot be started") from error
        child = cls(process)
        try:
            await child._ready()
        except BaseException:  # also when cancelled: a process never outlives its start
            await child.aclose()
            raise
        return child

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.done()

    def ask(self, request_id: int, utterance: Utterance) -> None:
        self._request_id, self._frames = request_id, asyncio.Queue()
        if not self.alive:
            raise EspeakDied("ended")
        self._send({"id": request_id, **asdict(utterance)})

    def cancel(self, request_id: int) -> None:
        self._request_id = 0
        self._send({"cancel": request_id})

    async def next(self, timeout_s: float) -> bytes | None:
        """The next piece of audio; None at the end of the sentence."""
        try:
            async with asyncio.timeout(timeout_s):
                frame = await self._frames.get()
        except TimeoutError:
            raise EspeakDied("does not answer") from None
        match frame:
            case None:
                raise EspeakDied("died")
            case (espeak_child.END, _):
                return None
            case (espeak_child.ERROR, message):
                raise EspeakError(message.decode(), retryable=False)
            case (_, payload):
                return payload

    async def aclose(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            self._process.kill()
        await self._process.wait()
        await self._reader  # ends at the pipe's end

    async def _ready(self) -> None:
        try:
            piece = await self.next(START_TIMEOUT_S)
        except EspeakDied as died:
            raise EspeakError(f"the embedded voice's process {died} at its start") from died
        self.sample_rate = int(piece or b"0")

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        # Not drained: requests are small, and a process that died is noticed by the reader.
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        header = espeak_child.HEADER
        try:
            while True:
                tag = await self._process.stdout.readexactly(header.size)
                request_id, kind, length = header.unpack(tag)
                payload = await self._process.stdout.readexactly(length)
                if request_id == self._request_id:  # what is left of an interrupted one is dropped
                    self._frames.put_nowait((kind, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process ended; said below to whoever waits
        self._frames.put_nowait(None)
