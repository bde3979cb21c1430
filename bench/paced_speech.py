"""What paced sessions say: sentences that the rehearsal model knows, by espeak-ng, with pauses.

The script knows for each window whether somebody speaks.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from scipy.signal import resample_poly
from whisper_normalizer.english import EnglishTextNormalizer

from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm
from bench.human_speech import trimmed
from tts.espeak import render

SENTENCES = (
    "I worked as a nurse for five years.",
    "My strongest skill is public speaking.",
    "We finished on time, and the customer stayed with us.",
    "In five years I would like to manage a larger team.",
    "I worked as a teacher for two years.",
    "I would like to manage a team.",
)
VOICES = ("en-us+m3", "en-us+f3")
PAUSES_S = (0.6, 2.0)
AFTER_S = 1.0
"""Silence after the last sentence, so that every segment is cut at a pause."""


@dataclass(frozen=True)
class Speech:
    """What one session says."""

    pcm: Pcm
    voiced: np.ndarray
    """For each window, whether somebody speaks."""
    text: str


def clips(voices: Sequence[str] = VOICES) -> list[tuple[str, Pcm]]:
    made = []
    for text in SENTENCES:
        for voice in voices:
            slow = resample_poly(render(text, voice=voice).astype(np.float64), 2, 3)
            pcm = np.asarray(np.clip(slow, -32_768, 32_767), np.int16)
            made.append((text, trimmed(pcm)))
    return made


def speech(said: Sequence[tuple[str, Pcm]], seconds: float, seed: int) -> Speech:
    """Sentences and pauses; the last sentence is whole, and silence follows it."""
    rng = random.Random(seed)
    parts: list[Pcm] = []
    voiced: list[bool] = []
    texts: list[str] = []
    while len(voiced) * WINDOW < seconds * SAMPLE_RATE:
        text, pcm = rng.choice(said)
        for loud, part in ((False, _silence(rng.uniform(*PAUSES_S))), (True, _whole(pcm))):
            parts.append(part)
            voiced += [loud] * (len(part) // WINDOW)
        texts.append(text)
    parts.append(_silence(AFTER_S))
    voiced += [False] * (len(parts[-1]) // WINDOW)
    return Speech(np.concatenate(parts), np.array(voiced), " ".join(texts))


def word_errors(said: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """Errors, and words that were said."""
    plain = EnglishTextNormalizer()
    found = jiwer.process_words([plain(text) for text in said], [plain(text) for text in heard])
    return (
        found.substitutions + found.deletions + found.insertions,
        found.hits + found.substitutions + found.deletions,
    )


def _silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * SAMPLE_RATE / WINDOW) * WINDOW, np.int16)


def _whole(pcm: Pcm) -> Pcm:
    return np.pad(pcm, (0, -len(pcm) % WINDOW))
