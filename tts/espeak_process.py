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
from tts.child import Child, ChildDied
from tts.errors import EspeakError
from tts.phonemes import spelled

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


class EspeakProcess:
    """Belongs to one event loop. Starts on first use; `aclose` ends it."""

    def __init__(
        self, command: Sequence[str] = COMMAND, *, stall_timeout_s: float = STALL_TIMEOUT_S
    ) -> None:
        self._command, self._stall_timeout_s = command, stall_timeout_s
        self._turn = asyncio.Lock()
        self._child: Child | None = None
        self._ids = itertools.count(1)
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self) -> int:
        """Start the process if it is not running; the rate in Hz at which it speaks."""
        async with self._turn:
            return int((await self._running()).ready)

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """PCM as it comes, int16 mono at `start()`'s rate. Closing the iterator stops the voice."""
        given = 0
        for attempt in range(1, ATTEMPTS + 1):
            skip = given
            try:
                async with contextlib.aclosing(self._ask(asdict(utterance))) as pieces:
                    async for pcm in pieces:
                        fresh, skip = pcm[skip:], max(0, skip - len(pcm))
                        given += len(fresh)
                        if fresh:
                            yield fresh
                return
            except ChildDied as died:
                logger.warning("espeak-ng %s (attempt %d of %d)", died, attempt, ATTEMPTS)
        raise EspeakError(f"the embedded voice died {ATTEMPTS} times over one sentence")

    async def phonemes(self, text: str, voice: str) -> str:
        """How `voice` says the text, in IPA with its punctuation: what neural voices read."""
        request: dict[str, object] = {"phonemes": text, "voice": voice}
        try:
            async with contextlib.aclosing(self._ask(request)) as pieces:
                answer = b"".join([piece async for piece in pieces])
        except ChildDied as died:
            raise EspeakError(f"the phonemes' process {died}") from died
        return spelled(json.loads(answer))

    async def aclose(self) -> None:
        """At once: who is being spoken to, or waits, gets an EspeakError."""
        self._closed = True
        child, self._child = self._child, None
        if child is not None:
            await child.aclose()

    async def _ask(self, request: dict[str, object]) -> AsyncGenerator[bytes, None]:
        async with self._turn:
            child = await self._running()
            request_id = next(self._ids)
            ended = False
            try:
                child.ask(request_id, request)
                while (piece := await child.next(self._stall_timeout_s)) is not None:
                    yield piece
                ended = True
            except ChildDied:
                ended, self._child = True, None
                await child.aclose()
                raise
            finally:
                if not ended:  # interrupted: the process drops the sentence at its next buffer
                    child.cancel(request_id)

    async def _running(self) -> Child:
        if self._closed:
            raise EspeakError("the embedded voice is closed")
        if self._child is not None and not self._child.alive:
            logger.warning("espeak-ng ended by itself; starting it again")
            await self._child.aclose()
            self._child = None
        if self._child is None:
            child = await Child.start(self._command, START_TIMEOUT_S, error=EspeakError)
            if self._closed:  # meanwhile
                await child.aclose()
                raise EspeakError("the embedded voice is closed")
            self._child = child
        return self._child
