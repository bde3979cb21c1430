"""A model's tokens and when they begin, as words: pure.

In Chinese each character is a word. In English SenseVoice begins a word with a space, and
Paraformer ends each part of one but the last with `@@`. Punctuation stands with the word before it.
"""

import re
from collections.abc import Sequence

from asr import guards
from asr.recognition import HeardWord

LONGEST_WORD_S = 1.0
"""Neither says when a word ends: at the next one, and not later than this."""

_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")


def words_of(
    tokens: Sequence[str], starts: Sequence[float], seconds: float
) -> tuple[HeardWord, ...]:
    """`starts` in seconds, one for each token, or none at all: then there are no word times.

    `seconds`: length of the audio, which no word outlasts.
    """
    if not tokens or len(starts) != len(tokens):
        return ()
    spaced = any(token.startswith(" ") for token in tokens)  # SenseVoice's
    words: list[tuple[str, float]] = []
    before = ""
    for token, start in zip(tokens, starts, strict=True):
        text = guards.plain(token.removesuffix("@@"))
        if text and words and (not guards.units(text) or _goes_on(before, token, spaced)):
            words[-1] = (words[-1][0] + text, words[-1][1])
        elif text:
            words.append((text, round(min(start, seconds), 3)))
        before = token
    ends = [*(start for _, start in words), seconds][1:]
    return tuple(
        HeardWord(text, start, max(start, min(end, round(start + LONGEST_WORD_S, 3))), None)
        for (text, start), end in zip(words, ends, strict=True)
    )


def _goes_on(before: str, token: str, spaced: bool) -> bool:
    """Whether a token belongs to the word of the one before it."""
    if before.endswith("@@"):
        return True
    joined = spaced and not token.startswith(" ") and bool(before.strip())
    return joined and not _UNSPACED.search(token) and not _UNSPACED.search(before)
