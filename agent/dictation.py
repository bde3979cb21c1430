"""An address or a number as it is said on the telephone, where nothing can be read. Pure.

Digits are said one by one, in groups; of an e-mail address or a web address each name is said and
then spelled. Commas make a voice pause. A contact is all for writing down; in a question or an
answer only what is surely an address or a telephone's number is, since years, sums and versions
are numbers too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_HOST = r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_STEP = r"(?:/[A-Za-z0-9._~%+-]*[A-Za-z0-9_~])"
_DOMAINS = "com|org|net|edu|gov|info|io|eu|cn|de|at|ch|fr|uk|jp"  # or Node.js/Express would be one
_WEB = re.compile(
    rf"(?:https?://|www\.){_HOST}{_STEP}*"
    rf"|(?<![\w.@/])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_DOMAINS}){_STEP}+"
)
_NUMBER = re.compile(r"\+?\d(?:[ ()./-]?\d){4,}")
_TELEPHONE = re.compile(
    r"(?<![\d.,:/-])(?:"
    r"\+\d(?:[ ()/-]{0,2}\d){6,14}"  # with its country
    r"|0\d{1,4}[ /-]\d(?:[ -]?\d){3,9}"  # with its area
    r"|\(?\d{3}\)?[ -]\d{3}-\d{4}"
    r"|1[3-9]\d{9}"  # a mobile in China
    r")(?![\d:]|[.,/-]\d)"
)
_DATE = re.compile(r"\d{2}[ /-]\d{2}[ /-]\d{4}")
_CONTACT = re.compile(f"({_ADDRESS.pattern}|{_WEB.pattern})|({_NUMBER.pattern})")
_SURELY = re.compile(f"({_ADDRESS.pattern}|{_WEB.pattern})|({_TELEPHONE.pattern})")
_SIGNS = {
    "en": {
        "@": "at", ".": "dot", "-": "hyphen", "_": "underscore", "+": "plus", "%": "percent",
        "/": "slash", "~": "tilde",
    },
    "zh": {
        "@": "艾特", ".": "点", "-": "横杠", "_": "下划线", "+": "加号", "%": "百分号",
        "/": "斜杠", "~": "波浪号",
    },
}  # fmt: skip
_GROUP = 3
_WORDS = {"com", "org", "net", "example", "www", "jobs", "careers"}
"""Names that everybody can write without having them spelled."""


def to_write_down(contact: str, language: str) -> str:
    """A contact with what one has to write down said slowly; other words stay as they are."""
    return _slowly(_CONTACT, contact, language)


def spelled(text: str, language: str) -> str:
    """A question or an answer, with addresses and telephone numbers said slowly."""
    return _slowly(_SURELY, text, language)


def _slowly(pattern: re.Pattern[str], text: str, language: str) -> str:
    def said(found: re.Match[str]) -> str:
        if found[1]:
            return _address(re.sub("^https?://", "", found[1]), language)
        return found[2] if _DATE.fullmatch(found[2]) else _number(found[2], language)

    return pattern.sub(said, text)


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
