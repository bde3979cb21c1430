"""A stranger's From header, in every shape that was ever seen, and some that were not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.bridge import Party
from server.phone.numbers import spelled
from server.phone.parties import LONGEST, clean, party


@pytest.mark.parametrize(
    ("uri", "display", "wanted"),
    [
        ("sip:101@pbx.example", '"Ada Lovelace"', Party("101", "pbx.example", "Ada Lovelace")),
        ("sip:101@10.0.0.5:5060;user=phone", "", Party("101", "10.0.0.5", "")),
        ("sips:101:secret@pbx;transport=tls?x=y", "", Party("101", "pbx", "")),
        ("sip:%2B44207@pbx", "", Party("+44207", "pbx", "")),
        ("sip:+4420;cpc=ordinary@pbx", "", Party("+4420", "pbx", "")),
        ("tel:+442079460123;phone-context=x", "", Party("+442079460123", "", "")),
        ("sip:101@[2001:db8::1]:5060", "", Party("101", "[2001:db8::1]", "")),
        ("sip:pbx.example", "", Party("", "pbx.example", "")),
        (
            "sip:anonymous@anonymous.invalid",
            "Anonymous",
            Party("", "anonymous.invalid", "Anonymous"),
        ),
        ("sip:%3Cscript%3E@h", "<b>x</b>", Party("script", "h", "bx/b")),
        ("sip:a%00%0d%0ab@h", "Mal\u202elory\r\nX: y", Party("a b", "h", "Mal lory X: y")),
        ("sip:%zz%@h", "O'Brien", Party("%zz%", "h", "O'Brien")),
        ("sip:%ff%fe@h", "", Party("\ufffd\ufffd", "h", "")),
        ("mailto:x@y", "x", Party("", "", "x")),
        ("", "", Party()),
        (None, 7, Party()),
        ({"user": 1}, ["x"], Party()),
    ],
)
def test_a_party_is_read(uri: object, display: object, wanted: Party) -> None:
    assert party(uri, display) == wanted


def test_a_header_of_60_kb_is_cut() -> None:
    found = party("sip:" + "7" * 60_000 + "@" + "h" * 60_000, "x" * 60_000)
    assert max(map(len, (found.user, found.host, found.display))) <= LONGEST


@given(st.text(), st.text())
def test_nothing_that_is_no_plain_text_comes_through(uri: str, display: str) -> None:
    for text in (*vars(party("sip:" + uri, display)).values(), clean(uri)):
        assert len(text) <= LONGEST
        assert text.isprintable() and not set(text) & set('<>&"`\\')


@given(st.from_regex(r"\+?[0-9]{2,20}", fullmatch=True))
def test_a_number_comes_through_whole(number: str) -> None:
    """In one spelling, which is its own."""
    found = party(f"sip:{number}@pbx").number
    assert found in (number, f"+{number[2:]}") and spelled(found) == found
