"""Where another voice goes on in a sentence whose voice stopped in the middle. Pure.

The rule: nothing may be lost, little may be said twice.

- A voice that gives word times (edge-tts): go on with the first word that was not given whole.
- One that does not: estimate how far it came from its pace, less a tenth, back to a word's start.
- If a clause began at most three words (in Chinese eight characters) earlier, go back to it: a
  clause said again sounds like a speaker who begins again, half a clause like a fault.
- Without word times the last word is always said again, since the end was never confirmed.
"""

import re
from collections.abc import Sequence

from livekit.agents.types import TimedString

UNITS_PER_SECOND = 15.0
"""An unhurried English voice. A unit is a Latin character; a Chinese one counts as 3.5."""
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_WORD = re.compile(rf"{_CJK.pattern}|(?:(?!{_CJK.pattern})\S)+")
_CLAUSE_END = re.compile(r"[,;:.!?—–…，、；：。！？][\"'”’)）」]*(?=\s|\Z|(?<=[，、；：。！？]))")
_WORDS_BACK = 3
_CJK_BACK = 8


def units(text: str) -> float:
    """The length of a text as time to speak it, in units."""
    return sum(3.5 if _CJK.match(char) else 1.0 for char in text)


def remainder(
    text: str,
    spoken_s: float,
    words: Sequence[TimedString] = (),
    units_per_second: float = UNITS_PER_SECOND,
) -> str:
    """What is left of `text` after `spoken_s` seconds of it; "" if its last word was given."""
    if spoken_s <= 0:
        return text
    at = _after_words(text, spoken_s, words) if words else None
    if at is None:
        at = _estimate(text, 0.9 * spoken_s * units_per_second)
    if not re.search(r"\w", text[at:]):
        return ""
    return text[_clause_start(text, at) :].lstrip()


def _after_words(text: str, spoken_s: float, words: Sequence[TimedString]) -> int | None:
    """Past the last word given whole, or None when the voice's words are not those of the text."""
    at = 0
    for word in words:
        found = text.find(str(word), at)
        if found < 0:
            return None
        if not isinstance(word.end_time, float | int) or word.end_time > spoken_s + 0.02:
            return found
        at = found + len(word)
    return at


def _estimate(text: str, spoken: float) -> int:
    """The start of the word in which `spoken` units end; at most the last word."""
    start = 0
    for word in _WORD.finditer(text):
        if units(text[: word.end()]) > spoken:
            return word.start()
        start = word.start()
    return start


def _clause_start(text: str, at: int) -> int:
    starts = [0, *(match.end() for match in _CLAUSE_END.finditer(text, 0, at))]
    between = _WORD.findall(text, starts[-1], at)
    cjk = sum(1 for word in between if _CJK.match(word))
    near = len(between) - cjk <= _WORDS_BACK and cjk <= _CJK_BACK
    return starts[-1] if near else at
