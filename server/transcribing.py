"""`viva transcribe` at work: several recordings at a time, each named when something is wrong with
it, and nothing that is done is lost by what goes wrong later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from asr import outputs
from asr.errors import UnreadableRecording
from asr.recording import clock, counted, shown
from server.cli.options import say

if TYPE_CHECKING:
    from asr.files import Transcriber
    from asr.transcription import Transcription

logger = logging.getLogger(__name__)

FILES_AT_ONCE = 4
"""So that short recordings fill the recogniser too."""


@dataclass(frozen=True)
class Request:
    files: tuple[Path, ...]
    formats: tuple[outputs.Format, ...]
    out: Path | None
    """None: to the screen."""
    force: bool = False


@dataclass
class Outcome:
    done: list[Path] = field(default_factory=list)
    kept: list[Path] = field(default_factory=list)
    """Transcribed before, and left as they are."""
    failed: list[Path] = field(default_factory=list)
    """Not transcribed, or not whole."""


class Work:
    """What is to be done, and what became of it."""

    def __init__(self, request: Request, *, write: Callable[[str], None]) -> None:
        """`write` takes what goes to the screen."""
        self._request, self._write = request, write
        self.outcome = Outcome()
        self._names = outputs.names(request.files)
        self._texts: dict[int, str] = {}  # of recordings whose turn it is not yet
        self._next = 0
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._bars.disable = not self._bars.console.is_terminal
        self._recordings = {_identity(path) for path in request.files} - {None}
        self._left = self._to_do()

    @property
    def left(self) -> int:
        """Recordings that have to be heard."""
        return len(self._left)

    async def run(self, transcriber: Transcriber) -> None:
        slots = asyncio.Semaphore(FILES_AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                await self._transcribe(number, transcriber)

        with self._bars:
            try:
                async with asyncio.TaskGroup() as group:
                    for number in self._left:
                        group.create_task(one(number))
            except ExceptionGroup as e:
                raise e.exceptions[0] from e  # the screen's, such as of a pipe that is closed

    def stopped(self) -> str:
        """What is left behind by Ctrl-C."""
        done, all_of = len(self.outcome.done), len(self._request.files)
        if self._request.out is None:
            return f"Stopped: {done} of {counted(all_of, 'recording')} transcribed."
        return (
            f"Stopped: {done} of {counted(all_of, 'recording')} transcribed; what is in"
            f" {shown(self._request.out)} is whole. The same command goes on with the rest."
        )

    def _to_do(self) -> list[int]:
        """All but those whose transcripts are there already, or have no place."""
        every = range(len(self._request.files))
        if self._request.out is None:
            return list(every)
        return [number for number in every if self._is_due(number)]

    def _is_due(self, number: int) -> bool:
        """Says why, if it is not: before it is heard in vain."""
        path, targets = self._request.files[number], [at for _, at in self._targets(number)]
        try:
            there = [target for target in targets if target.exists()]
        except OSError as e:  # a name that is too long
            return self._left_out(path, _unwritten(e))
        if lost := [target for target in there if _identity(target) in self._recordings]:
            return self._left_out(path, _in_the_way(lost[0]))
        if len(there) < len(targets) or self._request.force:
            return True
        say(f"{shown(path)}: {_kept(targets[0])}.")
        self.outcome.kept.append(path)
        return False

    def _left_out(self, path: Path, reason: str) -> bool:
        say(f"{shown(path)}: {reason}.")
        self.outcome.failed.append(path)
        return False

    def _targets(self, number: int) -> list[tuple[outputs.Format, Path]]:
        assert self._request.out is not None
        name = self._names[number]
        return [(form, self._request.out / f"{name}.{form}") for form in self._request.formats]

    async def _transcribe(self, number: int, transcriber: Transcriber) -> None:
        path = self._request.files[number]
        bar = self._bars.add_task(shown(Path(path.name)), total=None)
        try:
            heard = await transcriber.transcribe(
                path, lambda done, whole: self._bars.update(bar, completed=done, total=whole)
            )
            self._give(number, heard)
        except UnreadableRecording as e:
            self._fail(path, str(e))
        except OSError as e:
            self._fail(path, _unwritten(e))
        except Exception as e:
            # The file's outermost edge: whatever is in it, the rest go on.
            logger.exception("%s", shown(path))
            self._fail(path, f"something unexpected went wrong: {type(e).__name__}: {e}")
        finally:
            self._bars.remove_task(bar)
            self._texts.setdefault(number, "")
            self._print()

    def _give(self, number: int, heard: Transcription) -> None:
        path = self._request.files[number]
        if self._request.out is None:
            self._texts[number] = self._on_screen(heard)
        else:
            for form, target in self._targets(number):
                if target.exists() and not self._request.force:
                    self._aside(f"{shown(target)} is there already, and left so.")
                else:
                    outputs.write(target, outputs.rendered(heard, form))
        self.outcome.done.append(path)
        for problem in heard.problems:
            self._aside(f"{shown(path)}: {problem}.")
        if not heard.complete:
            self.outcome.failed.append(path)
        if self._request.out is not None or not heard.segments:
            self._aside(f"{shown(path)}: {_summary(heard)}.")

    def _on_screen(self, heard: Transcription) -> str:
        (form,) = self._request.formats
        if len(self._request.files) == 1:
            return outputs.rendered(heard, form)
        if form == "json":
            return heard.model_dump_json() + "\n"  # a line each
        return f"{heard.file}\n{outputs.rendered(heard, form)}\n"

    def _fail(self, path: Path, reason: str) -> None:
        self.outcome.failed.append(path)
        self._aside(f"{shown(path)}: {reason}.")

    def _print(self) -> None:
        """In the order in which they were named."""
        while (text := self._texts.pop(self._next, None)) is not None:
            self._next += 1
            if text:
                self._between_bars(partial(self._write, text))

    def _aside(self, text: str) -> None:
        self._between_bars(partial(say, text))

    def _between_bars(self, show: Callable[[], None]) -> None:
        """Two writers to one screen would overwrite each other."""
        self._bars.stop()
        show()
        self._bars.start()


def _unwritten(error: OSError) -> str:
    return f"its transcript cannot be written: {error.strerror or error}"


def _kept(transcript: Path) -> str:
    # Of this recording or, from another run, of another one with its name.
    return (
        f"{shown(transcript)} is there already, and left so; --force writes it again, another --out"
        " keeps both"
    )


def _in_the_way(recording: Path) -> str:
    return (
        f"its transcript would overwrite {shown(recording)}, which is one of these recordings;"
        " name another folder as --out"
    )


def _identity(path: Path) -> tuple[int, int] | None:
    """Of the file, by whatever name, case or link it is found; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def named_once(files: Sequence[Path]) -> tuple[Path, ...]:
    """Without those that are the same file again."""
    once: dict[Path, Path] = {}
    for path in files:
        once.setdefault(path.absolute(), path)
    return tuple(once.values())


def _summary(heard: Transcription) -> str:
    found, dropped = len(heard.segments), heard.dropped_segments
    speech = f"{counted(found, 'piece')} of speech" if found else "no speech"
    without = f", {counted(dropped, 'piece')} without words" if dropped else ""
    return f"{clock(heard.seconds)} of sound, {speech}{without}"
