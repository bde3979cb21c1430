"""Who is at the other end."""

from __future__ import annotations

import pytest

from server.phone.bridge import Party


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("+442079460123", "+442079460123"),
        ("(020) 7946-0.123", "02079460123"),
        ("101", "101"),
        ("00442079460123", "+442079460123"),
        ("0044/20 7946.0123", "+442079460123"),
        ("00123", "00123"),
        ("02079460123", "02079460123"),
        ("000442079460123", "000442079460123"),
        ("", ""),
        ("anonymous", ""),
        ("1", ""),
        ("+", ""),
        ("12+34", ""),
        ("٣٤٥", ""),  # digits of another script are no number that a PBX knows
        ("1" * 21, ""),
        ("<b>101</b>", ""),
    ],
)
def test_a_number_is_digits_or_nothing(user: str, number: str) -> None:
    assert Party(user).number == number
