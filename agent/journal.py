"""The one door through which events enter an interview: applied at once, written in order, waited
for where it matters.

Knows nothing of the database: `write` is the Store's. A write that fails is tried again until it
succeeds, with the
events kept in memory, for a full disk or a locked database must not lose an answer; only a
fenced-off lease
(`Fenced`) ends the journal, because another call now owns the interview.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from agent.events import Event
from agent.interview import IllegalEvent, Interview

logger = logging.getLogger(__name__)

Write = Callable[[Sequence[Event]], Awaitable[int]]
"""Makes events durable, in order, and returns the last sequence number."""
RETRY_S = (0.1, 0.3, 1.0, 2.0)


class Fenced(Exception):
    """Another call holds the interview's lease; nothing more may be written by this one."""


class Journal:
    """Order and durability of one call's events.

    `on_committed(events, last_seq)` is called on the loop after each durable batch, `on_fenced()`
    once.
    """

    def __init__(
        self,
        interview: Interview,
        write: Write,
        *,
        on_committed: Callable[[Sequence[Event], int], None] = lambda events, seq: None,
        on_fenced: Callable[[], None] = lambda: None,
    ) -> None:
        self.interview = interview
        self.on_added: Callable[[Sequence[Event]], None] = lambda events: None
        """Told of each event that was applied; the model's conversation grows by it."""
        self.fenced = False
        self.failing_since: float | None = None
        """Loop time of the first of the writes that fail now; None while all is well."""
        self._write = write
        self._on_committed = on_committed
        self._on_fenced = on_fenced
        self._waiting: list[Event] = []
        self._added = 0
        self._written = 0
        self._wake = asyncio.Event()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin writing, on the running loop."""
        self._task = asyncio.create_task(self._run(), name="journal")

    def add(self, *events: Event) -> None:
        """Apply the events to the interview and queue them for writing; an impossible one is logged
        and dropped."""
        for event in events:
            try:
                self.interview.apply(event)
            except IllegalEvent:
                # A defect of the caller; raising here would kill a LiveKit listener and with it the
                # voice.
                logger.exception("event refused by the interview: %s", event.type)
                continue
            self._waiting.append(event)
            self._added += 1
            self.on_added((event,))
        self._wake.set()

    async def committed(self) -> None:
        """Wait until all that was added before this call is durable. Raises `Fenced`."""
        target = self._added
        async with self._progress:
            await self._progress.wait_for(lambda: self._written >= target or self.fenced)
        if self.fenced:
            raise Fenced

    async def aclose(self) -> None:
        """Write what is left (unless fenced) and stop."""
        if self._task is None:
            return
        if not self.fenced:
            try:
                async with asyncio.timeout(10):
                    await self.committed()
            except (TimeoutError, Fenced):
                logger.error("%d events could not be written before closing", len(self._waiting))
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self.fenced:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting and not self.fenced:
                await self._write_batch()

    async def _write_batch(self) -> None:
        batch = tuple(self._waiting)
        try:
            seq = await self._write_until_durable(batch)
        except Fenced:
            self.fenced = True
            self._on_fenced()
            async with self._progress:
                self._progress.notify_all()
            return
        del self._waiting[: len(batch)]
        self._written += len(batch)
        self._on_committed(batch, seq)
        async with self._progress:
            self._progress.notify_all()

    async def _write_until_durable(self, batch: Sequence[Event]) -> int:
        attempt = 0
        while True:
            try:
                seq = await self._write(batch)
            except Fenced:
                raise
            except Exception:
                # Whatever the storage fails with, the events stay here and are tried again.
                self._note_failure()
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
            else:
                self._note_success()
                return seq

    def _note_failure(self) -> None:
        if self.failing_since is None:
            self.failing_since = asyncio.get_running_loop().time()
            logger.exception("events cannot be written; they are kept and tried again")

    def _note_success(self) -> None:
        if self.failing_since is not None:
            lasted = asyncio.get_running_loop().time() - self.failing_since
            logger.warning("events are written again, after %.1f s", lasted)
            self.failing_since = None
