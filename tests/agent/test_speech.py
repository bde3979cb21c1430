"""A reply's parts, and how much of a line was heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.interview import Line, Reply
from agent.moves import NextQuestion
from agent.speech import Speech, heard_text

LINE = "Tell me about a time when things went wrong."


def reply(acknowledgement: str = "Thank you.") -> Reply:
    asking = Line("question", "What about deep?", "deep")
    lines = (Line("stage", "Now to your work."), asking)
    return Reply(NextQuestion(acknowledgement=acknowledgement), lines, None, acknowledgement)


def test_half_of_the_time_is_half_of_the_line_up_to_a_word() -> None:
    assert heard_text(LINE, 1.0, 2.0) == "Tell me about a time"
    assert heard_text(LINE, 2.0, 2.0) == LINE
    assert heard_text(LINE, 0.0, 2.0) == ""
    assert heard_text(LINE, 1.0, 0.0) == "", "a length that is not known tells nothing"


def test_chinese_is_cut_at_a_character() -> None:
    assert heard_text("请介绍一下您自己。", 1.0, 3.0) == "请介绍"


@given(st.text(max_size=80), st.floats(0, 20), st.floats(0, 20))
def test_what_was_heard_is_a_beginning_of_the_line(text: str, heard: float, total: float) -> None:
    part = heard_text(text, heard, total)
    assert text.startswith(part)
    assert " " not in text or part in ("", text) or text[len(part)].isspace()


@given(st.floats(0, 10), st.floats(0, 10))
def test_more_time_is_never_fewer_words(one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert len(heard_text(LINE, less, 10)) <= len(heard_text(LINE, more, 10))


def test_a_reply_is_its_acknowledgement_then_its_lines() -> None:
    speech = Speech("x", "r1")
    assert [part.kind for part in speech.add_reply(reply())] == [
        "acknowledgement",
        "stage",
        "question",
    ]


def test_an_acknowledgement_that_was_released_is_not_said_again() -> None:
    speech = Speech("x", "r1")
    speech.add("acknowledgement", "Thank you.")
    assert [part.kind for part in speech.add_reply(reply())] == ["stage", "question"]
    assert len(speech.parts) == 3


def test_a_line_without_words_is_no_part() -> None:
    speech = Speech("x", "r1")
    assert speech.add_reply(Reply(None, (Line("stage", ""),))) == []


def test_the_last_part_that_sounded_is_known() -> None:
    speech = Speech("x", "r1")
    first, second, _ = speech.add_reply(reply())
    assert speech.last_started() is None
    first.started_at = second.started_at = 1.0
    assert speech.last_started() is second
