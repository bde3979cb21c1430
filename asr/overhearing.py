"""Interim results of speech that is still open: one at a time, and the first thing to be dropped.

An interim is of use until its segment is cut. Then it is cancelled, so that its place at the
recogniser is free for the final; the engine refuses it where anything else waits. In a pause none
is begun: nothing was said that the last one lacks but its last syllable, and if the pause lasts the
final comes next, and should find the recogniser free.
"""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from asr import guards
from asr.errors import HearingError
from asr.recognition import Recognition
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segmenter

logger = logging.getLogger(__name__)


class Cadence:
    """When an interim is due. Pure: by the segmenter's samples."""

    def __init__(self, every_s: float | None) -> None:
        """Of speech, from one interim to the next; None: none at all."""
        self._every_s = every_s
        self._at = 0  # position of the last one

    def due_in(self, segmenter: Segmenter) -> float:
        """Samples until one is due: negative where it is late, infinite where there are none."""
        if self._every_s is None:
            return math.inf
        since = max(self._at, segmenter.open_start())
        return since + self._every_s * SAMPLE_RATE - segmenter.position

    def take(self, segmenter: Segmenter) -> Pcm | None:
        """What is to be recognised, if one is due now."""
        if self.due_in(segmenter) > 0 or segmenter.pausing:
            return None
        audio = segmenter.open_audio()
        if audio is not None:
            self._at = segmenter.position
        return audio


def patience(segmenter: Segmenter, cadence: Cadence) -> int:
    """Windows until one may decide something, a cut (`Segmenter.patience`) or an interim."""
    due = cadence.due_in(segmenter) / WINDOW
    return max(1, math.ceil(min(segmenter.patience, due)))


class Overhearing:
    def __init__(
        self,
        every_s: float | None,
        ask: Callable[[Pcm], Awaitable[Recognition]],
        tell: Callable[[str], None],
    ) -> None:
        """`every_s`: see `Cadence`."""
        self.cadence = Cadence(every_s)
        self._ask = ask
        self._tell = tell
        self.task: asyncio.Task[None] | None = None
        """The one that is asked for."""

    def look(self, segmenter: Segmenter) -> None:
        """Ask, if one is due."""
        if self.task is not None and not self.task.done():
            return
        audio = self.cadence.take(segmenter)
        if audio is not None:
            self.task = asyncio.create_task(self._result(audio))

    def cut(self) -> None:
        """What was open is no longer: an interim of it comes too late."""
        if self.task is not None:
            self.task.cancel()

    async def _result(self, audio: Pcm) -> None:
        try:
            heard = await self._ask(audio)
        except HearingError:
            return  # busy with finals: the next one will do
        except Exception:
            # Any engine may stand behind the protocol; an interim may be lost without a word.
            logger.debug("no interim result", exc_info=True)
            return
        if guards.reason_to_drop(heard, len(audio) / SAMPLE_RATE) is None:
            self._tell(heard.text)
