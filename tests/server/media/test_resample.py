"""Rates change without aliasing, without a lost sample, and alike in any block size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.media.resample import Resampler


def tone(hz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (16000 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)).astype(np.int16)


def level_db(sound: np.ndarray) -> float:
    middle = sound[len(sound) // 4 : -len(sound) // 4].astype(float)
    return float(20 * np.log10(np.sqrt(np.mean(middle**2)) / (16000 / np.sqrt(2)) + 1e-9))


@pytest.mark.parametrize("hz", [8100, 9000, 11000, 15000, 23000])
def test_what_a_recogniser_must_not_hear_is_gone(hz: int) -> None:
    assert level_db(Resampler(48000, 16000).push(tone(hz, 48000))) < -75


@pytest.mark.parametrize("hz", [50, 300, 3000, 6500])
def test_speech_passes_unchanged(hz: int) -> None:
    assert abs(level_db(Resampler(48000, 16000).push(tone(hz, 48000)))) < 0.1


@pytest.mark.parametrize(
    ("source", "target"),
    [(48000, 16000), (8000, 16000), (16000, 24000), (24000, 8000), (48000, 24000), (22050, 24000)],
)
def test_no_sample_is_lost_whatever_the_blocks(source: int, target: int) -> None:
    resampler = Resampler(source, target)
    sizes = [160, 7, 960, 1, 333, 480] * 30
    out = sum(len(resampler.push(np.zeros(n, np.int16))) for n in sizes)
    assert abs(out - sum(sizes) * target / source) < 1


@given(st.lists(st.integers(1, 500), min_size=1, max_size=20))
def test_blocks_make_no_difference(sizes: list[int]) -> None:
    sound = tone(440, 48000)[: sum(sizes)]
    blocks = np.split(sound, np.cumsum(sizes)[:-1])
    resampler = Resampler(48000, 16000)
    assert np.array_equal(
        np.concatenate([resampler.push(block) for block in blocks]),
        Resampler(48000, 16000).push(sound),
    )


def test_the_delay_is_known() -> None:
    click = np.zeros(4800, np.int16)
    click[2400] = 30000
    resampler = Resampler(48000, 16000)
    peak = int(np.argmax(np.abs(resampler.push(click))))
    assert peak / 16000 == pytest.approx(2400 / 48000 + resampler.delay, abs=1 / 16000)
