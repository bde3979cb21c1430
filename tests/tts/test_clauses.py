import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.clauses import MAX_UNITS, MIN_UNITS, clauses
from tts.resume import units


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.", ["Hello."]),
        (
            "Thank you for that, let us go on: what did you build?",
            ["Thank you for that,", "let us go on: what did you build?"],
        ),
        ("It took 3.5 hours at 12:30, I think.", ["It took 3.5 hours at 12:30, I think."]),
        ("I asked Dr. Smith about the plan.", ["I asked Dr. Smith about the plan."]),
        (
            "“That went very well,” she said to them.",
            ["“That went very well,”", "she said to them."],
        ),
        ("今天天气很好，请介绍项目；谢谢。", ["今天天气很好，", "请介绍项目；谢谢。"]),
        ("请说说团队、工具、流程和结果。", ["请说说团队、", "工具、流程和结果。"]),
        ("... ... ... ... ..., the first words come late.", None),
        ("", []),
    ],
)
def test_a_text_is_cut_at_its_marks(text: str, expected: list[str] | None) -> None:
    assert clauses(text) == ([text] if expected is None else expected)


@given(st.text(alphabet="ab 你好,.;:!?，。、…—”)\n3", max_size=120))
def test_nothing_is_lost_and_no_clause_but_a_lone_one_is_short(text: str) -> None:
    found = clauses(text)
    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", text)
    if len(found) > 1:
        assert all(units(one) >= MIN_UNITS for one in found)
        assert all(units(one) <= MAX_UNITS for one in found)
        assert all(re.search(r"\w", one) for one in found)


@pytest.mark.parametrize("text", ["word " * 400, "x" * 1000, "你好" * 300])
def test_a_text_without_marks_is_cut_between_words_where_it_can_be(text: str) -> None:
    found = clauses(text)
    assert "".join(found) == text.replace(" ", "") or " ".join(found) == text.strip()
    assert all(units(one) <= MAX_UNITS for one in found)


@given(st.text(alphabet="ab 你好,.，。", max_size=80))
def test_each_clause_stands_in_the_text_as_it_is_written(text: str) -> None:
    at = 0
    for one in clauses(text):
        at = text.index(one, at) + len(one)
