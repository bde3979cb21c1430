"""Strings of digits as people say them: a PIN, a number to call back."""

from __future__ import annotations

import random
from collections.abc import Sequence

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
WORDS = frozenset((*NAMES, "oh", "double", "my", "the", "pin", "number", "is", "it", "code"))
"""Every word of a phrase here, in lower case."""
_CARRIERS = (
    "My pin is {}.", "The pin is {}.", "It is {}.", "The number is {}.", "My number is {}.",
    "The code is {}.",
)  # fmt: skip
_GROUPS: Sequence[tuple[int, ...]] = ((4, 4), (3, 3, 4), (2, 2, 2, 2, 2), (4, 4, 4), (3, 3, 3, 3))
SHORTEST, LONGEST = 4, 10


def phrase(chance: random.Random) -> str:
    """Four to ten digits, now and then a single one, bare or in a short sentence."""
    if chance.random() < 0.08:
        return f"{chance.choice((*NAMES, 'oh')).capitalize()}."
    said = spoken(drawn(chance, chance.randint(SHORTEST, LONGEST)), chance)
    if chance.random() < 0.75:
        return f"{said.capitalize()}."
    return chance.choice(_CARRIERS).format(said)


def drawn(chance: random.Random, count: int) -> str:
    """Digits, repeated ones more often than chance has it: they are the hard ones."""
    digits = ""
    while len(digits) < count:
        repeat = bool(digits) and chance.random() < 0.15
        digits += digits[-1] if repeat else str(chance.randrange(10))
    return digits


def spoken(digits: str, chance: random.Random) -> str:
    """In words; a comma, which is heard as a pause, between groups if there are groups.

    Zero is "oh" in half of the strings, and a pair is now and then "double".
    """
    zero = chance.choice(("zero", "oh"))
    sizes = chance.choice(_GROUPS) if chance.random() < 0.5 else (len(digits),)
    groups: list[str] = []
    for size in sizes:
        if digits:
            groups.append(_words(digits[:size], zero, chance))
            digits = digits[size:]
    if digits:
        groups.append(_words(digits, zero, chance))
    return ", ".join(groups)


def _words(digits: str, zero: str, chance: random.Random) -> str:
    words: list[str] = []
    for digit in digits:
        name = zero if digit == "0" else NAMES[int(digit)]
        again = bool(words) and words[-1] == name
        if again and chance.random() < 0.1 and "double" not in words[-2:]:
            words[-1:] = ["double", name]
        else:
            words.append(name)
    return " ".join(words)
