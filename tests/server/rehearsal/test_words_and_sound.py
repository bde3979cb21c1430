import numpy as np
import pytest

from server.rehearsal import sound, words

RATE = 16000


def speech(*spans: tuple[float, float], length: float = 5.0) -> sound.Samples:
    t = np.arange(int(length * RATE)) / RATE
    gate = np.zeros(len(t), bool)
    for start, end in spans:
        gate |= (t >= start) & (t < end)
    hiss = np.random.default_rng(1).normal(0, 20, len(t))
    return np.where(gate, 4000 * np.sin(2 * np.pi * 180 * t), hiss).astype(np.int16)


def test_every_start_after_quiet_is_found() -> None:
    found = sound.onsets(speech((0.5, 1.0), (2.0, 3.0)), RATE)
    assert found == pytest.approx([0.5, 2.0], abs=0.02)


def test_a_gap_between_words_is_no_start() -> None:
    assert len(sound.onsets(speech((0.5, 1.0), (1.1, 2.0)), RATE)) == 1


def test_speech_from_the_first_sample_starts_at_once() -> None:
    assert sound.onsets(speech((0.0, 1.0)), RATE) == pytest.approx([0.0])


def test_hiss_and_nothing_have_no_start() -> None:
    assert len(sound.onsets(speech(), RATE)) == 0
    assert len(sound.onsets(np.zeros(0, np.int16), RATE)) == 0
    assert sound.nearest(sound.onsets(speech(), RATE), 1.0) is None


def test_the_nearest_start_is_told_from_the_others() -> None:
    found = sound.onsets(speech((0.5, 1.0), (2.0, 3.0)), RATE)
    assert sound.nearest(found, 1.8) == pytest.approx(2.0, abs=0.02)


def test_numbers_and_marks_do_not_count_as_errors() -> None:
    errors = words.compare(
        "We cut costs by forty percent, in four years.", "we cut costs by 40% in 4 years"
    )
    assert (errors.rate, errors.deletions) == (0.0, 0)


def test_a_missing_a_wrong_and_an_added_word_are_told_apart() -> None:
    errors = words.compare(
        "one old system was slow", "one new system was very slow"
    ) + words.compare("we finished on time", "we finished")
    assert (errors.substitutions, errors.insertions, errors.deletions) == (1, 1, 2)
    assert errors.words == 9 and errors.hits == 6
    assert errors.rate == pytest.approx(4 / 9)


def test_an_answer_that_was_not_heard_is_all_deletions() -> None:
    assert words.compare("we finished on time", "").deletions == 4


def test_words_where_none_were_said_are_insertions() -> None:
    errors = words.compare("", "thank you")
    assert (errors.insertions, errors.words, errors.rate) == (2, 0, 0.0)


@pytest.mark.parametrize(
    ("heard", "stands"),
    [
        ("First, we reduced reduced response times by 30 percent last year. Then", True),
        ("We reduced response times by ten percent last year.", True),
        ("Then we reduced costs.", False),
        ("", False),
    ],
)
def test_a_sentence_with_a_slip_in_it_still_stands(heard: str, stands: bool) -> None:
    said = "We reduced response times by thirty percent last year."
    assert words.stands_in(said, heard) is stands
