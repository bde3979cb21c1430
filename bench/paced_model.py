"""The model of paced sessions: which one, watched, and held to as much text as the audio asks for.

Weights of noise would say anything, or nothing: they decode three tokens for each second of audio.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel

from asr import rehearsal
from asr.decoder import BatchDecoder
from asr.recognition import Audio, Outcome, Piece
from asr.segmenter import SAMPLE_RATE
from asr.whisper import FLOOR_S, TEMPERATURES

TOKENS_PER_S = 3


@dataclass(frozen=True)
class Model:
    folder: Path = rehearsal.MODEL_DIR
    floor_s: float = rehearsal.FLOOR_S
    noise: bool = False
    """Its weights know nothing."""
    device: str = "cpu"
    compute_type: str = "int8"
    workers: int = 0
    """Batches at a time; 0 is one for each core. As `max_batch`, it is the engine's."""
    max_batch: int = 0
    """0: as the engine has it for the device."""

    @classmethod
    def of(cls, folder: Path | None) -> "Model":
        return cls() if folder is None else cls(folder, FLOOR_S, noise=True)

    @property
    def name(self) -> str:
        return self.folder.name if self.noise else "rehearsal"

    @property
    def temperatures(self) -> tuple[float, ...]:
        return TEMPERATURES[:1] if self.noise else TEMPERATURES


class Forced:
    """CTranslate2's model, whose texts are as long as the audio asks for."""

    def __init__(self, model: Any, end: int) -> None:
        self._model = model
        self._end = end
        self._audio = threading.local()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def hear(self, seconds: float) -> None:
        """The next call of this thread is of so much audio."""
        self._audio.seconds = seconds

    def generate(self, features: Any, prompts: Any, **options: Any) -> Any:
        tokens = max(1, round(TOKENS_PER_S * self._audio.seconds))
        options |= {
            "max_length": max(2 * tokens, len(prompts[0]) + tokens),
            "suppress_tokens": [self._end],
        }
        return self._model.generate(features, prompts, **options)


def force(whisper: WhisperModel) -> Forced:
    end = whisper.hf_tokenizer.token_to_id("<|endoftext|>")
    whisper.model = forced = Forced(whisper.model, end)
    return forced


class Watched:
    """A decoder that tells when each piece's turn came, and how large the batches are."""

    def __init__(self, inner: BatchDecoder, forced: Forced | None) -> None:
        self.name, self.compute_type, self.bucket = inner.name, inner.compute_type, inner.bucket
        self.begun: dict[int, float] = {}
        self.batches: Counter[int] = Counter()
        self.spans: list[tuple[float, float]] = []
        """Of each batch, how long it took and what CPU its thread used, in seconds."""
        self.features_s: list[float] = []
        """CPU seconds for the features of each piece, of those."""
        self._inner = inner
        self._forced = forced

    def metered(self, extract: Callable[[Audio], Any]) -> Callable[[Audio], Any]:
        def metered(audio: Audio) -> Any:
            cpu = time.thread_time()
            features = extract(audio)
            self.features_s.append(time.thread_time() - cpu)
            return features

        return metered

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        now, cpu = time.monotonic(), time.thread_time()
        self.batches[len(pieces)] += 1
        self.begun |= {id(piece.audio): now for piece in pieces}
        if self._forced is not None:
            self._forced.hear(max(len(piece.audio) for piece in pieces) / SAMPLE_RATE)
        outcomes = self._inner.decode_many(pieces)
        self.spans.append((time.monotonic() - now, time.thread_time() - cpu))
        return outcomes
