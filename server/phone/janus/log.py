"""What Janus prints: the end of it is kept, and a few of its errors go into our log. Pure.

In some states Janus prints gigabytes, so nothing here grows: not the lines, not their length, not
how many are passed on.
"""

from __future__ import annotations

from collections import deque

from server.phone.parties import clean

LINES = 200
WIDTH = 300
PASSED_ON = 10
PER_S = 60.0
_TROUBLE = ("[FATAL]", "[ERR]")


class LogTail:
    """The last lines of a stream that comes in pieces."""

    def __init__(self) -> None:
        self.lines: deque[str] = deque(maxlen=LINES)
        self.bytes = 0
        """Of everything that came."""
        self._begun = b""
        self._passed: deque[float] = deque()
        self._left_out = 0

    def feed(self, piece: bytes, at: float) -> list[str]:
        """Take a piece in; returns what an operator should see of it: at most `PASSED_ON` lines in
        `PER_S` seconds. `at` is in seconds."""
        self.bytes += len(piece)
        *whole, begun = (self._begun + piece).split(b"\n")
        self._begun = begun[:WIDTH]
        kept = [clean(line[:WIDTH].decode("utf-8", "replace"), WIDTH) for line in whole[-LINES:]]
        self.lines.extend(line for line in kept if line)
        return [line for line in kept if line.startswith(_TROUBLE) and self._may_pass(at)]

    def _may_pass(self, at: float) -> bool:
        while self._passed and at - self._passed[0] >= PER_S:
            self._passed.popleft()
        if len(self._passed) >= PASSED_ON:
            self._left_out += 1
            return False
        self._passed.append(at)
        return True

    @property
    def left_out(self) -> int:
        """Lines of trouble that were not passed on."""
        return self._left_out
