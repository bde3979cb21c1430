"""Keys by SIP INFO, and one press that comes two ways."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.digits import Keypad, info_digit

KEYS = "0123456789*#ABCD"


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", "Signal= #\nDuration= 250", "#"),
        ("Application/DTMF-Relay; charset=utf-8", "duration=160\rsignal=*", "*"),
        ("application/dtmf-relay", "Signal=11", "#"),
        ("application/dtmf-relay", "signal=d", "D"),
        ("application/dtmf", "7", "7"),
        ("application/dtmf", " 10\r\n", "*"),
        ("application/dtmf-relay", "Signal=16", None),
        ("application/dtmf-relay", "Signal=", None),
        ("application/dtmf-relay", "Signal=55", None),
        ("application/dtmf-relay", "5", None),
        ("application/dtmf", "Signal=5", None),
        ("application/dtmf", "", None),
        ("application/dtmf", "٣", None),
        ("text/plain", "5", None),
        ("", "5", None),
        ("application/dtmf", " " * 60_000 + "5", None),
    ],
)
def test_the_key_of_an_info(kind: str, body: str, digit: str | None) -> None:
    assert info_digit(kind, body) == digit


@given(st.text(max_size=300), st.sampled_from(["application/dtmf", "application/dtmf-relay"]))
def test_any_body_is_a_key_or_none(body: str, kind: str) -> None:
    assert info_digit(kind, body) in {None, *KEYS}


def test_a_thousand_presses_by_info_are_a_thousand_keys() -> None:
    rng, keypad = random.Random(4), Keypad()
    keys = [rng.choice(KEYS) for _ in range(1000)]
    heard = []
    for n, key in enumerate(keys):
        digit = info_digit("application/dtmf-relay", f"Signal={key}\r\nDuration=100\r\n")
        assert digit is not None
        heard.append(keypad.press(digit, n * 0.06, "info"))
    assert heard == keys


@pytest.mark.parametrize("first", ["rfc4733", "info"])
def test_a_press_that_comes_both_ways_counts_once(first: str) -> None:
    rng, keypad = random.Random(5), Keypad()
    keys = [rng.choice("01") for _ in range(500)]
    other = "info" if first == "rfc4733" else "rfc4733"
    presses = [(0.0, keys[0], first), (0.1, keys[0], other)]
    for n, key in enumerate(keys[1:], 1):
        presses += [(n * 0.2 + rng.random() * 0.4, key, method) for method in (first, other)]
    heard = [keypad.press(key, at, method) for at, key, method in sorted(presses)]
    by_first = [key for _, key, method in sorted(presses) if method == first]
    assert [key for key in heard if key is not None] == by_first


def test_a_phone_that_changes_its_way_is_followed_at_the_second_key() -> None:
    keypad = Keypad()
    assert keypad.press("1", 0.0, "rfc4733") == "1"
    assert keypad.press("2", 5.0, "info") is None
    assert keypad.press("3", 6.0, "info") == "3"
    assert keypad.press("4", 7.0, "info") == "4"
    assert keypad.press("4", 7.1, "rfc4733") is None


def test_a_copy_that_comes_before_its_original_changes_nothing() -> None:
    keypad = Keypad()
    assert keypad.press("1", 0.0, "rfc4733") == "1"
    assert keypad.press("2", 5.0, "info") is None
    assert keypad.press("2", 5.1, "rfc4733") == "2"
    assert keypad.press("3", 9.0, "info") is None
    assert keypad.press("3", 9.1, "rfc4733") == "3"
