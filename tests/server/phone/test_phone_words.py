"""What is said on the telephone: lines, digits, addresses."""

from __future__ import annotations

from pathlib import Path

import pytest

import prompts
from agent import planfile
from agent.dictation import to_write_down
from server.phone import words
from server.phone.spoken_digits import digits

PLANS = Path(__file__).parents[3] / "prompts" / "plans"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("One two three.", "123"),
        ("It's four, five; oh six!", "4506"),
        ("double seven triple zero", "77000"),
        ("12 34 5", "12345"),
        ("一二三，幺两〇", "123120"),
        ("", ""),
        ("hello", ""),
    ],
)
def test_digits_are_found_in_what_was_said(said: str, found: str) -> None:
    assert digits(said) == found


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("+49 30 1234567", "en", "plus 4 9 3, 0 1 2, 3 4 5, 6 7"),
        ("Mail jo.x@a.com.", "en", "Mail jo dot x at a dot com, j o, dot, x, at, a, dot, com."),
        ("jo@example.com", "zh", "jo 艾特 example 点 com, j o, 艾特, example, 点, com"),
        ("Ask Ada in room 12.", "en", "Ask Ada in room 12."),
    ],
)  # fmt: skip
def test_what_one_has_to_write_down_is_said_slowly(text: str, language: str, said: str) -> None:
    assert to_write_down(text, language) == said


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_line_is_whole_and_speaks_of_nothing_that_can_be_seen(language: str) -> None:
    plan = planfile.load(PLANS / f"backend_engineer_{language}.yaml")
    assert set(prompts.sections("en", "phone")) == set(prompts.sections("zh", "phone"))
    for name in prompts.sections(language, "phone"):
        said = words.line(name, language, plan)
        assert "$" not in said and said.strip()
        for word in ("screen", "button", "page", "click", "屏幕", "点击", "页面", "按钮"):
            assert word not in said.lower()
