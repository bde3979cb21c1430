"""Why a move is refused, as a code in the log and as words for the model."""

from __future__ import annotations

import re

import pytest

import prompts
from agent.refusal import Reason, Refusal, read


def wordings(language: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^## (\w+)\n(.+)$", prompts.source(language, "refusals")))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_reason_has_its_words_and_no_other_has(language: str) -> None:
    assert list(wordings(language)) == list(Reason)


def test_both_languages_name_the_same_facts() -> None:
    english, chinese = wordings("en"), wordings("zh")
    assert [r for r in Reason if ("$fact" in english[r]) != ("$fact" in chinese[r])] == []


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("fact", ["", "3", "deep: result, free"])
def test_what_the_log_holds_is_read_back(reason: Reason, fact: str) -> None:
    refusal = Refusal(reason, fact)
    assert read(str(refusal)) == refusal


def test_an_older_logs_sentence_is_no_refusal() -> None:
    assert read("Not ask_probe: all follow-ups of this question are used.") is None
