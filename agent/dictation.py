"""An address or a number as it is said on the telephone, where nothing can be read. Pure.

Digits are said one by one, in groups; of an e-mail address or a web address each name is said and
then spelled. Commas make a voice pause.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_NUMBER = re.compile(r"\+?\d(?:[ ()./-]?\d){4,}")
_EITHER = re.compile(f"({_ADDRESS.pattern})|({_NUMBER.pattern})")
_SIGNS = {
    "en": {"@": "at", ".": "dot", "-": "hyphen", "_": "underscore", "+": "plus", "%": "percent"},
    "zh": {"@": "艾特", ".": "点", "-": "横杠", "_": "下划线", "+": "加号", "%": "百分号"},
}
_GROUP = 3
_WORDS = {"com", "org", "net", "example"}
"""Names that everybody can write without having them spelled."""


def to_write_down(text: str, language: str) -> str:
    """`text` with what one has to write down said slowly; other words stay as they are."""

    def said(found: re.Match[str]) -> str:
        return _address(found[1], language) if found[1] else _number(found[2], language)

    return _EITHER.sub(said, text)


def _number(number: str, language: str) -> str:
    plus = _SIGNS[language]["+"] + " " if number.startswith("+") else ""
    digits = re.sub(r"\D", "", number)
    return plus + ", ".join(" ".join(group) for group in _groups(digits))


def _groups(digits: str) -> Iterator[str]:
    """Threes; the last has up to four, since a lone digit is missed."""
    while len(digits) > _GROUP + 1:
        yield digits[:_GROUP]
        digits = digits[_GROUP:]
    yield digits


def _address(address: str, language: str) -> str:
    signs = _SIGNS[language]
    parts = re.findall(r"[A-Za-z0-9]+|[^A-Za-z0-9]", address)
    plain = " ".join(signs.get(part, part) for part in parts)
    spelled = ", ".join(_spelled(part, signs) for part in parts)
    return f"{plain}, {spelled}"


def _spelled(part: str, signs: dict[str, str]) -> str:
    if part in signs:
        return signs[part]
    return part if part.lower() in _WORDS else " ".join(part)
