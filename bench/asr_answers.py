"""Answers of a wanted length to recognise: espeak's sentences, or recordings of a human voice."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from bench import human_speech, paced_speech
from bench.asr_script import SAMPLE_RATE, Clip, Pcm

LEAD_S = 0.4
"""Silence before the answer."""
TAIL_S = 2.0
PAUSES_S = {"fluent": (0.10, 0.24), "paused": (0.3, 2.0)}
"""Between sentences. Fluent: no voice activity detector takes one for the end."""


def sentences(folder: Path | None) -> list[Pcm]:
    """Of a human voice where a folder of recordings is given; espeak's otherwise."""
    if folder is None:
        return [pcm for _, pcm in paced_speech.clips()]
    return [clip.pcm for clip in human_speech.sentences(human_speech.load(folder))]


def answer(said: Sequence[Pcm], seconds: float, kind: str, seed: int) -> Clip:
    """As near to `seconds` as whole sentences come, from the first voiced sample to the last."""
    rng = random.Random(seed)
    parts: list[Pcm] = [_silence(LEAD_S)]
    places: list[tuple[int, int]] = []
    left = seconds
    while True:
        pause = rng.uniform(*PAUSES_S[kind]) if places else 0.0
        pcm = _fitting(said, left - pause, rng)
        if places and len(pcm) / SAMPLE_RATE / 2 > left - pause:
            break  # with it the answer would be further from its length than without it
        if pause:
            parts.append(_silence(pause))
        start = sum(map(len, parts))
        parts.append(pcm)
        places.append((start, start + len(pcm)))
        left -= pause + len(pcm) / SAMPLE_RATE
    parts.append(_silence(TAIL_S))
    return Clip(human_speech.hissing(np.concatenate(parts), rng), tuple(places))


def _fitting(said: Sequence[Pcm], left_s: float, rng: random.Random) -> Pcm:
    """Any sentence while there is room, the one that fits best at the end."""
    if left_s > 2 * max(map(len, said)) / SAMPLE_RATE:
        return rng.choice(said)
    few = rng.sample(said, min(4, len(said)))
    misses: Callable[[Pcm], float] = lambda pcm: abs(len(pcm) / SAMPLE_RATE - left_s)  # noqa: E731
    return min(few, key=misses)


def _silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE), np.int16)
