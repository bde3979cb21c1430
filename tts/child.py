"""A voice's child process: JSON requests in, tagged frames out, one request at a time.

Libraries that keep global state, that end their process over a bad file, or whose licence is not
ours, live in a process of their own. `tts.espeak_child` and `tts.neural_child` are run by file and
speak this protocol:

    request   one line of JSON, {"id": 1, …}, or {"cancel": 1}
    frame     header `<IBI` (id, kind, length of payload), payload; the first is READY

A request is over with END or ERROR. What is left of one that was cancelled is dropped.
"""

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import Sequence

from tts.errors import VoiceError
from tts.espeak_child import END, ERROR, HEADER

logger = logging.getLogger(__name__)

_LAST_WORDS = 8
"""Lines of a process's last output that are kept, for the reason why it does not start."""


class ChildDied(Exception):
    """The process ended, or stopped answering, before its answer did."""


class Child:
    """One process and the task that reads it; whose errors are of the type `error`.

    What it writes to stderr goes to ours, or, with `quiet`, to the log at DEBUG: libraries repeat
    the words they are given.
    """

    def __init__(self, process: asyncio.subprocess.Process, error: type[VoiceError]) -> None:
        self._process, self._error = process, error
        self._frames: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue()
        self._request_id = 0
        self._owed: dict[int, float] = {}
        self._said: deque[str] = deque(maxlen=_LAST_WORDS)
        self._reader = asyncio.create_task(self._read(), name="voice reader")
        self._listener = (
            asyncio.create_task(self._listen(process.stderr), name="voice stderr")
            if process.stderr
            else None
        )
        self.ready = b""
        """The payload of its READY."""

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        timeout_s: float,
        *,
        error: type[VoiceError],
        quiet: bool = False,
    ) -> "Child":
        """Raises `error`, with the process's own last words where it is `quiet`."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=pipe, stdout=pipe, stderr=pipe if quiet else None
            )
        except OSError as fault:
            raise error("the voice's process cannot be started") from fault
        child = cls(process, error)
        try:
            await child._until_ready(timeout_s)
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

    def owes_for(self) -> float:
        """Seconds since the oldest request that is not over, cancelled ones too."""
        now = asyncio.get_running_loop().time()
        return max((now - asked for asked in self._owed.values()), default=0.0)

    def ask(self, request_id: int, request: dict[str, object]) -> None:
        self._request_id, self._frames = request_id, asyncio.Queue()
        if not self.alive:
            raise ChildDied("ended")
        self._owed[request_id] = asyncio.get_running_loop().time()
        self._send({"id": request_id, **request})

    def cancel(self, request_id: int) -> None:
        self._request_id = 0
        self._send({"cancel": request_id})

    async def next(self, timeout_s: float) -> bytes | None:
        """The next piece of the answer; None at its end."""
        try:
            async with asyncio.timeout(timeout_s):
                frame = await self._frames.get()
        except TimeoutError:
            raise ChildDied("does not answer") from None
        match frame:
            case None:
                raise ChildDied("died")
            case (kind, _) if kind == END:
                return None
            case (kind, message) if kind == ERROR:
                raise self._error(message.decode(errors="replace"), retryable=False)
            case (_, payload):
                return payload

    async def aclose(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            self._process.kill()
        await self._process.wait()
        await self._reader  # ends at the pipe's end
        if self._listener is not None:
            await self._listener

    async def _until_ready(self, timeout_s: float) -> None:
        try:
            self.ready = await self.next(timeout_s) or b""
        except ChildDied as died:
            await self.aclose()
            why = f": {'; '.join(self._said)}" if self._said else ""
            raise self._error(f"the voice's process {died} at its start{why}") from died

    def _send(self, message: dict[str, object]) -> None:
        assert self._process.stdin is not None
        # Not drained: requests are small, and a process that died is noticed by the reader.
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while True:
                tag = await self._process.stdout.readexactly(HEADER.size)
                request_id, kind, length = HEADER.unpack(tag)
                payload = await self._process.stdout.readexactly(length)
                if kind in (END, ERROR):
                    self._owed.pop(request_id, None)
                if request_id == self._request_id:  # what is left of a cancelled one is dropped
                    self._frames.put_nowait((kind, payload))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process ended; said below to whoever waits
        self._frames.put_nowait(None)

    async def _listen(self, stderr: asyncio.StreamReader) -> None:
        with contextlib.suppress(ValueError):  # a line beyond the reader's limit: no more is heard
            async for line in stderr:
                said = line.decode(errors="replace").strip()
                self._said.append(said)
                logger.debug("voice process %d: %s", self.pid, said)
