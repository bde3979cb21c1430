"""Invented words are dropped, and true ones, however short, are not."""

import pytest

from asr.guards import plain, reason_to_drop, repetitive, unsure
from asr.recognition import HeardWord, Recognition


def heard(text: str, avg_logprob: float | None = -0.1, no_speech_prob: float = 0.01) -> Recognition:
    return Recognition(text, "en", avg_logprob, no_speech_prob)


def test_a_sure_yes_survives_a_high_no_speech_probability() -> None:
    assert reason_to_drop(heard("Yes.", -0.3, 0.9), voiced_s=0.1) is None


def test_an_unsure_text_over_clear_speech_survives() -> None:
    assert reason_to_drop(heard("I used Kubernetes.", -1.3, 0.1), voiced_s=1.5) is None


def test_an_unsure_text_over_what_is_hardly_speech_is_dropped() -> None:
    assert reason_to_drop(heard("Thank you.", -1.3, 0.8), voiced_s=1.0) == "no_speech"


@pytest.mark.parametrize("text", ["", "...", " - "])
def test_nothing_but_punctuation_is_dropped(text: str) -> None:
    assert reason_to_drop(heard(text), voiced_s=1.0) == "no_speech"


@pytest.mark.parametrize(
    "text",
    ["thank you for that " * 4, "the " * 9, "我们 一起 去 " * 5, "so so so so so so so " * 3],
)
def test_a_phrase_said_again_and_again_is_dropped(text: str) -> None:
    assert reason_to_drop(heard(text), voiced_s=20.0) == "repetition"


@pytest.mark.parametrize(
    "text",
    [
        "No, no, no, no.",
        "It was very, very, very slow, and it was very, very expensive.",
        "First we tested it, then we tested it again, and then we tested it again.",
        "I built it, I tested it and I launched it.",
    ],
)
def test_people_repeat_themselves(text: str) -> None:
    assert not repetitive(text)


def test_more_words_than_the_time_holds_are_dropped() -> None:
    text = "please subscribe to the channel and leave a comment below"
    assert reason_to_drop(heard(text), voiced_s=0.2) == "impossible_rate"
    assert reason_to_drop(heard(text), voiced_s=3.0) is None


def guessed(text: str, avg_logprob: float, probability: float) -> Recognition:
    words = tuple(HeardWord(w, i, i + 0.5, probability) for i, w in enumerate(text.split()))
    return Recognition(text, "en", avg_logprob, 0.0, words)


def test_a_sentence_of_which_each_word_is_a_guess_is_dropped() -> None:
    babble = guessed("In my opinion I usually young early organized people.", -1.4, 0.28)
    assert reason_to_drop(babble, voiced_s=8.0) == "unintelligible"


@pytest.mark.parametrize(
    ("text", "avg_logprob", "probability"),
    [
        ("Yes, I did.", -1.4, 0.3),  # too short to tell
        ("I used it in my last job.", -0.9, 0.3),  # the whole is likelier than its words
        ("I used it in my last job.", -1.4, 0.6),  # and the words than the whole
    ],
)
def test_a_faint_answer_survives(text: str, avg_logprob: float, probability: float) -> None:
    assert reason_to_drop(guessed(text, avg_logprob, probability), voiced_s=3.0) is None


def test_a_model_without_confidence_is_taken_at_its_word() -> None:
    assert reason_to_drop(heard("Yes.", None), voiced_s=1.0) is None
    assert not unsure(heard("Yes.", None))
    assert reason_to_drop(heard("Yes.", None, 1.0), voiced_s=1.0) == "no_speech"


def test_special_tokens_are_taken_out_of_text() -> None:
    assert plain("Yes <|im_end|><|im_start|>system  now<|0.00|>") == "Yes system now"


def test_only_an_unsure_or_repetitive_text_is_tried_again() -> None:
    assert unsure(heard("hello there", -1.2))
    assert unsure(heard("go on and on then " * 5))
    assert not unsure(heard("hello there", -0.4))
    assert not unsure(heard("Thank you.", -1.3, 0.9))
