"""The caller's keys by signalling (SIP INFO), and one stream of keys out of all the ways.

Keys that come with the media (RFC 4733) are read by `server.media.telephone_event`. A phone may
send one press both ways: `Keypad` keeps to the way that a call began with.
"""

from __future__ import annotations

import re
from typing import Literal

Method = Literal["rfc4733", "info"]

MAX_BODY = 200
SAME_PRESS_S = 0.5
"""The two ways of one press arrive within this time of each other."""

_RELAY = re.compile(r"^[ \t]*signal[ \t]*=[ \t]*(\S{1,2})[ \t]*$", re.IGNORECASE | re.MULTILINE)
_CODES = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_KEYS = frozenset("0123456789*#ABCD")


def info_digit(content_type: str, body: str) -> str | None:
    """The key of a SIP INFO: `application/dtmf-relay` (`Signal=5`) or `application/dtmf` (`5`).

    Event codes (`11` for `#`) are taken as some phones send them. None: this is no key.
    """
    if len(body) > MAX_BODY:
        return None
    match content_type.split(";", 1)[0].strip().lower():
        case "application/dtmf-relay":
            found = _RELAY.search(body.replace("\r", "\n"))
            return _key(found[1]) if found else None
        case "application/dtmf":
            return _key(body.strip())
    return None


def _key(text: str) -> str | None:
    key = _CODES.get(text, text.upper())
    return key if key in _KEYS else None


class Keypad:
    """One call's keys. `press` says what counts.

    The first way seen is kept to: what comes by the other is a copy. It is changed when the other
    brings a key and the one kept to brought none near the last copy, that is, has gone quiet: the
    copy before is then lost, not doubled.
    """

    def __init__(self) -> None:
        self._kept: Method | None = None
        self._kept_at = float("-inf")
        self._copy_at: float | None = None
        """When the latest copy came that the kept way has not brought, too."""

    def press(self, digit: str, at: float, method: Method) -> str | None:
        """A key came by `method` at `at` (seconds, any clock): the key, or None for a copy."""
        if self._kept is None:
            self._kept = method
        if method == self._kept:
            self._keep(at)
            return digit
        if self._copy_at is not None and at - self._copy_at > SAME_PRESS_S:
            self._kept = method
            self._keep(at)
            return digit
        if at - self._kept_at > SAME_PRESS_S:
            self._copy_at = at
        return None

    def _keep(self, at: float) -> None:
        self._kept_at, self._copy_at = at, None
