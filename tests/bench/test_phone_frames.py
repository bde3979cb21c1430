"""Frames found again at the far end, by hand-made times."""

from __future__ import annotations

import random

import numpy as np
import pytest

from bench.phone_frames import (
    FRAME,
    OUR_FRAME,
    Heard,
    Pattern,
    Unlike,
    by_content,
    by_pattern,
    is_loud,
    speech,
    spread,
)
from server.media.g711 import MU_LAW
from server.media.resample import Resampler

DELAY = 0.012
ZERO = 0xFFFFFF00
"""A timestamp that wraps on the way."""


def passed(pattern: Pattern, count: int, lost: float = 0.0) -> list[Heard]:
    """Our frames through the resampler, the codec and a line with a constant delay."""
    resampler, chance = Resampler(24000, 8000), random.Random(1)
    heard = []
    for n in range(count):
        at = 100.0 + n * 0.02
        pcm = MU_LAW.decode(MU_LAW.encode(resampler.push(pattern.frame(at))))
        stamp = (ZERO + FRAME * n) & 0xFFFFFFFF
        if chance.random() >= lost:
            heard.append(Heard(at + DELAY, stamp, is_loud(pcm)))
    return heard


def test_our_frames_are_known_by_their_pattern_whatever_their_timestamps_count_from() -> None:
    pattern = Pattern(seed=3)
    heard = passed(pattern, 300)
    assert by_pattern(pattern.sent, heard) == pytest.approx([DELAY] * 300)


def test_what_was_lost_is_left_out_and_moves_nothing() -> None:
    pattern = Pattern(seed=3)
    heard = passed(pattern, 300, lost=0.2)[10:]
    assert 200 < len(heard) < 280
    assert by_pattern(pattern.sent, heard) == pytest.approx([DELAY] * len(heard))


def test_sound_that_is_another_is_refused() -> None:
    pattern, other = Pattern(seed=3), Pattern(seed=4)
    heard = passed(other, 300)
    passed(pattern, 300)
    with pytest.raises(Unlike):
        by_pattern(pattern.sent, heard)
    with pytest.raises(Unlike, match="nothing"):
        by_pattern(pattern.sent, [])


def test_frames_of_speech_are_known_by_their_bytes() -> None:
    frames = [one.tobytes() for one in np.split(speech(1.0, seed=1), 50)]
    assert len(set(frames)) == 50
    sent = [(n * 0.02, one) for n, one in enumerate(frames)]
    heard = [(at + DELAY, one) for at, one in sent[::2]] + [(9.0, b"made up")]
    assert by_content(sent, heard) == pytest.approx([DELAY] * 25)


def test_loud_and_soft_frames_are_as_long_as_ours() -> None:
    pattern = Pattern(seed=3)
    peaks = {int(np.abs(pattern.frame(n * 0.02)).max()) > 3000 for n in range(50)}
    assert peaks == {True, False} and len(pattern.frame(1.0)) == OUR_FRAME


def test_a_spread_is_in_milliseconds_with_what_filters_add() -> None:
    found = spread([0.001 * n for n in range(101)], algorithmic_s=0.005)
    assert found == {"p50": 55.0, "p95": 100.0, "playout": 104.0, "max": 105.0, "n": 101}
    assert spread([])["p50"] is None
