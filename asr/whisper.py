"""Pieces of audio through faster-whisper's model, in a window as long as they need.

It calls the model, not `WhisperModel.transcribe`, which pads all audio to thirty seconds: features
are padded with zeros to the next window length instead. Blocking, without state: for any thread.

Pieces of the same `bucket` are one batch: one window length, one prompt length (CTranslate2 wants
`<|startoftranscript|>` at the same place in every prompt). Languages may differ.
"""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer

from asr import guards
from asr.batch import Batch, Row, encode
from asr.decoder import base_language, check_audio
from asr.errors import (
    DeviceUnavailable,
    HearingError,
    ModelDamaged,
    RecognitionFailed,
    UnknownLanguage,
)
from asr.features import LogMel
from asr.models import check_files
from asr.recognition import Audio, Outcome, Piece, Recognition
from asr.segmenter import SAMPLE_RATE

logger = logging.getLogger(__name__)

FRAMES_PER_S = 100
WINDOWS_S = (5, 7, 10, 12, 15, 20, 25, 30)
"""Few, so that finals share batches."""
INTERIM_WINDOWS_S = tuple(half / 2 for half in range(2, 61))
LONGEST_WINDOW_S = WINDOWS_S[-1]
MARGIN_S = 1.0
"""Silence after the speech. Without it the tiny model lost most words; half a second was enough."""
FLOOR_S = 10.0
"""Shortest window for people's speech; 30 is what Whisper was trained with."""
MAX_PROMPT_TOKENS = 32
PROMPT_STEP = 8
"""Terms are padded to a multiple of it, so that prompts of different plans share a batch."""
TEMPERATURES = (0.0, 0.4, 0.8)
"""Each is tried only if the one before gave an unsure or repetitive text."""


def choose_device(device: str) -> str:
    """`auto` is CUDA where CTranslate2 sees one."""
    cuda = ctranslate2.get_cuda_device_count() > 0
    if device == "auto":
        return "cuda" if cuda else "cpu"
    if device == "cuda" and not cuda:
        raise DeviceUnavailable(
            "No CUDA device is visible to CTranslate2. Use the device cpu (or auto),"
            " or check the driver with nvidia-smi."
        )
    if device not in ("cpu", "cuda"):
        raise DeviceUnavailable(f"The device {device!r} is not one of auto, cpu, cuda.")
    return device


