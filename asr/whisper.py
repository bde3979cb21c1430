"""One piece of audio through faster-whisper's model, in a window as long as it needs.

It calls the model, not `WhisperModel.transcribe`, which pads all audio to thirty seconds: features
are padded with zeros to the next window length instead. Blocking, without state: for any thread.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_ctranslate2_storage

from asr import guards
from asr.errors import DeviceUnavailable, ModelDamaged, RecognitionFailed, UnknownLanguage
from asr.features import LogMel
from asr.models import check_files
from asr.recognition import Audio, HeardWord, Recognition

logger = logging.getLogger(__name__)

SAMPLE_RATE = 16_000
FRAMES_PER_S = 100
WINDOWS_S = (5, 7, 10, 12, 15, 20, 25, 30)
MARGIN_S = 1.0
"""Silence after the speech. Without it the tiny model lost most words; half a second was enough."""
FLOOR_S = 10.0
"""Shortest window for people's speech; 30 is what Whisper was trained with."""
LONGEST_S = 29.5
MAX_NEW_TOKENS = 120
MAX_PROMPT_TOKENS = 32
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
        temperatures: Sequence[float] = TEMPERATURES,
    ) -> None:
        check_files(model_dir)
        self.name = name or model_dir.name
        self.device = choose_device(device)
        self._floor_s = floor_s
        self._temperatures = tuple(temperatures)
        self._whisper = _load(model_dir, self.device, compute_type, workers)
        # What CTranslate2 took, which need not be what was asked for.
        self.compute_type: str = self._whisper.model.compute_type
        self._features = LogMel(self._whisper.feature_extractor)
        self._tokenizer = lru_cache(maxsize=8)(self._make_tokenizer)
        self._warm_up()

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition:
        """`words=False` leaves the word times out, and tries only the first temperature."""
        if len(audio) > LONGEST_S * SAMPLE_RATE:
            raise RecognitionFailed(
                f"{len(audio) / SAMPLE_RATE:.1f} s of audio in one piece; at most {LONGEST_S} s."
            )
        tokenizer = self._tokenizer(base_language(language))
        prompt = self._prompt(tokenizer, hotwords)
        encoded, frames = self._encode(audio)
        best, tokens = self._best(encoded, prompt, tokenizer, words)
        if not words or not best.text:
            return best
        return replace(best, words=self._words(tokenizer, tokens, encoded, frames))

    def _encode(self, audio: Audio) -> tuple[Any, int]:
        features = self._features(audio)
        frames = min(features.shape[1], 30 * FRAMES_PER_S)
        window = np.zeros((1, features.shape[0], self._window(frames)), np.float32)
        frames = min(frames, window.shape[2])
        window[0, :, :frames] = features[:, :frames]
        return self._whisper.model.encode(get_ctranslate2_storage(window)), frames

    def _window(self, frames: int) -> int:
        """Frames of the shortest window that holds the audio and its margin."""
        needed = max(self._floor_s, frames / FRAMES_PER_S + MARGIN_S)
        return next((w for w in WINDOWS_S if w >= needed), 30) * FRAMES_PER_S

    def _best(
        self, encoded: Any, prompt: list[int], tokenizer: Tokenizer, retry: bool
    ) -> tuple[Recognition, list[int]]:
        tried: list[tuple[Recognition, list[int]]] = []
        for temperature in self._temperatures if retry else self._temperatures[:1]:
            attempt = self._generate(encoded, prompt, tokenizer, temperature)
            if not guards.unsure(attempt[0]):
                return attempt
            tried.append(attempt)
        return max(tried, key=lambda a: (not guards.repetitive(a[0].text), a[0].avg_logprob))

    def _generate(
        self, encoded: Any, prompt: list[int], tokenizer: Tokenizer, temperature: float
    ) -> tuple[Recognition, list[int]]:
        result = self._whisper.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 counts the prompt in, and halves the length.
            max_length=min(448, max(2 * MAX_NEW_TOKENS, len(prompt) + MAX_NEW_TOKENS)),
            return_scores=True,
            return_no_speech_prob=True,
            sampling_topk=1 if temperature == 0 else 0,
            sampling_temperature=temperature or 1.0,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        n = len(result.sequences_ids[0])
        score = result.scores[0] * n / (n + 1)
        recognition = Recognition(
            text=guards.plain(tokenizer.decode(tokens)),
            language=tokenizer.language_code,
            avg_logprob=score if math.isfinite(score) else 0.0,  # empty text scores -inf
            no_speech_prob=result.no_speech_prob,
            temperature=temperature,
        )
        return recognition, tokens

    def _words(
        self, tokenizer: Tokenizer, tokens: list[int], encoded: Any, frames: int
    ) -> tuple[HeardWord, ...]:
        (aligned,) = self._whisper.find_alignment(tokenizer, [tokens], encoded, frames)
        words: list[HeardWord] = []
        for item in aligned:
            text = guards.plain(item["word"])
            start, end = float(item["start"]), float(item["end"])
            if words and not guards.units(text):  # punctuation stands with the word before it
                last = words[-1]
                words[-1] = replace(last, text=last.text + text, end_s=end)
            elif text:
                words.append(HeardWord(text, start, end, float(item["probability"])))
        return tuple(words)

    def _prompt(self, tokenizer: Tokenizer, hotwords: Sequence[str]) -> list[int]:
        start = [*tokenizer.sot_sequence, tokenizer.no_timestamps]
        terms: list[int] = []
        for term in hotwords:
            # A term may spell a special token, which the tokenizer would then make of it.
            text = guards.plain(term)
            more = [
                t for t in tokenizer.encode(f"{',' if terms else ''} {text}") if t < tokenizer.eot
            ]
            if len(terms) + len(more) > MAX_PROMPT_TOKENS:
                break
            terms += more
        return [tokenizer.sot_prev, *terms, *start] if terms else start

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

    def _warm_up(self) -> None:
        """The first call allocates; and CUDA's libraries are looked for only then."""
        try:
            encoded, _ = self._encode(np.zeros(SAMPLE_RATE, np.float32))
            self._whisper.model.detect_language(encoded)
        except RuntimeError as e:
            if self.device == "cpu":
                raise ModelDamaged(f"The model {self.name} does not compute: {e}") from e
            raise DeviceUnavailable(f"CUDA does not work here: {e}. Use the device cpu.") from e


def base_language(tag: str) -> str:
    """`zh-CN` is `zh`: Whisper knows no regions."""
    return tag.replace("_", "-").split("-")[0].lower()


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
