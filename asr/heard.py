"""What the session is told of each segment of speech, whatever became of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from asr import guards
from asr.recognition import HeardWord, Recognition
from asr.segmenter import SAMPLE_RATE, Segment

Verdict = Literal["ok", "low_confidence", "dropped", "backchannel", "failed"]


@dataclass(frozen=True)
class HeardSegment:
    """Times are seconds since the stream's first sample; add `stream_started_at` for wall time."""

    text: str
    """Empty unless the verdict is ok, low_confidence or backchannel."""
    start_s: float
    end_s: float
    confidence: float | None
    """0 to 1: the geometric mean of the tokens' probabilities; None where the model gives none."""
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


def judge(
    segment: Segment,
    result: Recognition | str,
    *,
    language: str,
    low_confidence_logprob: float,
    stream_started_at: float,
) -> HeardSegment:
    """`result` is the recognition, or why there is none."""
    heard = HeardSegment(
        text="",
        start_s=segment.onset / SAMPLE_RATE,
        end_s=segment.voice_end / SAMPLE_RATE,
        confidence=0.0,
        no_speech_prob=0.0,
        words=(),
        language=language,
        verdict="failed",
        dropped_reason=None,
        stream_started_at=stream_started_at,
    )
    if isinstance(result, str):
        return replace(heard, dropped_reason=result)
    heard = replace(heard, no_speech_prob=result.no_speech_prob)
    reason = guards.reason_to_drop(result, heard.end_s - heard.start_s)
    if reason is not None:
        return replace(heard, verdict="dropped", dropped_reason=reason)
    logprob = result.avg_logprob
    sure = logprob is None or logprob >= low_confidence_logprob
    return replace(
        heard,
        text=result.text,
        confidence=None if logprob is None else min(1.0, math.exp(logprob)),
        words=_placed(result.words, segment),
        verdict="ok" if sure else "low_confidence",
    )


def _placed(words: Sequence[HeardWord], segment: Segment) -> tuple[HeardWord, ...]:
    """In seconds of the stream, and inside the speech: the first word's start is the audio's."""
    low, high = segment.onset / SAMPLE_RATE, segment.voice_end / SAMPLE_RATE
    shift = segment.start / SAMPLE_RATE
    placed = [
        replace(
            w,
            start_s=min(max(w.start_s + shift, low), high),
            end_s=min(max(w.end_s + shift, low), high),
        )
        for w in words
    ]
    if placed:
        placed[-1] = replace(placed[-1], end_s=high)
    return tuple(placed)
