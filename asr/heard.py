"""What the session is told of each segment of speech, whatever became of it."""

from dataclasses import dataclass
from typing import Literal

from asr.recognition import HeardWord

Verdict = Literal["ok", "low_confidence", "dropped", "backchannel", "failed"]


@dataclass(frozen=True)
class HeardSegment:
    """Times are seconds since the stream's first sample; add `stream_started_at` for wall time."""

    text: str
    """Empty unless the verdict is ok, low_confidence or backchannel."""
    start_s: float
    end_s: float
    confidence: float
    """0 to 1: the geometric mean of the tokens' probabilities."""
    no_speech_prob: float
    words: tuple[HeardWord, ...]
    language: str
    verdict: Verdict
    dropped_reason: str | None
    stream_started_at: float
    """`time.time()` at the stream's first sample."""


@dataclass(frozen=True)
class Pending:
    """What of a stream is not yet said in a final."""

    open: bool
    """Someone is speaking, or the pause is too short to tell."""
    recognising: int
    """Segments at the recogniser."""
    unfinished: bool
    """Text without its final."""

    @property
    def settled(self) -> bool:
        return not (self.open or self.recognising or self.unfinished)
