"""One batch through the model: encode once, try what is unsure again, align the words.

Everything in it has one window length and one prompt length (`asr/whisper.py` sees to that), and
each row keeps its own language, score, no-speech probability and words.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import WhisperModel
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_ctranslate2_storage

from asr import guards
from asr.recognition import HeardWord, Recognition

Features = npt.NDArray[np.float32]

MAX_NEW_TOKENS = 120


@dataclass(frozen=True, eq=False)
class Row:
    """A piece of audio made ready."""

    at: int
    """Its place among the pieces that were asked for."""
    features: Features
    """(bands, frames)"""
    tokenizer: Tokenizer
    prompt: tuple[int, ...]
    words: bool
    """Whether it gets word times, and other temperatures where the first text is unsure."""


@dataclass(frozen=True)
class _Attempt:
    heard: Recognition
    tokens: list[int]


class Batch:
    def __init__(self, whisper: WhisperModel, rows: Sequence[Row], window: int) -> None:
        """`window`: frames for each row; what is longer is cut off."""
        self._whisper = whisper
        self._rows = rows
        self._frames = [min(row.features.shape[1], window) for row in rows]
        self._windows = np.zeros((len(rows), rows[0].features.shape[0], window), np.float32)
        for padded, row, frames in zip(self._windows, rows, self._frames, strict=True):
            padded[:, :frames] = row.features[:, :frames]
        self._encoded = encode(whisper.model, self._windows)

    def recognise(self, temperatures: Sequence[float]) -> list[Recognition]:
        best = self._best(temperatures)
        words = self._words(best)
        return [replace(b.heard, words=words.get(i, ())) for i, b in enumerate(best)]

    def warm_up(self) -> None:
        """Every call that a recognition makes, whatever the rows hold."""
        every = range(len(self._rows))
        self._generate(every, 0.0)
        first = self._rows[0].tokenizer
        tokens = [token for token in first.encode(" yes") if token < first.eot]
        self._whisper.find_alignment(first, [tokens for _ in every], self._of(every), self._frames)

    def _best(self, temperatures: Sequence[float]) -> list[_Attempt]:
        tried: list[list[_Attempt]] = [[] for _ in self._rows]
        for temperature in temperatures:
            left = [
                i
                for i, row in enumerate(self._rows)
                if not tried[i] or (row.words and guards.unsure(tried[i][-1].heard))
            ]
            if not left:
                break
            for i, attempt in zip(left, self._generate(left, temperature), strict=True):
                tried[i].append(attempt)
        return [_best_of(attempts) for attempts in tried]

    def _generate(self, places: Sequence[int], temperature: float) -> list[_Attempt]:
        rows = [self._rows[i] for i in places]
        results = self._whisper.model.generate(
            self._of(places),
            [list(row.prompt) for row in rows],
            beam_size=1,
            # CTranslate2 counts the prompt in, and halves the length.
            max_length=min(448, max(2 * MAX_NEW_TOKENS, len(rows[0].prompt) + MAX_NEW_TOKENS)),
            return_scores=True,
            return_no_speech_prob=True,
            sampling_topk=1 if temperature == 0 else 0,
            sampling_temperature=temperature or 1.0,
        )
        return [
            _attempt(result, row.tokenizer, temperature)
            for result, row in zip(results, rows, strict=True)
        ]

    def _words(self, best: Sequence[_Attempt]) -> dict[int, tuple[HeardWord, ...]]:
        """By place in the batch. The alignment takes one language at a time."""
        languages: dict[str, list[int]] = {}
        for i, row in enumerate(self._rows):
            if row.words and best[i].heard.text:
                languages.setdefault(row.tokenizer.language_code, []).append(i)
        words: dict[int, tuple[HeardWord, ...]] = {}
        for places in languages.values():
            aligned = self._whisper.find_alignment(
                self._rows[places[0]].tokenizer,
                [best[i].tokens for i in places],
                self._of(places),
                [self._frames[i] for i in places],
            )
            words |= {i: _joined(one) for i, one in zip(places, aligned, strict=True)}
        return words

    def _of(self, places: Sequence[int]) -> Any:
        """The encoder's output for some rows, in ascending order."""
        if len(places) == len(self._rows):
            return self._encoded
        if self._encoded.device == "cpu" and self._encoded.dtype == ctranslate2.DataType.float32:
            return get_ctranslate2_storage(np.asarray(self._encoded)[places])
        # CTranslate2 takes no rows out of what lies on a GPU, where encoding again costs little.
        return encode(self._whisper.model, self._windows[places])


def encode(model: Any, windows: Features) -> Any:
    return model.encode(get_ctranslate2_storage(windows))


def _attempt(result: Any, tokenizer: Tokenizer, temperature: float) -> _Attempt:
    tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
    text = guards.plain(tokenizer.decode(tokens))
    n = len(result.sequences_ids[0])
    score = result.scores[0] * n / (n + 1)
    if text and not math.isfinite(score):
        # Numbers that overflowed, in half precision: the text is then a row of "!", and would
        # count as certain.
        raise FloatingPointError("the model's score of a text is not a number")
    recognition = Recognition(
        text=text,
        language=tokenizer.language_code,
        avg_logprob=score if text else 0.0,  # empty text scores -inf
        no_speech_prob=result.no_speech_prob,
        temperature=temperature,
    )
    return _Attempt(recognition, tokens)


def _best_of(tried: Sequence[_Attempt]) -> _Attempt:
    if not guards.unsure(tried[-1].heard):
        return tried[-1]
    return max(tried, key=_quality)


def _quality(tried: _Attempt) -> tuple[bool, float]:
    return not guards.repetitive(tried.heard.text), tried.heard.avg_logprob or 0.0


def _joined(aligned: Sequence[dict[str, Any]]) -> tuple[HeardWord, ...]:
    """Words as they are written: punctuation stands with the word before it."""
    words: list[HeardWord] = []
    for item in aligned:
        text = guards.plain(item["word"])
        start, end = float(item["start"]), float(item["end"])
        if words and not guards.units(text):
            last = words[-1]
            words[-1] = replace(last, text=last.text + text, end_s=end)
        elif text:
            words.append(HeardWord(text, start, end, float(item["probability"])))
    return tuple(words)
