"""Word errors of what was heard against what was said: jiwer behind one named normaliser. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

NORMALISER = "EnglishTextNormalizer of whisper-normalizer"


@dataclass(frozen=True)
class WordErrors:
    words: int = 0
    """Of what was said, normalised."""
    hits: int = 0
    substitutions: int = 0
    insertions: int = 0
    deletions: int = 0

    @property
    def rate(self) -> float:
        wrong = self.substitutions + self.insertions + self.deletions
        return wrong / self.words if self.words else 0.0

    def __add__(self, other: WordErrors) -> WordErrors:
        return WordErrors(
            self.words + other.words,
            self.hits + other.hits,
            self.substitutions + other.substitutions,
            self.insertions + other.insertions,
            self.deletions + other.deletions,
        )


@cache
def _normaliser() -> Callable[[str], str]:
    with warnings.catch_warnings():
        # A docstring of the package's has an invalid escape, said once when it is first compiled.
        warnings.filterwarnings("ignore", "invalid escape sequence")
        from whisper_normalizer.english import EnglishTextNormalizer

    made: Callable[[str], str] = EnglishTextNormalizer()
    return made


def normalised(text: str) -> str:
    return _normaliser()(text).strip()


def count(texts: Sequence[str]) -> int:
    return sum(len(normalised(text).split()) for text in texts)


def compare(said: str, heard: str) -> WordErrors:
    """Errors over one whole answer."""
    reference, hypothesis = normalised(said), normalised(heard)
    if not reference:  # jiwer refuses an empty reference
        return WordErrors(insertions=len(hypothesis.split()))
    found = jiwer.process_words(reference, hypothesis)
    return WordErrors(
        len(reference.split()), found.hits, found.substitutions, found.insertions, found.deletions
    )


def stands_in(said: str, heard: str, share: float = 0.25) -> bool:
    """Whether the words were heard somewhere, with at most this share of them wrong."""
    needle, hay = normalised(said).split(), normalised(heard).split()
    # Edit distance of the needle to the best stretch of the hay: it may begin and end anywhere.
    row = [0] * (len(hay) + 1)
    for place, word in enumerate(needle, 1):
        above, row = row, [place]
        for column, other in enumerate(hay, 1):
            changed = above[column - 1] + (word != other)
            row.append(min(changed, above[column] + 1, row[-1] + 1))
    return min(row) <= share * len(needle)
