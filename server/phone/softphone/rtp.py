"""RTP packets (RFC 3550): packed and unpacked. What comes is hostile."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.phone.softphone.errors import Malformed

_HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True)
class Packet:
    payload_type: int
    sequence: int
    """16 bits."""
    timestamp: int
    """32 bits, in samples."""
    ssrc: int
    payload: bytes
    marker: bool = False
    """The first packet after a silence, or of a digit."""

    def packed(self) -> bytes:
        second = self.marker << 7 | self.payload_type
        return _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def unpack(data: bytes) -> Packet:
    """Raises `Malformed`."""
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        raise Malformed("this is no RTP packet")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if 72 <= second & 0x7F <= 76:
        raise Malformed("this is an RTCP packet")
    begin = _HEADER.size + 4 * (first & 0x0F)
    if first & 0x10:
        if len(data) < begin + 4:
            raise Malformed("its extension is cut short")
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4])
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if begin > end:
        raise Malformed("it is shorter than it says")
    return Packet(
        second & 0x7F, sequence, timestamp, ssrc, data[begin:end], marker=bool(second & 0x80)
    )


def after(earlier: int, later: int, bits: int) -> int:
    """How far one counter is behind another, where both wrap; negative if it is ahead."""
    half = 1 << (bits - 1)
    return (later - earlier + half) % (1 << bits) - half
