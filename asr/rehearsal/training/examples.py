"""One training example: what is said, how it sounds, and when each word and phoneme is heard.

Every example is a function of its seed alone, so that any shard can be made again by itself.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from asr.rehearsal.training import corpus, digits, mandarin, sound
from asr.rehearsal.training.speech import SILENCE, Manner, Samples
from asr.rehearsal.training.spoken import Span, Speech, cut_end, cut_start, speak

Held = Literal["none", "variant", "accent"]
Line = Literal["clean", "varied", "noisy", "telephone"]

ACCENTS = (*["en-us"] * 5, *["en"] * 4, "en-gb-x-rp", "en-us-nyc", "en-gb-x-gbclan")
VARIANTS = (
    "", "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f3", "f5",
    "Michael", "Andrea", "linda", "max",
)  # fmt: skip
HELD_ACCENTS = ("en-gb-scotland", "en-029")
HELD_VARIANTS = ("m5", "f4", "m8")
MANDARIN = "cmn"
NOBODY = "none"
"""The voice of an example without speech."""
WORD_GAPS = (0, 0, 0, 0, 1, 2)
DIGIT_GAPS = (0, 0, 0, 2, 5, 10, 20, 35)
"""Hundredths of a second: people leave pauses between the digits of a number."""
POSITION_S = 0.02
"""The encoder hears one position for two frames of features."""
FEWEST_FRAMES, MOST_FRAMES = 20, 2950


@dataclass(frozen=True)
class Example:
    """`features` [80, frames] as faster-whisper makes them; `phonemes` one label for each encoder
    position; a sentence that the cut left open ends at -1. Without speech `text` is empty."""

    features: npt.NDArray[np.float16]
    text: str
    words: tuple[Span, ...]
    sentences: tuple[Span, ...]
    phonemes: tuple[str, ...]
    voice: str
    samples: Samples | None = None

    @property
    def frames(self) -> int:
        return int(self.features.shape[1])

    @property
    def spoken(self) -> bool:
        return self.voice != NOBODY

    @property
    def language(self) -> str:
        return "zh" if self.voice.startswith(MANDARIN) else "en"


def manner(
    chance: random.Random,
    held: Held = "none",
    *,
    gaps: Sequence[int] = WORD_GAPS,
    accents: Sequence[str] = ACCENTS,
) -> Manner:
    """A voice of the training, or one that it never hears."""
    accent, variant = chance.choice(accents), chance.choice(VARIANTS)
    if held == "variant":
        accent = accent if accent == MANDARIN else chance.choice(("en-us", "en"))
        variant = chance.choice(HELD_VARIANTS)
    elif held == "accent":
        accent, variant = chance.choice(HELD_ACCENTS), chance.choice(("", "m1", "m3", "f2", "f5"))
    return Manner(
        voice=f"{accent}+{variant}" if variant else accent,
        rate=chance.randint(130, 190),
        pitch=chance.randint(30, 70),
        range=chance.randint(30, 70),
        gap=chance.choice(gaps),
    )


def _gaps(text: str) -> Sequence[int]:
    words = {word.lower() for word in corpus.WORD.findall(text)}
    return DIGIT_GAPS if words <= digits.WORDS else WORD_GAPS


def example(speech: Speech, voice: str, *, keep_samples: bool = False) -> Example:
    features = _features(speech.samples)
    centres = np.arange((features.shape[1] + 1) // 2) * POSITION_S + POSITION_S / 2
    labels = np.full(len(centres), SILENCE, dtype=object)
    for label, at, end in speech.phonemes:
        labels[(centres >= at) & (centres < end)] = label
    return Example(
        features,
        speech.text,
        speech.words,
        speech.sentences,
        tuple(labels.tolist()),
        voice,
        speech.samples if keep_samples else None,
    )


def _features(samples: Samples) -> npt.NDArray[np.float16]:
    # faster-whisper drops the last frame too.
    features: npt.NDArray[np.float16] = _extractor()(samples)[:, :-1].astype(np.float16)
    return features


@cache
def _extractor() -> Any:
    from faster_whisper.feature_extractor import FeatureExtractor

    return FeatureExtractor()


def training_example(seed: int, mandarin_share: float = 0.0) -> Example:
    """The example of this seed. What is too long or too short is drawn again."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    while True:
        made = _drawn(chance, rng, mandarin_share)
        if FEWEST_FRAMES <= made.frames <= MOST_FRAMES:
            return made


def _drawn(chance: random.Random, rng: np.random.Generator, mandarin_share: float) -> Example:
    if chance.random() < 0.05:
        return example(Speech("", sound.without_speech(rng)), NOBODY)
    if mandarin_share and chance.random() < mandarin_share:
        text = mandarin.training_text(chance)
        how = manner(chance, accents=(MANDARIN,))
    else:
        text = corpus.training_text(chance)
        how = manner(chance, gaps=_gaps(text))
    speech = speak(text, how, chance)
    speech = replace(speech, samples=sound.varied(rng, speech.samples))
    drawn = chance.random()
    if drawn < 0.18:
        speech = cut_end(speech, chance)
    elif drawn < 0.25:
        speech = cut_start(speech, chance)
    return example(speech, how.voice)


def spoken_test(text: str, seed: int, held: Held, line: Line, *, language: str = "en") -> Example:
    """With its samples, for they go through the engine."""
    chance, rng = random.Random(seed), np.random.default_rng(seed)
    accents = (MANDARIN,) if language == "zh" else ACCENTS
    how = manner(chance, held, gaps=_gaps(text), accents=accents)
    speech = speak(text, how, chance)
    samples = speech.samples
    if line == "varied":
        samples = sound.varied(rng, samples)
    elif line == "noisy":
        samples = sound.opus(sound.noisy(rng, samples, 15) * 0.5, 24)
    elif line == "telephone":
        samples = sound.telephone(sound.noisy(rng, samples, 25) * 0.5)
    return example(replace(speech, samples=samples), how.voice, keep_samples=True)
