"""Answers are joined from made-up recordings, so that nothing needs to be installed."""

import random
from pathlib import Path

import numpy as np
import pytest

from bench import human_speech
from bench.human_speech import RATE, Clip, NoSpeech, Pcm


def buzz(seconds: float) -> Pcm:
    """A loud tone."""
    return np.asarray(
        8000 * np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * 200 / RATE), np.int16
    )


def quiet(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.int16)


def sentence(name: str = "one") -> Clip:
    """Two seconds and a half, with a dip at the middle."""
    return Clip(name, np.concatenate((buzz(1.2), quiet(0.1), buzz(1.2))))


def test_a_recording_is_trimmed_to_its_voice() -> None:
    pcm = np.concatenate((quiet(0.5), buzz(1.0), quiet(0.7)))
    assert abs(len(human_speech.trimmed(pcm)) / RATE - 1.0) < 0.03


def test_a_recording_of_nothing_is_empty() -> None:
    assert len(human_speech.trimmed(quiet(1.0))) == 0


def test_a_recording_with_a_silence_of_its_own_is_no_sentence() -> None:
    broken = Clip("two", np.concatenate((buzz(1.0), quiet(0.4), buzz(1.0))))
    whole = human_speech.sentences([sentence(), broken])
    assert [clip.name for clip in whole] == ["one"]


def test_the_dip_is_at_the_quiet_place_and_only_there() -> None:
    place = human_speech.dip(sentence().pcm)
    assert place is not None
    assert 1.2 <= place / RATE <= 1.3
    assert human_speech.dip(buzz(2.5)) is None


def test_pauses_are_silent_and_lie_where_their_labels_say() -> None:
    clips = [sentence()]
    for made in human_speech.answers(clips, 12, random.Random(3)):
        assert 2.5 <= made.seconds <= 60
        for pause in made.pauses:
            assert 0.29 <= pause.seconds <= 3.01
            heard = made.pcm[round(pause.start_s * RATE) : round(pause.end_s * RATE)]
            assert np.abs(heard.astype(int)).max() < 60
        assert not np.array_equal(made.pcm[-400:], np.zeros(400))


def test_both_kinds_of_pauses_are_made() -> None:
    made = human_speech.answers([sentence()], 20, random.Random(3))
    kinds = [pause.kind for one in made for pause in one.pauses]
    assert len(kinds) >= 100
    assert {"inside", "between"} == set(kinds)


def test_a_seed_gives_the_same_answers() -> None:
    first, second = (human_speech.answers([sentence()], 3, random.Random(9)) for _ in range(2))
    assert [a.pauses for a in first] == [a.pauses for a in second]
    assert all(np.array_equal(a.pcm, b.pcm) for a, b in zip(first, second, strict=True))


def test_bursts_are_short_and_voiced() -> None:
    for pcm in human_speech.bursts([Clip("m", buzz(0.6))], 10, random.Random(1)):
        assert 0.15 <= len(pcm) / RATE <= 0.4
        assert np.abs(pcm).max() > 4000


def test_noises_are_loud_enough_to_be_heard() -> None:
    for pcm in human_speech.noises(6, random.Random(1)):
        assert 0.2 <= len(pcm) / RATE <= 1.0
        assert np.abs(pcm.astype(int)).max() > 500


def test_without_recordings_it_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(NoSpeech, match="asterisk-core-sounds-en-g722"):
        human_speech.load(tmp_path)
