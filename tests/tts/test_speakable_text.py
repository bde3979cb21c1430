import pytest
from hypothesis import given
from hypothesis import strategies as st

from tts.text import MAX_CHARS, speakable


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Thank you.<|im_end|>", "Thank you."),
        ("<|im_start|>assistant Hello", "assistant Hello"),
        ('Right. <tool_call>{"name": "wait"}</tool_call>', "Right."),
        ('Right. <tool_call>{"name": "wa', "Right."),
        ("<think>hmm\nhmm</think>Go on.", "Go on."),
        ("<|im_<|im_end|>end|>Hello", "Hello"),
        ("**Tell** me about *one* `project`.", "Tell me about one project."),
        ("请讲**一个**项目。", "请讲一个项目。"),
        ("# Part one\n- first\n- second", "Part one first second"),
        ("See [the docs](https://example.org/a_b) now", "See the docs now"),
        ("<b>Bold</b> &amp; brave", "Bold &amp; brave"),
        ("Well done 🎉👍🏽!", "Well done !"),
        ("a\x00b\x0bc\td", "a b c d"),
    ],
)
def test_marks_that_are_not_words_are_taken_out(written: str, spoken: str) -> None:
    assert speakable(written) == spoken


@pytest.mark.parametrize(
    "plain",
    [
        "What is 2*3*4, or 5 * 6?",
        "Have you used my_private_function or C++ and C#?",
        "If a < b and c > d, what then?",
        "你好，请介绍一下你自己。",
        "It's 10% — isn't it?",
    ],
)
def test_plain_words_pass_unchanged(plain: str) -> None:
    assert speakable(plain) == plain


def test_a_line_that_is_too_long_ends_with_a_whole_sentence() -> None:
    line = "This is one sentence. " * 400
    cut = speakable(line)
    assert len(cut) <= MAX_CHARS
    assert cut.endswith("sentence.")
    assert len(cut) > MAX_CHARS // 2


def test_a_line_without_sentences_is_cut_at_a_word() -> None:
    assert speakable("word " * 1000).endswith("word")


@pytest.mark.parametrize(
    "nothing", ["", "   ", "***", "<|endoftext|>", "🎉", "```\n```", "---", "...", "？！"]
)
def test_what_holds_no_words_is_empty(nothing: str) -> None:
    assert speakable(nothing) == ""


PIECES = st.sampled_from(
    ["<|", "|>", "im_end", "<tool_call>", "</tool_call>", "**", "*", "_", "`", "\n", "- ", "# ",
     "[", "](", ")", "<b>", "<", ">", "a", "字", "é", " ", ".", "。", "🎉", "\x07", "\ud800"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map("".join) | st.text(max_size=200))
def test_speaking_twice_changes_nothing_and_no_token_survives(text: str) -> None:
    once = speakable(text, 80)
    assert speakable(once, 80) == once
    assert len(once) <= 80
    assert "<|im_end|>" not in once and "<tool_call>" not in once
    once.encode()  # a lone surrogate would kill a voice's pipe
