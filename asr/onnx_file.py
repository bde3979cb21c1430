"""What an ONNX file says of itself: its metadata, read without loading the model.

sherpa-onnx ends the whole process, without a word to Python, where an entry is missing; so they are
looked at first. A file is a protobuf message, of which only the entries on top matter here.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path

from asr.errors import ModelDamaged

_METADATA = 14  # ModelProto.metadata_props
_KEY, _VALUE = 1, 2  # of one entry


def metadata(file: Path) -> dict[str, str]:
    """Raises `ModelDamaged` where it is no whole ONNX file."""
    try:
        with file.open("rb") as stream:
            data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            entries = [_entry(v) for field, v in _fields(data, len(data)) if field == _METADATA]
    except (ValueError, IndexError, OSError) as e:  # empty, cut short, or something else
        raise ModelDamaged(f"{file} is not a whole ONNX model: {e}.") from e
    return dict(entries)


def _entry(value: bytes) -> tuple[str, str]:
    parts = dict(_fields(value, len(value)))
    return parts.get(_KEY, b"").decode(), parts.get(_VALUE, b"").decode()


def _fields(data: "bytes | mmap.mmap", end: int) -> Iterator[tuple[int, bytes]]:
    """Numbers and contents of the fields that matter; the rest is passed over."""
    at = 0
    while at < end:
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                _, at = _varint(data, at)
            case 1:
                at += 8
            case 5:
                at += 4
            case 2:
                length, at = _varint(data, at)
                if at + length > end:
                    raise ValueError("it is cut short")
                if key >> 3 in (_KEY, _VALUE, _METADATA):  # and not the graph, of hundreds of MB
                    yield key >> 3, bytes(data[at : at + length])
                at += length
            case kind:
                raise ValueError(f"it has a field of kind {kind}")
    if at != end:
        raise ValueError("it is cut short")


def _varint(data: "bytes | mmap.mmap", at: int) -> tuple[int, int]:
    """The number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
        if shift > 63:
            raise ValueError("a number in it is too long")
