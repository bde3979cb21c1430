"""Interim results of speech that is still open: one at a time, and the first thing to be dropped.

An interim is of use until its segment is cut. Then it is cancelled, so that its place at the
recogniser is free for the final; the engine refuses it where anything else waits.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from asr import guards
from asr.errors import HearingError
from asr.recognition import Recognition
from asr.segmenter import SAMPLE_RATE, Pcm, Segmenter

logger = logging.getLogger(__name__)


class Overhearing:
    def __init__(
        self,
        every_s: float | None,
        ask: Callable[[Pcm], Awaitable[Recognition]],
        tell: Callable[[str], None],
    ) -> None:
        """`every_s`: of speech, from one interim to the next; None: none at all."""
        self._every_s = every_s
        self._ask = ask
        self._tell = tell
        self._at = 0  # position of the last one
        self.task: asyncio.Task[None] | None = None
        """The one that is asked for."""

    def look(self, segmenter: Segmenter) -> None:
        """Ask, if one is due."""
        if self._every_s is None or (self.task is not None and not self.task.done()):
            return
        since = max(self._at, segmenter.open_start())
        if segmenter.position - since < self._every_s * SAMPLE_RATE:
            return
        audio = segmenter.open_audio()
        if audio is not None:
            self._at = segmenter.position
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
