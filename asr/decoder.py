"""What the engine needs of a model: one piece at a time, or several in one batch."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from asr.errors import HearingError, RecognitionFailed
from asr.recognition import Audio, Outcome, Piece, Recognition
from asr.segmenter import SAMPLE_RATE

LONGEST_S = 29.5
"""The longest piece: what Whisper hears, and a margin."""


class Decoder(Protocol):
    """A model that takes one piece at a time. Blocking; called by any of the engine's threads."""

    name: str
    compute_type: str

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition: ...


@runtime_checkable
class BatchDecoder(Protocol):
    """A model that takes several. `asr.whisper.Whisper` is one."""

    name: str
    compute_type: str

    def bucket(self, piece: Piece) -> Hashable:
        """Pieces with equal ones fit into one batch. Quick, for it is asked on the event loop.

        May raise a `HearingError` of this piece.
        """
        ...

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        """An outcome for each piece, in order. What it raises is a fault of the whole batch."""
        ...


class OneByOne:
    """A decoder without batches, as one with."""

    def __init__(self, decoder: Decoder) -> None:
        self.name = decoder.name
        self.compute_type = decoder.compute_type
        self._decoder = decoder

    def bucket(self, piece: Piece) -> Hashable:
        return object()  # equal to no other

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        return [self._decode(piece) for piece in pieces]

    def _decode(self, piece: Piece) -> Outcome:
        try:
            return self._decoder.decode(
                piece.audio, language=piece.language, hotwords=piece.hotwords, words=piece.words
            )
        except HearingError as e:
            return e


def batched(decoder: Decoder | BatchDecoder) -> BatchDecoder:
    return decoder if isinstance(decoder, BatchDecoder) else OneByOne(decoder)


def check_audio(audio: Audio) -> None:
    """Refuses what would give nonsense, or harm the batch it is in: raises `RecognitionFailed`."""
    if audio.ndim != 1 or not len(audio):
        raise RecognitionFailed("This piece is empty, or not mono: nothing to recognise.")
    if len(audio) > LONGEST_S * SAMPLE_RATE:
        raise RecognitionFailed(
            f"{len(audio) / SAMPLE_RATE:.1f} s of audio in one piece; at most {LONGEST_S} s."
        )
    if not np.isfinite(audio).all():
        raise RecognitionFailed("This piece holds samples that are not numbers.")


def base_language(tag: str) -> str:
    """`zh-CN` is `zh`: the models know no regions."""
    return tag.replace("_", "-").split("-")[0].lower()
