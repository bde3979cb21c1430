"""What a checkpoint is measured on: sentences that it never saw, in voices and over lines that it
may not have heard. Each set is a function of its name and size alone."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.rehearsal.training import corpus, digits, mandarin, shards, sound
from asr.rehearsal.training.examples import Example, Held, Line, spoken_test

Text = Callable[[random.Random, int], str]
"""A test's text, from chance and its number in the set."""


@dataclass(frozen=True)
class TestSet:
    text: Text
    held: Held = "variant"
    line: Line = "varied"
    language: str = "en"


def _of(name: str) -> Text:
    return lambda chance, _: corpus.test_sentence(chance, name)


def _free(name: str) -> Text:
    def text(_: random.Random, number: int) -> str:
        sentences = corpus.domain(name).free if name in corpus.WEIGHTS else corpus.free(name)
        return sentences[number % len(sentences)]

    return text


def _words(name: str) -> Text:
    return lambda chance, _: corpus.word_string(chance, names=(name,))


def _two(chance: random.Random, _: int) -> str:
    return " ".join(corpus.test_sentence(chance, "interview") for _ in range(2))


def _digits(chance: random.Random, _: int) -> str:
    count = chance.randint(digits.SHORTEST, digits.LONGEST)
    return f"{digits.spoken(digits.drawn(chance, count), chance).capitalize()}."


def _pin(chance: random.Random, _: int) -> str:
    return f"{digits.spoken(digits.drawn(chance, 8), chance).capitalize()}."


UNKNOWN = "unknown words"
OLD: Mapping[str, TestSet] = {
    "seen voices": TestSet(_of("interview"), "none"),
    "unseen voices": TestSet(_of("interview")),
    "noise 15 dB and Opus": TestSet(_of("interview"), line="noisy"),
    "telephone": TestSet(_of("interview"), line="telephone"),
    "unseen accents": TestSet(_of("interview"), "accent"),
    "two sentences": TestSet(_two),
    "free sentences": TestSet(_free("interview"), line="clean"),
    "random words": TestSet(_words("interview")),
    UNKNOWN: TestSet(_free("unknown"), line="clean"),
}
"""Over the words of the first checkpoint."""
NEW: Mapping[str, TestSet] = {
    "backend": TestSet(_of("backend")),
    "backend, telephone": TestSet(_of("backend"), line="telephone"),
    "backend, free sentences": TestSet(_free("backend"), line="clean"),
    "backend, random words": TestSet(_words("backend")),
    "talk": TestSet(_of("talk")),
    "talk, telephone": TestSet(_of("talk"), line="telephone"),
    "talk, free sentences": TestSet(_free("talk"), line="clean"),
    "digits": TestSet(_digits, line="clean"),
    "digits, telephone": TestSet(_digits, line="telephone"),
    "pin of eight, telephone": TestSet(_pin, "none", "telephone"),
}

MANDARIN: Mapping[str, TestSet] = {
    "Mandarin": TestSet(lambda chance, _: mandarin.sentence(chance), language="zh"),
}
"""For the larger model."""


def made(folder: Path, name: str, count: int) -> list[Example]:
    """So many examples of a set; kept in `folder` for the next checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{''.join(c if c.isalnum() else '-' for c in name)}-{count}.npz"
    if not path.exists():
        test = {**OLD, **NEW, **MANDARIN}[name]
        seed = zlib.crc32(name.encode())
        chance = random.Random(seed)
        texts = [test.text(chance, number) for number in range(count)]
        shards.save(
            [
                spoken_test(text, seed + i, test.held, test.line, language=test.language)
                for i, text in enumerate(texts)
            ],
            path,
        )
    return shards.load(path)


def without_speech(count: int) -> dict[str, list[sound.Samples]]:
    """Ten seconds each of what must give no text."""
    length = 10 * sound.SAMPLE_RATE
    at = np.arange(length) / sound.SAMPLE_RATE
    rngs = [np.random.default_rng([7, number]) for number in range(count)]

    def tone(hertz: float) -> sound.Samples:
        return (0.2 * np.sin(2 * np.pi * hertz * at)).astype(np.float32)

    return {
        "silence": [np.zeros(length, np.float32)],
        "noise": [sound.noise(rng, length) * 0.1 for rng in rngs],
        "hiss": [rng.standard_normal(length, dtype=np.float32) * 1e-3 for rng in rngs],
        "hum": [tone(hertz) for hertz in (50.0, 60.0, 100.0, 120.0)],
        "tones": [tone(float(rng.uniform(200, 3000))) for rng in rngs],
        "others": [sound.without_speech(rng) for rng in rngs],
    }
