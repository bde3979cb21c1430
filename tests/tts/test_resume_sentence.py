import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.agents.types import TimedString

from tts.resume import UNITS_PER_SECOND, remainder, units

TEXT = "Thank you for that, now tell me about a project that you are proud of."
CHINESE = "谢谢你的回答，请再讲一个你在上一家公司负责过的后端项目。"


def timed(text: str, word_s: float = 0.3) -> list[TimedString]:
    words = [word.strip(",.") for word in text.split()]
    return [
        TimedString(word, start_time=i * word_s, end_time=(i + 1) * word_s)
        for i, word in enumerate(words)
    ]


def test_a_sentence_that_never_began_is_said_whole() -> None:
    assert remainder(TEXT, 0.0) == TEXT


def test_word_times_say_exactly_what_is_left() -> None:
    assert remainder(TEXT, 0.3 * 9, timed(TEXT)) == "project that you are proud of."


def test_a_word_half_said_is_said_again() -> None:
    assert remainder(TEXT, 0.3 * 9 - 0.1, timed(TEXT)) == "a project that you are proud of."


def test_a_clause_that_has_hardly_begun_begins_again() -> None:
    assert (
        remainder(TEXT, 0.3 * 7, timed(TEXT))
        == "now tell me about a project that you are proud of."
    )


def test_nothing_is_left_after_the_last_word() -> None:
    assert remainder(TEXT, 0.3 * 16, timed(TEXT)) == ""


def test_words_that_are_not_in_the_text_are_not_trusted() -> None:
    words = [TimedString("bonjour", start_time=0.0, end_time=9.0)]
    assert remainder(TEXT, 1.0, words) == remainder(TEXT, 1.0)


def test_without_word_times_the_pace_tells_and_the_end_is_said_again() -> None:
    total_s = units(TEXT) / UNITS_PER_SECOND
    late = remainder(TEXT, 0.8 * total_s)
    assert TEXT.endswith(late)
    assert 0.2 <= len(late) / len(TEXT) <= 0.4
    assert remainder(TEXT, total_s / 2) == "now tell me about a project that you are proud of."
    assert remainder(TEXT, total_s * 2) == "of."


def test_chinese_goes_on_at_a_character_or_a_near_clause() -> None:
    total_s = units(CHINESE) / UNITS_PER_SECOND
    assert remainder(CHINESE, total_s * 0.45) == "请再讲一个你在上一家公司负责过的后端项目。"
    late = remainder(CHINESE, total_s * 0.9)
    assert CHINESE.endswith(late) and 2 <= len(late) < 12


@given(
    st.text(alphabet="abc ,.，。字é", max_size=60),
    st.floats(0, 20),
    st.floats(0.05, 1),
)
def test_what_is_left_is_always_an_end_of_the_text(
    text: str, spoken_s: float, word_s: float
) -> None:
    for words in ((), timed(text, word_s)):
        left = remainder(text, spoken_s, words)
        assert text.endswith(left)


@pytest.mark.parametrize("text", [TEXT, CHINESE])
def test_more_said_never_leaves_more_to_say(text: str) -> None:
    lengths = [len(remainder(text, at / 10)) for at in range(1, 120)]
    assert lengths == sorted(lengths, reverse=True)
