"""The words of one window of features, as CTranslate2 and its alignment would give them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from bench.asr_script import HeardToken

TIMES_PER_S = 50
"""Whisper's time tokens, and the steps of its alignment."""
LONGEST_S = 30


@dataclass(frozen=True)
class Row:
    seconds: float
    """Of audio in the window."""
    heard: tuple[HeardToken, ...]
    """Times from the window's start."""
    whole: bool
    """The audio ends in this window."""


@dataclass(frozen=True)
class HeardAudio:
    """Audio that was made into features."""

    features: np.ndarray
    seconds: float
    tokens: list[HeardToken]


@dataclass(frozen=True)
class Generated:
    sequences_ids: list[list[int]]
    scores: list[float] = field(default_factory=lambda: [-0.1])
    no_speech_prob: float = 0.01


def result(tokens: list[int]) -> Generated:
    return Generated([tokens])


def cut(heard: HeardAudio, start_s: float, window_s: float) -> Row:
    """The words of one window, timed from its start."""
    left_s = max(heard.seconds - start_s, 0.0)
    end_s = start_s + min(window_s, left_s)
    words = tuple(
        HeardToken(
            max(word.start_s - start_s, 0.0),
            min(word.end_s, end_s) - start_s,
            word.sentence,
            word.token,
        )
        for word in heard.tokens
        if start_s <= (word.start_s + word.end_s) / 2 < end_s
    )
    return Row(min(window_s, left_s), words, left_s <= window_s)


def with_times(row: Row, first_time: int) -> list[int]:
    """As Whisper writes it: each sentence between two times; one that goes on has no second."""
    tokens: list[int] = []
    sentences = sorted({word.sentence for word in row.heard})
    for sentence in sentences:
        words = [word for word in row.heard if word.sentence == sentence]
        tokens.append(first_time + _step(words[0].start_s))
        tokens += [word.token for word in words]
        if row.whole or sentence != sentences[-1]:
            tokens.append(first_time + max(_step(words[-1].end_s), _step(words[0].start_s) + 1))
    return tokens


def _step(seconds: float) -> int:
    return min(round(seconds * TIMES_PER_S), LONGEST_S * TIMES_PER_S)


def aligned(row: Row, text: Sequence[int]) -> SimpleNamespace:
    """A time for each token, and for the end."""
    starts = [_step(word.start_s) for word in row.heard][: len(text)]
    end = _step(row.heard[len(text) - 1].end_s) if row.heard else 0
    pairs = [*enumerate(starts), (len(text), end)]
    return SimpleNamespace(alignments=pairs, text_token_probs=[0.9] * len(text))
