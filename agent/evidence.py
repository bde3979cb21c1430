"""Whether a quote stands in what was said, and when it was said. Pure; knows nothing of models.

A quote stands if it occurs in the utterance letter for letter, apart from white space and the shape
of quotation marks, and neither starts nor ends inside a word. What is kept is the utterance's own
substring, never the model's copy of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

QUOTE_MARKS = dict.fromkeys("“”„‟«»「」『』＂", '"') | dict.fromkeys("‘’‚‛`´＇", "'")
_WRAPPING = "\"'"


class TimedWord(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def t0(self) -> float: ...


class Said(Protocol):
    """What this module needs of a transcript's utterance."""

    @property
    def id(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def t0(self) -> float: ...
    @property
    def words(self) -> Sequence[TimedWord]: ...


def _plain(text: str) -> tuple[str, list[int]]:
    """The text with white space as single blanks and plain quote marks, and where each letter came
    from.
    """
    letters: list[str] = []
    origin: list[int] = []
    for index, letter in enumerate(text):
        plain = " " if letter.isspace() else QUOTE_MARKS.get(letter, letter)
        if plain == " " and letters[-1:] in ([" "], []):
            continue
        letters.append(plain)
        origin.append(index)
    return "".join(letters), origin


def _in_word(text: str, at: int) -> bool:
    """Whether a cut before `at` would split a word; Chinese is written without gaps and may be cut
    anywhere.
    """
    if not 0 < at < len(text):
        return False
    return all(letter.isalnum() and letter.isascii() for letter in (text[at - 1], text[at]))


def _span(needle: str, hay: str) -> tuple[int, int] | None:
    start = hay.find(needle)
    while start >= 0:
        end = start + len(needle)
        if not (_in_word(hay, start) or _in_word(hay, end)):
            return start, end
        start = hay.find(needle, start + 1)
    return None


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Where the quote stands in the text (start and end in the text as it is), or None."""
    hay, origin = _plain(text)
    plain = _plain(quote)[0].strip()
    for needle in (plain, plain.strip(_WRAPPING).strip()):  # models like to wrap a quote in marks
        if not any(letter.isalnum() for letter in needle):
            continue
        if span := _span(needle, hay):
            return origin[span[0]], origin[span[1] - 1] + 1
    return None


def time_at(said: Said, offset: int) -> float:
    """When the letter at `offset` was said: by the word it lies in, else the utterance's own
    start.
    """
    cursor = 0
    for word in said.words:
        spoken = word.text.strip()
        start = said.text.find(spoken, cursor) if spoken else -1
        if start < 0:
            continue  # the text does not hold it as written: the next words still give times
        cursor = start + len(spoken)
        if cursor > offset:
            return word.t0
    return said.t0
