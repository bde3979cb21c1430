"""Positions in a stream and moments of the call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio_clock import DRIFT_S, AudioClock

FRAME = 0.02
Stream = list[tuple[int, float]]
"""Runs of frames, each after a gap in seconds in which nothing came."""

streams: st.SearchStrategy[Stream] = st.lists(
    st.tuples(st.integers(1, 200), st.floats(0, 60)), min_size=1, max_size=12
)


def played(stream: Stream, start: float = 1000.0) -> tuple[AudioClock, list[tuple[float, float]]]:
    """A clock that was told of every frame, and where and when each was."""
    clock, at, noted = AudioClock(), start, []
    for frames, gap in stream:
        at += gap
        for _ in range(frames):
            position = len(noted) * FRAME
            clock.note(position, at)
            noted.append((position, at))
            at += FRAME
    return clock, noted


def test_before_any_audio_it_knows_nothing() -> None:
    for ask in (AudioClock().time_of, AudioClock().position_of):
        with pytest.raises(LookupError):
            ask(0.0)


def test_a_steady_stream_is_one_note() -> None:
    clock, _ = played([(500, 0.0)])
    assert clock.time_of(7.5) == pytest.approx(1007.5)
    assert clock.position_of(1007.5) == pytest.approx(7.5)
    assert clock.time_of(12.0) == pytest.approx(1012.0), "what is still to come follows on"


def test_a_gap_moves_what_comes_after_it_and_nothing_before() -> None:
    clock, _ = played([(100, 0.0), (100, 30.0)])
    assert clock.time_of(1.9) == pytest.approx(1001.9)
    assert clock.time_of(2.1) == pytest.approx(1032.1)


def test_a_moment_inside_a_gap_is_the_next_sample() -> None:
    clock, _ = played([(100, 0.0), (100, 30.0)])
    for inside in (1002.5, 1010.0, 1031.9):
        assert clock.position_of(inside) == pytest.approx(2.0)


def test_a_moment_before_the_first_sample_is_the_first_sample() -> None:
    clock, _ = played([(100, 0.0)])
    assert clock.position_of(990.0) == 0.0


def test_a_path_that_becomes_faster_is_followed() -> None:
    """Frames after a jitter that is gone were sent earlier than the ones before would say."""
    clock = AudioClock()
    for n in range(200):
        clock.note(n * FRAME, 1000 + n * FRAME + (0.2 if n < 100 else 0.0))
    assert clock.time_of(1.0) == pytest.approx(1001.2)
    assert clock.time_of(3.0) == pytest.approx(1003.0)
    assert clock.position_of(1003.0) == pytest.approx(3.0)


def test_jitter_makes_no_notes() -> None:
    clock = AudioClock()
    for n in range(10_000):
        clock.note(n * FRAME, 1000 + n * FRAME + (0.04 if n % 2 else 0.0))
    assert clock.time_of(199.0) == pytest.approx(1199.0, abs=DRIFT_S)
    assert len(clock._times) == 1


@given(streams)
def test_every_frame_is_dated_to_within_the_drift(stream: Stream) -> None:
    clock, noted = played(stream)
    for position, at in noted:
        assert clock.time_of(position) == pytest.approx(at, abs=DRIFT_S + 1e-6)


@given(streams)
def test_position_and_time_are_each_others_inverse(stream: Stream) -> None:
    clock, noted = played(stream)
    for position, at in noted:
        assert clock.position_of(at) == pytest.approx(position, abs=DRIFT_S + 1e-6)
        there_and_back = clock.position_of(clock.time_of(position))
        assert there_and_back == pytest.approx(position, abs=1e-6)


@given(streams)
def test_time_goes_forward(stream: Stream) -> None:
    clock, noted = played(stream)
    times = [clock.time_of(position) for position, _ in noted]
    assert times == sorted(times)
    positions = [clock.position_of(1000.0 + n / 7) for n in range(300)]
    assert positions == sorted(positions)


@given(streams, st.floats(-100, 1000))
def test_any_moment_has_a_position(stream: Stream, when: float) -> None:
    clock, _ = played(stream)
    position = clock.position_of(1000 + when)
    assert position >= 0
    assert clock.time_of(position) >= 1000 + when - DRIFT_S - 1e-6
