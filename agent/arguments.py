"""A streamed JSON object of flat arguments, decoded as its fragments arrive.

Why not a library: `jiter` stops for good at a raw control character or a lone surrogate, both of
which a model's server can send; others hand out whole strings only, or break a split surrogate
pair. Knows nothing of moves.

What is decoded equals `json.loads(text, strict=False)`, but for surrogates without a partner, which
become U+FFFD so that every value can be spoken, stored and sent. Whatever follows the closing brace
is ignored: a server's parser can leave a stray `}` behind.
"""

from __future__ import annotations

import json
from collections.abc import Callable

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "/": "/"}
_REPLACEMENT = "\ufffd"
_HIGH = range(0xD800, 0xDC00)
_LOW = range(0xDC00, 0xE000)


class BadArguments(ValueError):
    """Not a flat JSON object of strings, numbers, booleans and nulls."""


_Step = Callable[[str], "_Step"]  # a state is the function that takes the next character


class Arguments:
    """Feed it fragments; a string's characters come out at once, other values when whole."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        """The arguments that are whole so far."""
        self.complete = False
        """The object is closed."""
        self._step: _Step = self._before_object
        self._key: str | None = None
        """The key whose value is being read; None while a key is."""
        self._text: list[str] = []
        self._hex = ""
        self._high = 0
        """A high surrogate that waits for its partner."""
        self._new: list[tuple[str, str]] = []

    def feed(self, fragment: str) -> list[tuple[str, str]]:
        """The newly decoded characters of each string value, in order; raises `BadArguments`."""
        self._new = []
        for character in fragment:
            self._step = self._step(character)
        return self._new

    # --- the object -------------------------------------------------------------------------------

    def _before_object(self, c: str) -> _Step:
        return self._expect(c, {"{": self._first_key}, self._before_object)

    def _first_key(self, c: str) -> _Step:
        if c == "}":
            return self._close()
        return self._expect(c, {'"': self._string}, self._first_key)

    def _next_key(self, c: str) -> _Step:
        return self._expect(c, {'"': self._string}, self._next_key)

    def _colon(self, c: str) -> _Step:
        return self._expect(c, {":": self._value}, self._colon)

    def _value(self, c: str) -> _Step:
        if c.isspace():
            return self._value
        if c == '"':
            return self._string
        if c in "{[,:}]":
            raise BadArguments(f"a value cannot begin with {c!r}")
        self._text.append(c)
        return self._literal

    def _literal(self, c: str) -> _Step:
        if c not in ",}" and not c.isspace():
            self._text.append(c)
            return self._literal
        try:
            value = json.loads("".join(self._text))
        except ValueError as error:
            raise BadArguments(f"{''.join(self._text)[:20]!r} is no value") from error
        self._finish(value)
        return self._after_value(c)

    def _after_value(self, c: str) -> _Step:
        if c == "}":
            return self._close()
        return self._expect(c, {",": self._next_key}, self._after_value)

    def _done(self, c: str) -> _Step:
        return self._done

    def _close(self) -> _Step:
        self.complete = True
        return self._done

    def _expect(self, c: str, steps: dict[str, _Step], stay: _Step) -> _Step:
        if c in steps:
            return steps[c]
        if c.isspace():
            return stay
        raise BadArguments(f"{c!r} where {' or '.join(map(repr, steps))} should be")

    def _finish(self, value: object) -> None:
        assert self._key is not None
        self.values[self._key] = value
        self._key, self._text = None, []

    # --- a string, a key or a value ---------------------------------------------------------------

    def _string(self, c: str) -> _Step:
        if c == "\\":
            return self._escape
        self._give_up_pair()
        if c != '"':
            self._put(_REPLACEMENT if 0xD800 <= ord(c) < 0xE000 else c)
            return self._string
        if self._key is not None:
            self._finish("".join(self._text))
            return self._after_value
        self._key, self._text = "".join(self._text), []
        if self._key in self.values:
            raise BadArguments(f"{self._key!r} is there twice")
        return self._colon

    def _escape(self, c: str) -> _Step:
        if c == "u":
            self._hex = ""
            return self._unicode
        self._give_up_pair()
        if c not in _ESCAPES:
            raise BadArguments(f"no such escape: \\{c}")
        self._put(_ESCAPES[c])
        return self._string

    def _unicode(self, c: str) -> _Step:
        if c not in "0123456789abcdefABCDEF":
            raise BadArguments(f"{c!r} is no hexadecimal digit")
        self._hex += c
        if len(self._hex) < 4:
            return self._unicode
        self._code_unit(int(self._hex, 16))
        return self._string

    def _code_unit(self, unit: int) -> None:
        if self._high and unit in _LOW:
            self._put(chr(0x10000 + ((self._high - 0xD800) << 10) + (unit - 0xDC00)))
            self._high = 0
            return
        self._give_up_pair()
        if unit in _HIGH:
            self._high = unit
        else:
            self._put(_REPLACEMENT if unit in _LOW else chr(unit))

    def _give_up_pair(self) -> None:
        if self._high:
            self._high = 0
            self._put(_REPLACEMENT)

    def _put(self, c: str) -> None:
        self._text.append(c)
        if self._key is None:
            return
        if self._new and self._new[-1][0] == self._key:
            c = self._new.pop()[1] + c
        self._new.append((self._key, c))
