"""Whether a recording ends before it should, by what its own bytes say where FFmpeg does not."""

import os
from pathlib import Path

OGG_PAGE = 27 + 255 + 255 * 255
"""Bytes of the longest one: its header, the lengths of its segments, and those."""


def is_cut(head: bytes, path: Path) -> bool:
    """`head`: the file's first bytes. No answer for most formats: False."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _riff_is_cut(head, path.stat().st_size)
    return head[:4] == b"OggS" and ogg_is_cut(_tail(path))


def announces_length(form: str, head: bytes) -> bool:
    """Whether the length that FFmpeg tells is the file's own word, and not worked out of its
    bit rate. `form`: FFmpeg's name of the format."""
    return form not in ("aac", "mp3") or (form == "mp3" and _counts_frames(head))


def ogg_is_cut(tail: bytes) -> bool:
    """Whether the last page is longer than what there is of it. One that was cut between two pages
    looks whole: not every program marks its last page as such."""
    begin = tail.rfind(b"OggS\0")
    if begin < 0:
        return False  # something else stands behind the sound
    page = tail[begin:]
    if len(page) < 27:
        return True
    lengths = page[27 : 27 + page[26]]
    return len(page) < 27 + page[26] + sum(lengths)


def _riff_is_cut(head: bytes, size: int) -> bool:
    """A wave file says how long it is, and FFmpeg believes the disk. 0 and all ones: unknown."""
    told = int.from_bytes(head[4:8], "little")
    return told not in (0, 0xFFFF_FFFF) and told + 8 > size + 1


def _counts_frames(head: bytes) -> bool:
    """Most encoders of MP3 write a first frame that says how many follow (Xing's, also LAME's)."""
    frame = head[_tag(head) :][:64]
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    return at >= 0 and bool(frame[at + 7] & 1)


def _tag(head: bytes) -> int:
    """The length of the ID3 tag that may stand before the sound, seven bits a byte."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(OGG_PAGE, path.stat().st_size), os.SEEK_END)
        return file.read()
