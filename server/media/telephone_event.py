"""Keys that come as RTP packets (RFC 4733 events): one digit for each press, whatever is lost.

A press is sent as a row of packets with one timestamp, the press's beginning, and a duration that
grows; the last one is marked as the end and sent three times. Rules:

- a press is counted at the first packet of it that arrives, be it the first, a middle or an end;
- the timestamp and the source name the press, so repeated, late and reordered packets count no
  more, and two presses of one key are two, however close;
- a press that is longer than a duration can say goes on under a new timestamp, which begins where
  the last one's duration ends (2.5.1.3); so does a press of those phones that change the timestamp
  with every packet: a press that begins within the one before it is that one;
- more presses than fingers make (a flood) are dropped and counted.

Time is passed in, in seconds; timestamps and durations are in units of the event's RTP clock.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

KEYS = "0123456789*#ABCD"
"""By event code; the codes above are tones of machines."""
REMEMBERED = 64
"""Presses; a packet of an older one would be minutes late."""
BURST, PER_S = 40, 20.0
"""Presses at once and in the long run. Automatic diallers make ten a second."""

_MAX_DURATION = 0xFFFF
_LONG = 0x8000
"""A press that lasted at least so long may go on where a duration of `_MAX_DURATION` would end."""


@dataclass(slots=True)
class _Press:
    event: int
    ssrc: int
    first: int
    """Timestamp of its beginning."""
    start: int
    """Timestamp of its latest segment."""
    duration: int
    ended: bool = False

    def goes_on(self, event: int, ssrc: int, ts: int) -> bool:
        """Whether a packet with a timestamp that is new belongs to this press."""
        if (event, ssrc) != (self.event, self.ssrc):
            return False
        if _after(ts, self.first) < 0:
            return False
        since = _after(ts, self.start)
        if since < self.duration:
            return True
        if self.ended:
            return False
        long = self.duration >= _LONG and since in (_MAX_DURATION, _MAX_DURATION + 1)
        return since == self.duration or long


class EventDecoder:
    """One call's telephone events."""

    def __init__(self) -> None:
        self.rubbish = 0
        """Packets that are no key of a telephone."""
        self.flooded = 0
        """Presses dropped because there were too many."""
        self._presses: OrderedDict[tuple[int, int], _Press] = OrderedDict()
        self._latest: _Press | None = None
        self._allowance, self._asked_at = float(BURST), float("-inf")

    def push(self, payload: bytes, ts: int, ssrc: int, at: float) -> str | None:
        """A packet arrived: the key, if it is the first one of a press."""
        if len(payload) < 4 or payload[0] >= len(KEYS):
            self.rubbish += 1
            return None
        event, ended = payload[0], bool(payload[1] & 0x80)
        duration = int.from_bytes(payload[2:4], "big")
        press = self._presses.get((ssrc, ts)) or self._continued(event, ssrc, ts)
        if press is None:
            self._begin(_Press(event, ssrc, ts, ts, duration, ended))
            return KEYS[event] if self._allowed(at) else None
        if press.event == event:  # a timestamp with another key's code is rubbish
            _prolong(press, ts, duration, ended)
        return None

    def _continued(self, event: int, ssrc: int, ts: int) -> _Press | None:
        latest = self._latest
        if latest is None or not latest.goes_on(event, ssrc, ts):
            return None
        self._remember(ts, latest)
        return latest

    def _begin(self, press: _Press) -> None:
        self._latest = press
        self._remember(press.start, press)

    def _remember(self, ts: int, press: _Press) -> None:
        self._presses[press.ssrc, ts] = press
        if len(self._presses) > REMEMBERED:
            self._presses.popitem(last=False)

    def _allowed(self, at: float) -> bool:
        gained = max(at - self._asked_at, 0.0) * PER_S
        self._allowance, self._asked_at = min(self._allowance + gained, BURST), at
        if self._allowance < 1:
            self.flooded += 1
            return False
        self._allowance -= 1
        return True


def _prolong(press: _Press, ts: int, duration: int, ended: bool) -> None:
    if _after(ts, press.start) > 0:
        press.start, press.duration = ts, duration
    elif ts == press.start:
        press.duration = max(press.duration, duration)
    press.ended = press.ended or ended


def _after(ts: int, start: int) -> int:
    """How far `ts` is behind `start`, with its 32 bits wrapped; negative where it is before."""
    return ((ts - start + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
