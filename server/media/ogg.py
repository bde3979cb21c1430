"""Ogg pages with Opus in them: written a page at a time, read as far as they are whole.

Only what a recording needs (RFC 3533, RFC 7845): one stream, 20 ms packets, every page complete in
itself, so that a file cut off anywhere is good up to its last whole page.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

PACKET_SAMPLES = 960
"""20 ms at 48 kHz, the clock of every Opus stream."""
_BEGIN, _END = 2, 4
_HEADER = struct.Struct("<4sBBqIIIB")
MAX_PACKETS = 50


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = ((value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def _checksum(data: bytes) -> int:
    value = 0
    for byte in data:
        value = ((value << 8) & 0xFFFFFFFF) ^ _CRC[(value >> 24) ^ byte]
    return value


class OggOpusWriter:
    """Appends to a file; each call writes whole pages."""

    def __init__(
        self, file: BinaryIO, *, channels: int, rate: int, pre_skip: int, tags: Sequence[str] = ()
    ) -> None:
        self._file, self._pages, self._granule = file, 0, 0
        head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, pre_skip, rate, 0, 0)
        self._page([head], _BEGIN)
        self._page([_tags(tags)], 0)

    def write(self, packets: Sequence[bytes], last: bool = False) -> None:
        """Packets of 20 ms each."""
        for start in range(0, len(packets), MAX_PACKETS):
            page = packets[start : start + MAX_PACKETS]
            self._granule += PACKET_SAMPLES * len(page)
            self._page(page, _END if last and start + MAX_PACKETS >= len(packets) else 0)

    def _page(self, packets: Sequence[bytes], flags: int) -> None:
        lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
        serial = 1
        head = _HEADER.pack(b"OggS", 0, flags, self._granule, serial, self._pages, 0, len(lacing))
        page = bytearray(head + lacing + b"".join(packets))
        struct.pack_into("<I", page, 22, _checksum(bytes(page)))
        if self._file.write(page) != len(page):  # an unbuffered file says so, and no more
            raise OSError(errno.ENOSPC, "the page was written only in part")
        self._pages += 1


def _tags(tags: Sequence[str]) -> bytes:
    vendor = b"viva"
    out = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", len(tags))
    for tag in tags:
        text = tag.encode()
        out += struct.pack("<I", len(text)) + text
    return out


def read_packets(data: bytes) -> Iterator[bytes]:
    """The sound packets of an Ogg Opus file, up to the first page that is not whole."""
    for number, page in enumerate(_pages(data)):
        if number >= 2:  # after the head and the tags
            yield from page


def _pages(data: bytes) -> Iterator[list[bytes]]:
    at = 0
    while at + _HEADER.size <= len(data):
        magic, _, _, _, _, _, crc, count = _HEADER.unpack_from(data, at)
        body = at + _HEADER.size + count
        lacing = data[at + _HEADER.size : body]
        end = body + sum(lacing)
        if magic != b"OggS" or len(lacing) < count or end > len(data):
            return
        page = bytearray(data[at:end])
        page[22:26] = bytes(4)
        if _checksum(bytes(page)) != crc:
            return
        yield _packets(lacing, data[body:end])
        at = end


def _packets(lacing: bytes, body: bytes) -> list[bytes]:
    packets, start, length = [], 0, 0
    for value in lacing:
        length += value
        if value < 255:
            packets.append(body[start : start + length])
            start, length = start + length, 0
    return packets
