"""What is said on the telephone: lines, digits, addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import prompts
from agent import planfile
from agent.dictation import spelled, to_write_down
from agent.sentences import sentences
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


@pytest.mark.parametrize(("language", "most"), [("en", 12), ("zh", 26)])
def test_every_sentence_of_ours_can_be_heard_once(language: str, most: int) -> None:
    """`most` words, or Chinese characters; none speaks of what can be seen."""
    stock = [text for wordings in prompts.lines(language).values() for text in wordings]
    for text in (*prompts.sections(language, "phone").values(), *stock):
        for sentence in sentences(text):
            unit = r"[\u3400-\u9fff]" if language == "zh" else r"[\w'$-]+"
            assert len(re.findall(unit, sentence)) <= most, sentence
        for word in ("screen", "button", "page", "click", "屏幕", "点击", "页面", "按钮"):
            assert word not in text.lower()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_caller_hears_what_they_agree_to(language: str) -> None:
    plan = planfile.load(PLANS / f"backend_engineer_{language}.yaml")
    consent = plan.policy.consent
    assert consent.text in words.line("consent_text", language, plan)
    assert consent.recording_text in words.line("recording_text", language, plan)
    assert words.line("disclosure", language, plan) == plan.policy.disclosure


def test_a_line_with_facts_of_an_interview_is_not_made_ready_before_a_call() -> None:
    ready = words.ready("en")
    assert words.line("welcome", "en") in ready
    assert not [text for text in ready if "$" in text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Call +49 30 1234567.", "Call plus 4 9 3, 0 1 2, 3 4 5, 6 7."),
        ("Call 030/123456 or 555-123-4567.", "Call 0 3 0, 1 2 3, 4 5 6 or 5 5 5, 1 2 3, 4 5 6 7."),
        ("请拨13812345678。", "请拨1 3 8, 1 2 3, 4 5 6, 7 8。"),
        ("See a.org/jobs.", "See a dot org slash jobs, a, dot, org, slash, jobs."),
        ("See https://a.eu.", "See a dot eu, a, dot, e u."),
    ],
)
def test_addresses_and_telephones_in_a_sentence_are_said_slowly(text: str, said: str) -> None:
    assert spelled(text, "en") == said


@pytest.mark.parametrize(
    "text",
    [
        "How did you serve 1000000 users, or 1 000 000, in 2019-2023?",
        "On 01/02/2024, 01-02-2024 or 2024-01-01 at 09:30-10:45?",
        "Node.js/Express, TCP/IP, and/or version 1.22.333 at 10.0.0.1:8080 with 0.00001 %?",
        "你们在2019年有12345678个用户吗？",
    ],
)
def test_other_numbers_and_names_in_a_sentence_stay_as_they_are(text: str) -> None:
    assert spelled(text, "en") == text
