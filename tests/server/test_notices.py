"""What a candidate's page shows has words in both languages."""

from __future__ import annotations

import re
from typing import get_args

import pytest

import prompts
from server.api.notices import notice
from server.microphone import Missing


@pytest.mark.parametrize("code", prompts.sections("en", "notices"))
def test_every_notice_is_a_sentence_in_both_languages(code: str) -> None:
    english, chinese = notice(code, "en"), notice(code, "zh")
    assert english.code == chinese.code == code
    assert english.text.endswith(".") or english.text.endswith("?")
    assert re.search("[\u3400-\u9fff]", chinese.text)
    assert not re.search("[\u3400-\u9fff]", english.text)
    assert "你" not in chinese.text


def test_no_notice_is_in_one_language_only() -> None:
    assert list(prompts.sections("en", "notices")) == list(prompts.sections("zh", "notices"))


@pytest.mark.parametrize("missing", get_args(Missing))
def test_what_a_microphone_lacks_has_words(missing: Missing) -> None:
    assert notice(missing, "en").text != notice(missing, "zh").text
