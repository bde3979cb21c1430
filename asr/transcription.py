"""What `viva transcribe` writes of one recording as JSON: its schema.

Times are seconds since the recording's first sample. Words that the guards dropped are not in it,
only when and why.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Reason = Literal["no_speech", "repetition", "impossible_rate", "unintelligible", "failed"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Word(_Model):
    text: str
    start: float
    end: float
    confidence: float | None = Field(
        default=None, ge=0, le=1, description="Null where the model gives none."
    )


class TextSegment(_Model):
    """One piece of speech, as it was cut and recognised."""

    start: float
    end: float
    speaker: str | None = Field(description="Null where all channels were mixed, or no name given.")
    text: str
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Geometric mean of the tokens' probabilities; null where the model gives none.",
    )
    low_confidence: bool
    words: tuple[Word, ...]


class DroppedSegment(_Model):
    """Sound that was taken for speech and gave no words."""

    start: float
    end: float
    speaker: str | None
    reason: Reason = Field(
        description="no_speech, repetition, impossible_rate, unintelligible: a guard kept invented"
        " words out. failed: it could not be recognised."
    )
    detail: str | None = Field(default=None, description="Why it failed.")


class Transcription(_Model):
    """One recording."""

    schema_version: Literal["1.0"] = "1.0"
    file: str = Field(description="As it was named.")
    seconds: float
    language: str
    model: str
    compute_type: str | None = Field(description="How the model's weights are held.")
    channels: Literal["split", "mix"] = Field(
        description="split: one speaker a channel; mix: everything was heard as one channel."
    )
    speakers: tuple[str | None, ...] = Field(description="One for each channel that was heard.")
    complete: bool = Field(description="All of the file was read, and all of its speech.")
    problems: tuple[str, ...] = Field(description="Why it is not complete, in sentences.")
    dropped_segments: int
    dropped: tuple[DroppedSegment, ...]
    segments: tuple[TextSegment, ...] = Field(description="By their start.")
