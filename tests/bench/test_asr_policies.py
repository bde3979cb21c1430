"""The growing buffers by a scripted recogniser: what they give out, and what they hear again."""

from collections.abc import Sequence

import numpy as np
import pytest

from asr.recognition import Audio
from bench.asr_policies import GrowingBuffer, LocalAgreement, Passage, Word

SECOND = 16_000


def silence(seconds: float) -> Audio:
    return np.zeros(round(seconds * SECOND), np.float32)


def passage(text: str, start_s: float = 0.0, no_speech: float = 0.0) -> Passage:
    """A word each second."""
    words = tuple(
        Word(start_s + i, start_s + i + 0.9, f" {word}") for i, word in enumerate(text.split())
    )
    return Passage(start_s, words[-1].end_s, f" {text}", words, no_speech)


class Scripted:
    def __init__(self, *answers: Sequence[Passage] | None) -> None:
        self.answers = list(answers)
        self.given_s: list[float] = []
        self.prompts: list[str] = []

    def __call__(self, audio: Audio, prompt: str) -> Sequence[Passage] | None:
        self.given_s.append(len(audio) / SECOND)
        self.prompts.append(prompt)
        return self.answers.pop(0)


def texts(words: Sequence[Word]) -> str:
    return "".join(word.text for word in words).strip()


# --- LocalAgreement -------------------------------------------------------------------------------
def test_what_two_passes_agree_on_is_final_and_no_more() -> None:
    policy = LocalAgreement(
        Scripted([passage("I was")], [passage("I was a")], [passage("I wash a cat")])
    )
    said = []
    for _ in range(3):
        policy.insert(silence(1))
        said.append(texts(policy.step()))
    assert said == ["", "I was", "a"]
    assert texts(policy.finish()) == "cat"


def test_the_whole_buffer_is_heard_again_until_it_is_trimmed_at_a_final_passage() -> None:
    text = [passage("a b c d"), passage("e f g h", 4.0)]
    recogniser = Scripted(text, text, [passage("e f g h")])
    policy = LocalAgreement(recogniser, trim_s=8.5)
    policy.insert(silence(8))
    policy.step()
    policy.insert(silence(1))
    assert texts(policy.step()) == "a b c d e f g h"
    assert policy.buffered_s == pytest.approx(9 - 3.9)
    policy.insert(silence(1))
    policy.step()
    assert recogniser.given_s == pytest.approx([8, 9, 10 - 3.9])
    assert recogniser.prompts == ["", "", " a b c d"]


def test_a_passage_that_is_not_final_yet_stays_in_the_buffer() -> None:
    policy = LocalAgreement(Scripted([passage("a b"), passage("c d", 2.0)]), trim_s=3.0)
    policy.insert(silence(4))
    policy.step()
    assert policy.buffered_s == 4


def test_words_that_were_final_are_not_said_twice() -> None:
    """After a trim the next text may begin with the last final words."""
    text = [passage("a b c d"), passage("e f", 4.0)]
    again = [passage("d e f g")]
    policy = LocalAgreement(Scripted(text, text, again, again), trim_s=5.5)
    said = []
    for seconds in (6, 1, 1, 1):
        policy.insert(silence(seconds))
        said.append(texts(policy.step()))
    assert " ".join(filter(None, said)).split().count("d") == 1


def test_a_new_utterance_begins_with_nothing() -> None:
    recogniser = Scripted([passage("a b")], [passage("c")])
    policy = LocalAgreement(recogniser)
    policy.insert(silence(2))
    policy.step()
    policy.begin(10.0)
    policy.insert(silence(1))
    assert policy.step() == []
    assert recogniser.given_s == [2, 1]
    assert [word.start_s for word in policy.finish()] == [10.0]


# --- WhisperLive ----------------------------------------------------------------------------------
def test_all_passages_but_the_last_are_final_and_leave_the_buffer() -> None:
    recogniser = Scripted([passage("a b"), passage("c", 2.0)], [passage("c d")])
    policy = GrowingBuffer(recogniser)
    policy.insert(silence(3))
    assert policy.step() == 0.0
    assert (policy.final, policy.open) == ([" a b"], " c")
    policy.insert(silence(1))
    policy.step()
    assert recogniser.given_s == pytest.approx([3, 4 - 1.9])


def test_less_than_a_second_is_not_recognised() -> None:
    policy = GrowingBuffer(Scripted())
    policy.insert(silence(0.9))
    assert policy.step() == GrowingBuffer.LOOK_S


def test_an_open_passage_is_final_once_it_was_repeated_often_enough() -> None:
    policy = GrowingBuffer(Scripted(*[[passage("a b")]] * 12))
    policy.insert(silence(3))
    passes = 0
    while not policy.final:
        policy.step()
        passes += 1
    assert passes == 12
    assert (policy.final, policy.open) == ([" a b"], "")
    assert len(policy.waiting) / SECOND == pytest.approx(3 - 1.9)


def test_a_last_passage_that_is_no_speech_finishes_nothing() -> None:
    policy = GrowingBuffer(Scripted([passage("a"), passage("b", 1.0, no_speech=0.9)]))
    policy.insert(silence(3))
    policy.step()
    assert (policy.final, policy.open) == ([], "")
    assert len(policy.waiting) == 3 * SECOND


def test_audio_without_speech_is_left_behind() -> None:
    policy = GrowingBuffer(Scripted(None))
    policy.insert(silence(2))
    assert policy.step() == GrowingBuffer.NO_SPEECH_S
    assert len(policy.waiting) == 0


def test_a_buffer_that_grew_too_long_loses_what_was_never_final() -> None:
    policy = GrowingBuffer(Scripted())
    for _ in range(47):
        policy.insert(silence(1))
    assert len(policy.waiting) / SECOND == 47 - GrowingBuffer.TRIMMED_S
