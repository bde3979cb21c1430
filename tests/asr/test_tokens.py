"""Tokens become words, however a model writes them; every letter stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.tokens import LONGEST_WORD_S, words_of


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        (["今", "天", "，", "好", "。"], ["今", "天，", "好。"]),
        ([" hel", "lo", " world", "."], ["hello", "world."]),
        (["hel@@", "lo", "world"], ["hello", "world"]),
        (["我", "用", " Py", "thon", "写"], ["我", "用", "Python", "写"]),
        (["我", "用", "py@@", "thon", "写"], ["我", "用", "python", "写"]),
        ([" I", "'", "m", " here"], ["I'm", "here"]),
        (["<|zh|>", "好"], ["好"]),
        (["，", "好"], ["，", "好"]),
        ([" ", "a", "b"], ["ab"]),
        ([], []),
    ],
)
def test_tokens_become_words(tokens: list[str], words: list[str]) -> None:
    heard = words_of(tokens, [float(i) for i in range(len(tokens))], 20.0)
    assert [word.text for word in heard] == words


def test_a_word_ends_at_the_next_or_soon() -> None:
    a, b = words_of(["好", "你"], [0.5, 0.8], 9.0)
    assert (a.start_s, a.end_s, b.start_s, b.end_s) == (0.5, 0.8, 0.8, 0.8 + LONGEST_WORD_S)


def test_without_times_there_are_no_words() -> None:
    assert words_of(["好", "你"], [], 9.0) == ()


PIECES = st.sampled_from([" he", "llo", "好", "你", "，", "a@@", "b", " ", "<|en|>", "1", "'s"])


@settings(deadline=None)
@given(st.lists(st.tuples(PIECES, st.floats(0, 0.5)), max_size=20))
def test_words_follow_one_another_within_the_audio_and_no_letter_is_lost(
    said: list[tuple[str, float]],
) -> None:
    tokens, starts, at = [], [], 0.0
    for token, pause in said:
        at += pause
        tokens.append(token)
        starts.append(at)
    heard = words_of(tokens, starts, at + 0.1)
    letters = "".join(t.removesuffix("@@").strip() for t in tokens if t != "<|en|>")
    assert "".join(word.text for word in heard) == letters
    times = [t for word in heard for t in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(0 <= t <= at + 0.1 for t in times)
