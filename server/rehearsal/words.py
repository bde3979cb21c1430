"""Word errors of what was heard against what was said: jiwer behind one named normaliser. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import jiwer

NORMALISER = "EnglishTextNormalizer of whisper-normalizer"
SLIPS = 0.25
"""The share of a sentence's words that may be wrong in a sentence that was heard."""
_TAKEN = "|"
"""No word: the normaliser leaves none of it."""


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


def stands_in(said: str, heard: str, share: float = SLIPS) -> bool:
    """Whether the words were heard somewhere, with at most this share of them wrong."""
    needle = normalised(said).split()
    return _best(needle, normalised(heard).split())[0] <= share * len(needle)


def lost_and_doubled(said: Sequence[str], heard: str) -> tuple[list[str], list[str]]:
    """Sentences that were heard less, and that were heard more, often than they were said."""
    left = normalised(heard).split()
    lost = [text for text in said if not _taken(text, left)]
    doubled = [text for text in dict.fromkeys(said) if text not in lost and _taken(text, left)]
    return lost, doubled


def _taken(text: str, left: list[str]) -> bool:
    """Take the sentence once out of what was heard; False if it is not there."""
    needle = normalised(text).split()
    errors, start, end = _best(needle, left)
    if errors > SLIPS * len(needle):
        return False
    left[start:end] = [_TAKEN]
    return True


def _best(needle: Sequence[str], hay: Sequence[str]) -> tuple[int, int, int]:
    """The stretch of the hay nearest to the needle: edit distance, start and end."""
    row = [(0, start) for start in range(len(hay) + 1)]  # it may begin anywhere
    for place, word in enumerate(needle, 1):
        above, row = row, [(place, 0)]
        for column, other in enumerate(hay, 1):
            changed = (above[column - 1][0] + (word != other), above[column - 1][1])
            missed = (above[column][0] + 1, above[column][1])
            added = (row[-1][0] + 1, row[-1][1])
            row.append(min(changed, missed, added, key=lambda way: way[0]))
    end = min(range(len(row)), key=lambda column: row[column][0])
    return row[end][0], row[end][1], end
