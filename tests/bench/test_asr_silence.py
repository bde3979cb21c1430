"""The sounds without words are what they are called, and words out of them are counted."""

import itertools

import numpy as np
import pytest

from asr import rehearsal
from asr.engine import Engine
from asr.heard import HeardSegment
from asr.segmenter import SAMPLE_RATE, WINDOW
from bench import noises
from bench.asr_silence import cut, ours, row

VOICE = (np.sin(np.arange(SAMPLE_RATE) / 20) * 8_000).astype(np.int16)
SOUNDS = {
    "white": noises.white,
    "pink": noises.pink,
    "hum": noises.hum(50),
    "chords": noises.chords,
    "clicks": noises.clicks,
    "clipped": noises.clipped,
    "babble": noises.babble([VOICE], at_once=3),
    "backwards": noises.backwards([VOICE]),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_comes_at_each_level_and_is_the_same_each_time(name: str) -> None:
    made = noises.stretches(SOUNDS[name], 4 * noises.STRETCH_S + 1, seed=7)
    assert [len(one) / SAMPLE_RATE for one in made] == [noises.STRETCH_S] * 4 + [1.0]
    for stretch, level_db in zip(made, noises.LEVELS_DB, strict=False):
        rms = np.sqrt(np.mean(np.square(stretch.astype(np.float64)))) / 32_768
        # Small numbers are cut off to whole steps, and loud clicks are clipped.
        assert 20 * np.log10(rms) == pytest.approx(level_db, abs=3.0)
    again = noises.stretches(SOUNDS[name], 4 * noises.STRETCH_S + 1, seed=7)
    assert all(np.array_equal(a, b) for a, b in zip(made, again, strict=True))


def test_silence_is_digital() -> None:
    assert not any(one.any() for one in noises.stretches(noises.silence, 20.0, seed=1))


def test_the_hum_is_at_the_mains() -> None:
    (made,) = noises.stretches(noises.hum(50), 10.0, seed=1)
    spectrum = np.abs(np.fft.rfft(made))
    assert np.fft.rfftfreq(len(made), 1 / SAMPLE_RATE)[spectrum.argmax()] == pytest.approx(50)


def test_without_a_vad_everything_is_cut_and_nothing_left_out() -> None:
    sound = noises.stretches(noises.white, 25.0, seed=1)
    segments = list(cut(sound, bypass=True))
    assert segments[0].core_start == 0
    edges = [(one.core_start, one.core_end) for one in segments]
    assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
    assert edges[-1][1] >= 25 * SAMPLE_RATE // WINDOW * WINDOW


def told(text: str, verdict: str, reason: str | None = None) -> HeardSegment:
    return HeardSegment(text, 0.0, 1.0, 0.5, 0.0, (), "en", verdict, reason, 0.0)  # type: ignore[arg-type]


def test_words_are_those_of_segments_that_were_kept() -> None:
    heard = [
        told("two words", "low_confidence"),
        told("", "dropped", "no_speech"),
        told("", "dropped", "no_speech"),
        told("", "failed", "out of memory"),
    ]
    found = row("white", "engine", 60.0, heard, 0.0)
    assert (found.opened, found.recognised, found.committed, found.words) == (4, 3, 1, 2)
    assert found.dropped == {"no_speech": 2}


def test_noise_gives_no_word_even_where_all_of_it_is_taken_for_speech() -> None:
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as engine:
        sound = noises.stretches(noises.pink, 20.0, seed=1)
        found = ours(engine, "pink", "bypass", sound)
    assert found.opened >= 2
    assert (found.recognised, found.words) == (found.opened, 0)
