"""One stream of speech: windows in; segments recognised, judged and told in order, and interims.

What a session's stream (`asr.stream`) and one of the service (`asr.service.stream`) have in common.
It knows neither LiveKit nor the wire, and no clock but for the pause before a retry.

Finals have no deadline. An answer that comes after its turn has ended (the gate waits three
seconds) still stands in the transcript and is graded, so a final is never too late to matter: one
that was refused for its lateness would be an answer lost. Where the recogniser has too much to do
it refuses, and is asked again after growing pauses; it is interims that give way.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from asr.decoder import base_language
from asr.emission import Emitter
from asr.errors import HearingError, NoAnswer, Overloaded
from asr.heard import HeardSegment, judge
from asr.in_order import InOrder
from asr.overhearing import Overhearing, patience
from asr.recognition import Recognition
from asr.segmenter import Pcm, Segment, Segmenter, SegmenterOptions

logger = logging.getLogger(__name__)

TRIES = 2
"""With the same audio, of whatever fails."""
OVERLOAD_TRIES = 6
"""With pauses that double: from half a second on, fifteen seconds in all. The engine refuses what
would wait for more than eight."""


@dataclass(frozen=True)
class ListeningOptions:
    language: str
    segmenter: SegmenterOptions = field(default_factory=SegmenterOptions)
    final_after_s: float = 0.4
    """Silence before what was said is given out as final."""
    interim_every_s: float | None = 1.0
    """None: no interims."""
    retry_after_s: float = 0.5
    low_confidence_logprob: float = -0.7


class Ear(Protocol):
    """Whose stream it is."""

    async def ask(self, audio: Pcm, *, interim: bool) -> Recognition: ...
    def heard(self, piece: int, segment: Segment, heard: HeardSegment) -> None:
        """In order; what is said of it comes with the next `emit`."""
        ...

    def emit(self) -> None:
        """Something may be due."""
        ...


class Listening:
    def __init__(self, options: ListeningOptions, ear: Ear) -> None:
        self._o = options
        self._ear = ear
        self.segmenter = Segmenter(options.segmenter)
        self.emitter = Emitter(
            language=base_language(options.language), final_after_s=options.final_after_s
        )
        self.results: InOrder[tuple[int, Segment], Recognition | str] = InOrder(
            self._told, ear.emit
        )
        self.interims = Overhearing(
            options.interim_every_s, lambda audio: ear.ask(audio, interim=True), self._overheard
        )
        self._pieces = 0
        self.started_at = 0.0
        """`time.time()` at the stream's first sample."""

    @property
    def patience(self) -> int:
        """Windows that may be gathered before the VAD is needed: see `patience`."""
        return patience(self.segmenter, self.interims.cadence)

    def push(self, window: Pcm, probability: float) -> bool:
        """Whether a segment was cut."""
        segment = self.segmenter.push(window, probability)
        if segment is not None:
            self._recognise(segment)
        return segment is not None

    def flush(self) -> None:
        """Cut here, whatever is being said."""
        segment = self.segmenter.flush()
        if segment is not None:
            self._recognise(segment)
        self._ear.emit()

    def close(self) -> None:
        self.results.cancel()
        self.interims.cut()

    def _recognise(self, segment: Segment) -> None:
        self.interims.cut()
        piece, self._pieces = self._pieces, self._pieces + 1
        self.emitter.cut(piece)
        result = outcome(
            lambda: self._ear.ask(segment.audio, interim=False),
            retry_after_s=self._o.retry_after_s,
        )
        self.results.add((piece, segment), asyncio.create_task(result))

    def _told(self, what: tuple[int, Segment], result: Recognition | str) -> None:
        piece, segment = what
        heard = judge(
            segment,
            result,
            language=base_language(self._o.language),
            low_confidence_logprob=self._o.low_confidence_logprob,
            stream_started_at=self.started_at,
        )
        self.emitter.heard(piece, heard.text)
        self._ear.heard(piece, segment, heard)

    def _overheard(self, text: str) -> None:
        self.emitter.overheard(text)
        self._ear.emit()


async def outcome(
    ask: Callable[[], Awaitable[Recognition]], *, retry_after_s: float
) -> Recognition | str:
    """The recognition, or why there is none."""
    tried, pause_s = 0, retry_after_s
    while True:
        tried += 1
        try:
            return await ask()
        except NoAnswer as e:
            reason, tries = str(e), 1
        except Overloaded as e:
            reason, tries = str(e), OVERLOAD_TRIES
        except HearingError as e:
            reason, tries = str(e), TRIES
        except Exception as e:
            # Any engine may stand behind the protocol; a segment is lost, the stream is not.
            logger.exception("a segment could not be recognised")
            reason, tries = f"{type(e).__name__}: {e}", TRIES
        logger.warning("a segment, attempt %d of %d: %s", tried, tries, reason)
        if tried >= tries:
            return reason
        await asyncio.sleep(pause_s)
        pause_s *= 2
