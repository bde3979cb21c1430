"""Digits that were spoken, as a recogniser writes them. Pure."""

from __future__ import annotations

import re

_ENGLISH = {
    "zero": "0", "oh": "0", "o": "0", "one": "1", "two": "2", "three": "3", "four": "4",
    "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "to": "2", "too": "2",
    "for": "4",
}  # fmt: skip
_CHINESE = dict(zip("零〇一二三四五六七八九幺两", "0012345678912", strict=True))
_TIMES = {"double": 2, "triple": 3}
_TOKEN = re.compile(r"\d|[a-z]+|[\u3007\u4e00-\u9fff]")


def digits(text: str) -> str:
    """The digits in the order in which they were said; words that are none are passed over."""
    found, times = "", 1
    for token in _TOKEN.findall(text.lower()):
        digit = token if token.isdigit() else _ENGLISH.get(token) or _CHINESE.get(token, "")
        found += digit * times
        times = _TIMES.get(token, 1)
    return found
