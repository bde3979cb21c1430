"""What a telephone hears: packets placed on its clock, made one sound, and counted."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.phone.softphone.rtp import Packet, after

Pcm = NDArray[np.int16]
SAMPLE_RATE = 8000
REMEMBERED = 1000
"""Sequence numbers by which a packet that comes twice is known."""
KEPT = 400_000
"""Packets kept: more than two hours."""
STRAY_S = 1.0
"""A stream whose timestamps and arrivals are further apart than this has jumped: it is placed anew
by its arrival."""


@dataclass(frozen=True)
class Frame:
    """A packet with sound, sent or heard."""

    at: float
    """`time.monotonic()` at which it left this machine, or arrived."""
    packet: Packet
    pcm: Pcm


@dataclass(frozen=True)
class Statistics:
    packets: int
    """Digits' too."""
    lost: int
    """Numbers between the first and the last that never came."""
    jitter_s: float
    """RFC 3550's estimate."""
    sound_s: float
    """Of frames that were not silent."""
    level_dbfs: float | None
    """Of those; a full-scale square wave is 0. None if all was silent."""


class Placement:
    """Where a packet's sound lies, in samples of the listener's clock."""

    def __init__(self) -> None:
        self._ssrc = -1
        self._anchor = 0
        """The sample at which the stream's last known timestamp lies, and that timestamp."""
        self._timestamp = 0
        self._seen: OrderedDict[int, None] = OrderedDict()

    def place(self, packet: Packet, at: float) -> int | None:
        """None for a packet that was here before."""
        arrived = round(at * SAMPLE_RATE)
        if packet.ssrc != self._ssrc:
            self._ssrc = packet.ssrc
            self._seen.clear()
            self._anchor, self._timestamp = arrived, packet.timestamp
        if packet.sequence in self._seen:
            return None
        self._seen[packet.sequence] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        placed = self._anchor + after(self._timestamp, packet.timestamp, 32)
        if abs(placed - arrived) > STRAY_S * SAMPLE_RATE:
            placed = arrived
        self._anchor, self._timestamp = placed, packet.timestamp
        return placed


class Listening:
    """Everything heard in one call. Heard in one thread, asked about in another."""

    def __init__(self) -> None:
        self._heard: deque[tuple[int, Frame]] = deque(maxlen=KEPT)
        self._placement = Placement()
        self._order = _Order()

    @property
    def frames(self) -> list[Frame]:
        """In the order of arrival."""
        return [frame for _, frame in list(self._heard)]

    def hear(self, packet: Packet, pcm: Pcm, at: float) -> None:
        begin = self._placement.place(packet, at)
        if begin is not None:
            self._order.count(packet)
            self._order.time(packet, at)
            self._heard.append((begin, Frame(at, packet, pcm)))

    def count(self, packet: Packet) -> None:
        """A packet of this stream without sound: a digit's. It is not lost."""
        self._order.count(packet)

    def sound(self, since: float) -> Pcm:
        """At 8 kHz, from this monotonic time (or the first packet, if that came later) to the end
        of the last packet; silence where nothing came.
        """
        heard = [(begin, frame.pcm) for begin, frame in list(self._heard)]
        earliest = min((begin for begin, _ in heard[:REMEMBERED]), default=0)
        first = max(round(since * SAMPLE_RATE), earliest)
        pieces = [(begin, pcm) for begin, pcm in heard if begin + len(pcm) > first]
        made = np.zeros(max((begin + len(pcm) - first for begin, pcm in pieces), default=0), "i2")
        for begin, pcm in pieces:
            skipped = max(0, first - begin)
            made[begin + skipped - first : begin + len(pcm) - first] = pcm[skipped:]
        return made

    def statistics(self, silent_below: float = 50.0) -> Statistics:
        """`silent_below`: the RMS of a frame that counts as silence, of 32,768."""
        loud = [
            (len(one.pcm), power)
            for one in self.frames
            if (power := float(np.mean(one.pcm.astype(float) ** 2))) >= silent_below**2
        ]
        mean = sum(count * power for count, power in loud) / max(1, sum(one for one, _ in loud))
        return Statistics(
            packets=self._order.packets,
            lost=self._order.lost,
            jitter_s=self._order.jitter_s,
            sound_s=sum(count for count, _ in loud) / SAMPLE_RATE,
            level_dbfs=10 * math.log10(mean / 32768**2) if loud else None,
        )


class _Order:
    """Counts what is missing, and RFC 3550's jitter (6.4.1)."""

    def __init__(self) -> None:
        self.packets = 0
        self.jitter_s = 0.0
        self._before = 0  # expected of streams that have ended
        self._span = 0
        self._first: Packet | None = None
        self._newest = 0
        self._transit: float | None = None

    @property
    def lost(self) -> int:
        return max(0, self._before + self._span - self.packets)

    def count(self, packet: Packet) -> None:
        self.packets += 1
        if self._first is None or packet.ssrc != self._first.ssrc:
            self._before, self._span = self._before + self._span, 1
            self._first, self._newest, self._transit = packet, packet.sequence, None
        step = after(self._newest, packet.sequence, 16)
        if step > 0:
            self._span, self._newest = self._span + step, packet.sequence

    def time(self, packet: Packet, at: float) -> None:
        """Of sound only: all packets of a digit have one timestamp."""
        first = self._first.timestamp if self._first else 0
        transit = at - after(first, packet.timestamp, 32) / SAMPLE_RATE
        if self._transit is not None:
            self.jitter_s += (abs(transit - self._transit) - self.jitter_s) / 16
        self._transit = transit
