"""A text cut into clauses, so that a voice that makes whole pieces can begin with the first.

Pure. A clause holds a word and ends at a mark, closing quotation marks and brackets included. One
shorter than about a second of speech is joined to what follows it (the last one to what precedes
it): neural voices say a single word badly, and the next clause is made while this one is heard.
A very long one is cut between words: no voice takes a text without end.
"""

import math
import re
from collections.abc import Iterator

from tts.resume import units

MIN_UNITS = 15.0
"""About a second of speech, as `tts.resume` counts: five Chinese characters."""
MAX_UNITS = 200.0
"""Some 13 seconds. Kokoro takes 510 phonemes at a time, and ends its process over one more."""

ABBREVIATION = re.compile(r"\b(?:Mrs?|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|approx)\.$", re.I)
"""Its full stop ends nothing."""
# A Latin mark ends a clause only before a space, since 3.5 and 12:30 go together; a full-width one
# always.
_END = re.compile(r"(?:[,;:.!?—–…]+[\"'”’)）」]*(?=\s)|[，、；：。！？…—]+[”’\"')）」》]*)\s*")


def clauses(text: str, min_units: float = MIN_UNITS) -> list[str]:
    """The clauses in order, each a piece of `text` without the spaces around it."""
    pieces: list[str] = []
    start = 0
    for end in (*_ends(text), len(text)):
        piece = text[start:end].strip()
        if units(piece) >= min_units and re.search(r"[^\W_]", piece):
            pieces.append(text[start:end])
            start = end
    rest = text[start:]
    if rest and pieces:
        pieces[-1] += rest
    elif rest:
        pieces.append(rest)
    return [part for piece in pieces for part in _bounded(piece.strip())]


def _bounded(piece: str) -> Iterator[str]:
    """Even parts of at most `MAX_UNITS`, cut after a word where one ends near enough."""
    while (length := units(piece)) > MAX_UNITS:
        part = length / math.ceil(length / MAX_UNITS)
        fits = next(end for end in range(1, len(piece)) if units(piece[: end + 1]) > part)
        space = piece.rfind(" ", fits // 2, fits + 1)
        cut = space if space > 0 else fits
        yield piece[:cut].strip()
        piece = piece[cut:].strip()
    if piece:
        yield piece


def _ends(text: str) -> list[int]:
    return [
        found.end()
        for found in _END.finditer(text)
        if not ABBREVIATION.search(text[: found.end()].rstrip())
    ]
