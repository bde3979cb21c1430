"""Digits inside RTP (RFC 4733): the packets that say one, and the digits that packets say."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.phone.softphone.rtp import Packet, after

KEYS = "0123456789*#ABCD"
TICK = 160
"""Samples between two packets: 20 ms at 8 kHz."""
ENDS = 3
"""The end is sent so often, since nothing else says it if it is lost."""
_EVENT = struct.Struct("!BBH")
_VOLUME = 10
_END = 0x80


@dataclass(frozen=True)
class Said:
    """One packet's payload, and whether it is the first of its digit."""

    payload: bytes
    first: bool


def press(key: str, ticks: int) -> list[Said]:
    """One packet a tick: updates while the key is down for so many ticks, then the end thrice.
    All of them carry the RTP timestamp of the first.
    """
    event, last = KEYS.index(key.upper()), ENDS * [(ticks, _END)]
    packets = [*((tick, 0) for tick in range(1, ticks)), *last]
    return [
        Said(_EVENT.pack(event, end | _VOLUME, min(TICK * tick, 0xFFFF)), at == 0)
        for at, (tick, end) in enumerate(packets)
    ]


class Listener:
    """Digits that come, each once: a new RTP timestamp is a new key, at whichever of its packets is
    seen first.
    """

    def __init__(self) -> None:
        self._ssrc = 0
        self._newest: int | None = None

    def hear(self, packet: Packet) -> str:
        """The digit that begins with this packet, or nothing."""
        if len(packet.payload) < _EVENT.size or packet.payload[0] >= len(KEYS):
            return ""
        newest = self._newest if packet.ssrc == self._ssrc else None
        if newest is not None and after(newest, packet.timestamp, 32) <= 0:
            return ""  # the same digit, or a late packet of an earlier one
        self._ssrc, self._newest = packet.ssrc, packet.timestamp
        return KEYS[packet.payload[0]]
