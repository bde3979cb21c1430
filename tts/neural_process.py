"""One neural voice's model in a process of its own, shared by every session that speaks with it.

- Sessions take turns by the clause, in the order in which they asked, so a long line of one does
  not hold up the first word of another. At most `MAX_WAITING` wait; one more is refused at once.
- It is loaded once, by `start` or by the first clause; who cannot wait for that goes elsewhere, and
  the loading goes on. A process that dies or hangs is loaded again at once.
- Cancelling a clause frees the process: at once if it has not begun, else after the sentence that
  is being computed.
"""

import asyncio
import contextlib
import importlib.util
import itertools
import json
import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tts import neural_child
from tts.child import Child, ChildDied
from tts.errors import NeuralError
from tts.neural_folder import VoiceFolder
from tts.neural_models import VoiceUnusable

logger = logging.getLogger(__name__)

LOAD_TIMEOUT_S = 60.0
"""A large model from a slow disk."""
STALL_TIMEOUT_S = 20.0
"""No clause takes so long on a machine that could hold a conversation: the process hangs."""
MAX_WAITING = 32
INSTALL = (
    "The library of local neural voices is not installed. In Viva's checkout: pip install -e"
    " '.[sherpa]'"
)


@dataclass(frozen=True)
class Clause:
    text: str
    phonemes: str | None = None
    """What the model reads instead of the text, where it was taught phonemes."""
    speaker: int = 0
    speed: float = 1.0


@dataclass(frozen=True)
class Loaded:
    sample_rate: int
    """Hz."""
    speakers: int
    """0 and 1 mean that there is no choice."""


def command_of(folder: VoiceFolder, threads: int) -> tuple[str, ...]:
    config = {
        "family": folder.family,
        "files": _files(folder),
        "rules": _joined(folder.rules),
        "archives": _joined(folder.archives),
        "threads": threads,
    }
    return (sys.executable, "-P", str(Path(neural_child.__file__)), json.dumps(config))


class NeuralProcess:
    """Belongs to one event loop; whoever made it closes it. Raises `VoiceUnusable` if its library
    is not installed."""

    def __init__(
        self,
        folder: VoiceFolder,
        *,
        threads: int = 2,
        command: Sequence[str] = (),
        load_timeout_s: float = LOAD_TIMEOUT_S,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        if not importlib.util.find_spec("sherpa_onnx"):
            raise VoiceUnusable(INSTALL)
        self.folder = folder
        self._command = tuple(command) or command_of(folder, threads)
        self._load_timeout_s, self._stall_timeout_s = load_timeout_s, stall_timeout_s
        self._max_waiting, self._waiting = max_waiting, 0
        self._turn = asyncio.Lock()
        self._ids = itertools.count(1)
        self._child: Child | None = None
        self._loading: asyncio.Task[Child] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child and self._child.alive else None

    async def start(self) -> Loaded:
        """Load the model unless it is loaded; raises `NeuralError` with the reason why not."""
        return Loaded(**json.loads((await self._running()).ready))

    async def speak(self, clause: Clause) -> AsyncGenerator[bytes, None]:
        """PCM as it is made, int16 mono at `start()`'s rate. Closing the generator cancels."""
        if self._waiting >= self._max_waiting:
            raise NeuralError("too many sentences wait for the local voice", retryable=False)
        self._waiting += 1
        try:
            async with self._turn:
                asked = self._ask(await self._running(), clause)
                async with contextlib.aclosing(asked) as pieces:
                    async for pcm in pieces:
                        yield pcm
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        self._closed = True
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        child, self._child = self._child, None
        if child is not None:
            await child.aclose()

    async def _ask(self, child: Child, clause: Clause) -> AsyncGenerator[bytes, None]:
        request_id = next(self._ids)
        try:
            child.ask(request_id, asdict(clause))
            while (pcm := await child.next(self._stall_timeout_s)) is not None:
                yield pcm
        except ChildDied as died:
            await self._give_up(child)
            raise NeuralError(f"the local voice's process {died}", retryable=False) from died
        finally:
            if child.alive:  # if the clause is over, this cancels nothing
                child.cancel(request_id)

    async def _running(self) -> Child:
        if self._child is not None and self._child.owes_for() > self._stall_timeout_s:
            logger.warning("the local voice's process hangs; loading it again")
            await self._give_up(self._child)
        if self._child is not None and not self._child.alive:
            await self._give_up(self._child)
        if self._child is not None:
            return self._child
        if self._closed:
            raise NeuralError("the local voice is closed", retryable=False)
        return await asyncio.shield(self._begin())

    def _begin(self) -> asyncio.Task[Child]:
        if self._loading is None:
            self._loading = asyncio.create_task(self._load(), name="load the local voice")
            self._loading.add_done_callback(_retrieved)
        return self._loading

    async def _load(self) -> Child:
        try:
            child = await Child.start(
                self._command, self._load_timeout_s, error=NeuralError, quiet=True
            )
            self._child = child
            return child
        finally:
            self._loading = None

    async def _give_up(self, child: Child) -> None:
        """Load it again at once, so that it is there for the next reply."""
        if self._child is child:
            self._child = None
        await child.aclose()
        if self._child is None and not self._closed:  # else another has noticed it, and was quicker
            self._begin()


def _retrieved(task: asyncio.Task[Child]) -> None:
    """Whoever waited may have gone, so the reason is told here."""
    if not task.cancelled() and (error := task.exception()):
        logger.warning("the local voice is not loaded: %s", error)


def _files(folder: VoiceFolder) -> dict[str, str]:
    files = {
        "acoustic_model" if folder.family == "matcha" else "model": str(folder.model),
        "tokens": str(folder.tokens),
        "lexicon": _joined(folder.lexicons),
    }
    if folder.voices:
        files["voices"] = str(folder.voices)
    if folder.vocoder:
        files["vocoder"] = str(folder.vocoder)
    return files


def _joined(files: Sequence[Path]) -> str:
    return ",".join(map(str, files))
