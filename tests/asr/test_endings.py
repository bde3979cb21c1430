"""A recording that ends too early is known by its own bytes; a whole one is not taken for it."""

from pathlib import Path

import pytest

from asr.endings import announces_length, is_cut, ogg_is_cut
from tests.asr.recordings import CODECS, save, tone


def page(*segments: int) -> bytes:
    return b"OggS\0" + bytes(21) + bytes([len(segments), *segments]) + b"s" * sum(segments)


def test_an_ogg_file_is_cut_where_its_last_page_is() -> None:
    first, last = page(255, 255, 10), page(40)
    assert not ogg_is_cut(first + last)
    assert not ogg_is_cut(first)  # between two pages: it does not show
    ends = range(len(first) + 5, len(first + last))
    assert all(ogg_is_cut((first + last)[:end]) for end in ends)


def test_what_stands_behind_the_last_page_is_not_looked_at() -> None:
    assert not ogg_is_cut(page(40) + b"TAG" + bytes(125))
    assert not ogg_is_cut(bytes(70_000))


@pytest.mark.parametrize("ending", CODECS)
def test_a_whole_file_is_not_cut(tmp_path: Path, ending: str) -> None:
    path = save(tmp_path / f"a{ending}", tone(2))
    assert not is_cut(path.read_bytes()[:4096], path)


def test_an_mp3_announces_its_length_in_its_first_frame_only(tmp_path: Path) -> None:
    tagged = save(tmp_path / "a.mp3", tone(1)).read_bytes()
    assert tagged.startswith(b"ID3")
    assert announces_length("mp3", tagged[:4096])
    bare = tagged[tagged.index(b"\xff\xf3") :]
    assert announces_length("mp3", bare)
    assert not announces_length("mp3", bare[:16])
    uncounted = bare.replace(b"Info\0\0\0\x0f", b"Info\0\0\0\x0e")
    assert uncounted != bare
    assert not announces_length("mp3", uncounted)
    spoken_of = b"ID3\4\0\0\0\0\0\x08Info\0\0\0\x0f" + b"\xff\xf3" + bytes(400)
    assert not announces_length("mp3", spoken_of)
    assert not announces_length("aac", b"")
    assert announces_length("wav", b"")