class Whisper:
    def __init__(
        self,
        model_dir: Path,
        *,
        name: str = "",
        device: str = "auto",
        compute_type: str = "default",
        workers: int = 1,
        floor_s: float = FLOOR_S,
        floors: Mapping[str, float] | None = None,
        temperatures: Sequence[float] = TEMPERATURES,
    ) -> None:
        """`floors`: shortest windows of languages that have one of their own."""
        check_files(model_dir)
        self.name = name or model_dir.name
        self.device = choose_device(device)
        self._floor_s = floor_s
        self._floors = dict(floors or {})
        self._temperatures = tuple(temperatures)
        self._whisper = _load(model_dir, self.device, compute_type, workers)
        # What CTranslate2 took, which need not be what was asked for.
        self.compute_type: str = self._whisper.model.compute_type
        self._features = LogMel(self._whisper.feature_extractor)
        self._tokenizer = lru_cache(maxsize=8)(self._make_tokenizer)
        self._prompt = lru_cache(maxsize=256)(self._make_prompt)
        self._warm_up(workers)

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        """`words=False` leaves the word times out, and tries only the first temperature."""
        (outcome,) = self.decode_many([Piece(audio, language, tuple(hotwords), words)])
        if isinstance(outcome, HearingError):
            raise outcome
        return outcome

    def bucket(self, piece: Piece) -> tuple[int, int]:
        """Frames of its window and tokens of its prompt: pieces that share them are a batch."""
        language = base_language(piece.language)
        frames = len(piece.audio) // (SAMPLE_RATE // FRAMES_PER_S) + 1
        floor_s = self._floors.get(language, self._floor_s)
        # Interims are never in a batch with others, and are many: half seconds are a sixth less.
        windows = WINDOWS_S if piece.words else INTERIM_WINDOWS_S
        window = window_s(frames / FRAMES_PER_S, floor_s, windows) * FRAMES_PER_S
        return round(window), len(self._prompt(language, piece.hotwords))

    def decode_many(self, pieces: Sequence[Piece]) -> list[Outcome]:
        """An outcome for each piece, in order. What it raises is a fault of the whole batch."""
        outcomes: dict[int, Outcome] = {}
        buckets: dict[tuple[int, int], list[Row]] = {}
        for at, piece in enumerate(pieces):
            try:
                check_audio(piece.audio)
                buckets.setdefault(self.bucket(piece), []).append(self._row(at, piece))
            except HearingError as e:
                outcomes[at] = e
        for (window, _), rows in buckets.items():
            batch = Batch(self._whisper, rows, window)
            if not any(pieces[row.at].wanted() for row in rows):
                # An interim whose segment was cut meanwhile: the final is waiting behind it.
                outcomes |= {row.at: RecognitionFailed("Nobody waits for it.") for row in rows}
                continue
            heard = batch.recognise(self._temperatures)
            outcomes |= {row.at: one for row, one in zip(rows, heard, strict=True)}
        return [outcomes[at] for at in range(len(pieces))]

    def _row(self, at: int, piece: Piece) -> Row:
        language = base_language(piece.language)
        return Row(
            at,
            self._features(piece.audio),
            self._tokenizer(language),
            self._prompt(language, piece.hotwords),
            piece.words,
        )

    def _make_prompt(self, language: str, hotwords: tuple[str, ...]) -> tuple[int, ...]:
        tokenizer = self._tokenizer(language)
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        terms: list[int] = []
        for term in hotwords:
            # A term may spell a special token, which the tokenizer would then make of it.
            text = guards.plain(term)
            more = [
                t for t in tokenizer.encode(f"{',' if terms else ''} {text}") if t < tokenizer.eot
            ]
            if len(terms) + len(more) <= MAX_PROMPT_TOKENS:
                terms += more
        if not terms:
            return tuple(start)
        # Spaces before the first term say nothing, where more terms could be said after them.
        padding = tokenizer.encode(" ")[:1] * (-len(terms) % PROMPT_STEP)
        return (tokenizer.sot_prev, *padding, *terms, *start)

    def _make_tokenizer(self, language: str) -> Tokenizer:
        multilingual = self._whisper.model.is_multilingual
        hf = self._whisper.hf_tokenizer
        known = hf.token_to_id(f"<|{language}|>") is not None if multilingual else language == "en"
        if not known:
            raise UnknownLanguage(f"The model {self.name} does not know the language {language!r}.")
        try:
            return Tokenizer(hf, multilingual, task="transcribe", language=language)
        except ValueError as e:
            raise UnknownLanguage(str(e)) from e

    def decode_in(self, piece: Piece, window_s: float) -> Recognition:
        """At the first temperature, in a window of this length whatever the floor: to measure."""
        check_audio(piece.audio)
        row = self._row(0, replace(piece, words=False))
        (heard,) = Batch(self._whisper, [row], round(window_s * FRAMES_PER_S)).recognise((0.0,))
        return heard

    def knows(self, language: str) -> bool:
        try:
            self._tokenizer(base_language(language))
        except UnknownLanguage:
            return False
        return True

    def _warm_up(self, workers: int) -> None:
        """Encoder, decoder and alignment, in as many threads as will call: the first call of each
        allocates, and CUDA's libraries are looked for only then."""
        try:
            with ThreadPoolExecutor(workers) as threads:
                list(threads.map(self._hear_noise, range(workers)))
        except FloatingPointError as e:
            raise DeviceUnavailable(
                f"The model {self.name} overflows in {self.compute_type} on {self.device}."
                " Set VIVA_ASR_COMPUTE_TYPE to another, such as float32."
            ) from e
        except RuntimeError as e:
            if self.device == "cpu":
                raise ModelDamaged(f"The model {self.name} does not compute: {e}") from e
            raise DeviceUnavailable(f"CUDA does not work here: {e}. Use the device cpu.") from e

    def _hear_noise(self, seed: int) -> None:
        noise = np.random.default_rng(seed).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        if not self.knows("en"):
            encode(self._whisper.model, self._features(noise)[np.newaxis])
            return
        window = window_s(1.0, self._floor_s) * FRAMES_PER_S
        Batch(self._whisper, [self._row(0, Piece(noise, "en"))], round(window)).warm_up()


def window_s(seconds: float, floor_s: float, windows: Sequence[float] = WINDOWS_S) -> float:
    """The shortest window that holds so much audio and its margin, and is no shorter than that."""
    needed = max(floor_s, seconds + MARGIN_S)
    return next((w for w in windows if w >= needed), LONGEST_WINDOW_S)


def _load(model_dir: Path, device: str, compute_type: str, workers: int) -> WhisperModel:
    try:
        whisper = WhisperModel(
            str(model_dir),
            device=device,
            compute_type=compute_type,
            cpu_threads=1,  # two threads a call are slower than two calls of one thread
            num_workers=workers,
            local_files_only=True,
        )
    except ValueError as e:  # a compute type that this device does not offer
        raise DeviceUnavailable(f"{model_dir.name} on {device}: {e}") from e
    except Exception as e:  # tokenizers and CTranslate2 raise plain Exception for a broken file
        raise ModelDamaged(
            f"The model in {model_dir} does not load: {e}. Fetch it again: viva models fetch"
        ) from e
    mels = whisper.feature_extractor.mel_filters.shape[0]
    if mels != whisper.model.n_mels:
        raise ModelDamaged(
            f"{model_dir} wants {whisper.model.n_mels} mel bands and its preprocessor_config.json"
            f" says {mels}: that file is missing or from another model."
        )
    return whisper
