"""Telephone numbers in one spelling, whoever wrote them: a SIP header or an operator. Pure.

Nothing is guessed: 030 1234567 and +49 30 1234567 stay two numbers, since the country of the first
is not said.
"""

from __future__ import annotations

import re

_WRITTEN = str.maketrans("", "", " -./()")  # how people write a number; SIP allows it too
_NUMBER = re.compile(r"\+?[0-9]{2,20}")
_TRUNK = re.compile(r"\A((?:\+|00)[0-9 ]{1,6})\(0\)")
"""The zero of calls within a country, as many write it for readers of both kinds: +49 (0)30 …"""
_ABROAD = re.compile(r"00[1-9][0-9]{6,14}")
"""00 and what may be an E.164 number: the prefix that the ITU recommends for calls abroad. Shorter
ones are extensions."""


def spelled(written: str) -> str:
    """2 to 20 digits, with a `+` where the country stands before them; empty for what is no number
    (an extension of one digit, a name, somebody anonymous)."""
    digits = _TRUNK.sub(r"\1", written.strip()).translate(_WRITTEN)
    if _ABROAD.fullmatch(digits):
        return f"+{digits[2:]}"
    return digits if _NUMBER.fullmatch(digits) else ""
