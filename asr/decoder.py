"""What the engine needs of a model: one piece at a time, or several in one batch."""

from collections.abc import Hashable, Sequence
from typing import Protocol, runtime_checkable

from asr.errors import HearingError
from asr.recognition import Audio, Outcome, Piece, Recognition


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
