"""How a checkpoint is measured: word errors, what counts as worse, and sets that stay the same."""

import random
from pathlib import Path

import numpy as np
import pytest

from asr.rehearsal.training import evaluation, testsets
from asr.rehearsal.training.examples import Example
from asr.rehearsal.training.sound import Samples


def spoken(text: str) -> Example:
    features = np.zeros((80, 10), np.float16)
    return Example(features, text, (), (), ("_",) * 5, "en-us", np.zeros(1600, np.float32))


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        ("one two three", "one two three", 0),
        ("one two three", "one three", 1),
        ("one two three", "one one two three", 1),
        ("one two three", "one four three", 1),
        ("", "one two", 2),
        ("one two", "", 2),
    ],
)
def test_word_errors(said: str, heard: str, errors: int) -> None:
    assert evaluation.edits(said.split(), heard.split()) == errors


def test_a_score_counts_words_and_exact_texts_without_marks_or_capitals() -> None:
    heard = iter([("yes, i do", -0.1), ("no idea", -0.3)])

    def read(_: Samples, language: str) -> tuple[str, float]:
        assert language == "en"
        return next(heard)

    score = evaluation.score(read, [spoken("Yes, I do."), spoken("No ideas.")])
    assert (score.texts, score.words, score.errors, score.exact) == (2, 5, 1, 1)
    assert score.rate == pytest.approx(0.2)
    assert score.logprob == pytest.approx(-0.2)


def test_sound_without_speech_is_counted_by_what_it_gives() -> None:
    def read(samples: Samples, language: str) -> tuple[str, float]:
        return ("noise" if np.abs(samples).max() > 0.05 else ""), 0.0

    counted = evaluation.texts_without_speech(read, 2)
    assert counted["silence"] == counted["hiss"] == 0
    assert counted["noise"] == 2
    assert counted["hum"] == 4


def test_a_set_is_the_same_every_time_and_kept(tmp_path: Path) -> None:
    first = testsets.made(tmp_path, "digits, telephone", 2)
    again = testsets.made(tmp_path, "digits, telephone", 2)
    assert [one.text for one in first] == [one.text for one in again]
    assert all(one.samples is not None and len(one.samples) > 16_000 for one in again)
    assert [file.name for file in tmp_path.iterdir()] == ["digits--telephone-2.npz"]


def test_every_set_has_texts() -> None:
    for name, one in {**testsets.OLD, **testsets.NEW, **testsets.MANDARIN}.items():
        texts = {one.text(random.Random(number), number) for number in range(5)}
        assert len(texts) > 2, name
