"""The cuts: nothing lost, nothing doubled, and each where it should be."""

from collections.abc import Iterable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.segmenter import SAMPLE_RATE, WINDOW, Segment, Segmenter, SegmenterOptions

Runs = list[tuple[bool, int]]


def numbered(index: int) -> np.ndarray:
    """A window whose samples name its place, so that a lost or doubled one shows."""
    return np.full(WINDOW, index % 32_000, dtype=np.int16)


def voices(runs: Runs) -> list[bool]:
    return [voiced for voiced, count in runs for _ in range(count)]


def seconds(value: float) -> int:
    return round(value * SAMPLE_RATE / WINDOW)


def play(voiced: Iterable[bool], options: SegmenterOptions | None = None) -> list[Segment]:
    segmenter = Segmenter(options)
    cuts = [segmenter.push(numbered(i), 0.99 if v else 0.01) for i, v in enumerate(voiced)]
    return [cut for cut in [*cuts, segmenter.flush()] if cut is not None]


runs = st.lists(st.tuples(st.booleans(), st.integers(1, 200)), max_size=12)
options = st.builds(
    SegmenterOptions,
    cut_s=st.floats(0.05, 0.6),
    pre_s=st.floats(0.0, 1.0),
    post_s=st.floats(0.0, 0.6),
    soft_s=st.floats(1.0, 7.0),
    hard_s=st.floats(2.0, 10.0),
    min_speech_s=st.floats(0.0, 0.2),
)


@settings(max_examples=25, deadline=None)
@given(runs, options)
def test_cores_tile_the_stream_and_audio_stays_inside_its_core(
    runs: Runs, o: SegmenterOptions
) -> None:
    segments = play(voices(runs), o)
    assert [s.core_start for s in segments] == [0, *(s.core_end for s in segments)][: len(segments)]
    for s in segments:
        assert s.core_start <= s.start <= s.onset < s.core_end
        assert s.onset <= s.voice_end <= s.core_end
        assert len(s.audio) == s.core_end - s.start


@settings(max_examples=25, deadline=None)
@given(runs, options)
def test_the_audio_of_a_segment_is_exactly_the_samples_it_names(
    runs: Runs, o: SegmenterOptions
) -> None:
    for s in play(voices(runs), o):
        expected = [numbered(i) for i in range(s.start // WINDOW, s.core_end // WINDOW)]
        np.testing.assert_array_equal(s.audio, np.concatenate(expected))


@settings(max_examples=25, deadline=None)
@given(runs, options)
def test_every_spoken_window_is_sent_once_and_only_clicks_are_left_out(
    runs: Runs, o: SegmenterOptions
) -> None:
    voiced = voices(runs)
    sent = np.zeros(len(voiced), dtype=int)
    for s in play(voiced, o):
        sent[s.start // WINDOW : s.core_end // WINDOW] += 1
    assert sent.max(initial=0) <= 1
    clicks = max(1, -int(-o.min_speech_s * SAMPLE_RATE // WINDOW))
    position = 0
    for is_voiced, group in merged(runs):
        if is_voiced and group >= clicks:
            assert sent[position : position + group].all()
        position += group


def merged(runs: Runs) -> Runs:
    out: Runs = []
    for voiced, count in runs:
        if out and out[-1][0] == voiced:
            out[-1] = (voiced, out[-1][1] + count)
        else:
            out.append((voiced, count))
    return out


def test_a_pause_of_a_fifth_of_a_second_cuts() -> None:
    first, second = play(voices([(True, 60), (False, 7), (True, 60), (False, 7)]))
    assert (first.reason, second.reason) == ("pause", "pause")
    assert first.voice_end == 60 * WINDOW
    assert second.onset == 67 * WINDOW


def test_a_shorter_pause_does_not_cut() -> None:
    (only,) = play(voices([(True, 60), (False, 5), (True, 60), (False, 10)]))
    assert only.voice_end == 125 * WINDOW


def test_after_six_seconds_any_dip_cuts() -> None:
    long = seconds(6.2)
    first, second = play(voices([(True, long), (False, 2), (True, 40), (False, 10)]))
    assert first.reason == "dip"
    assert first.core_end == (long + 1) * WINDOW == second.start


def test_ten_seconds_without_a_dip_are_cut_at_the_quietest_place() -> None:
    segmenter = Segmenter()
    rng = np.random.default_rng(7)
    quiet = seconds(8.5)
    for i in range(seconds(10.5)):
        loud = 300 if abs(i - quiet) < 2 else 9000
        cut = segmenter.push(rng.integers(-loud, loud, WINDOW).astype(np.int16), 0.99)
        if cut is not None:
            break
    assert cut is not None
    assert cut.reason == "length"
    assert abs(cut.core_end // WINDOW - quiet) <= 2
    assert segmenter.speaking


def test_a_shallow_dip_is_found_too() -> None:
    """Not the edge of what is looked at, which has no neighbours to be loud."""
    segmenter, quiet = Segmenter(), seconds(8.5)
    for i in range(seconds(10.5)):
        level = 8_000 if abs(i - quiet) < 2 else 9_000
        cut = segmenter.push(np.full(WINDOW, level, np.int16), 0.99)
        if cut is not None:
            break
    assert cut is not None
    assert cut.core_end == quiet * WINDOW


def test_a_click_is_no_segment_but_a_short_yes_is() -> None:
    assert play(voices([(False, 20), (True, 1), (False, 20)])) == []
    (yes,) = play(voices([(False, 20), (True, 3), (False, 20)]))
    assert yes.onset == 20 * WINDOW


def test_the_lead_before_the_onset_is_half_a_second_and_silence_is_not_kept() -> None:
    (only,) = play(voices([(False, 4000), (True, 30), (False, 10)]))
    assert only.onset - only.start == 16 * WINDOW
    assert only.core_start == 0


def test_flush_cuts_open_speech_where_it_is() -> None:
    segmenter = Segmenter()
    for i in range(30):
        segmenter.push(numbered(i), 0.9)
    audio = segmenter.open_audio()
    assert audio is not None
    assert len(audio) == 30 * WINDOW
    cut = segmenter.flush()
    assert cut is not None
    assert (cut.reason, cut.core_end) == ("flush", 30 * WINDOW)
    assert not segmenter.open
    assert segmenter.flush() is None


def test_silence_is_counted_from_the_last_voice() -> None:
    segmenter = Segmenter()
    for i, voiced in enumerate(voices([(True, 10), (False, 25)])):
        segmenter.push(numbered(i), float(voiced))
    assert segmenter.silence_s == 25 * WINDOW / SAMPLE_RATE


@settings(max_examples=50, deadline=None)
@given(runs, options)
def test_nothing_is_decided_before_the_window_that_patience_names(
    runs: Runs, o: SegmenterOptions
) -> None:
    segmenter, wait = Segmenter(o), 1
    for i, voiced in enumerate(voices(runs)):
        was_open, wait = segmenter.open, wait - 1
        cut = segmenter.push(numbered(i), 0.99 if voiced else 0.01)
        if wait > 0:
            assert cut is None
            assert (was_open, segmenter.open) == (True, True)
        else:
            wait = segmenter.patience


def test_in_the_middle_of_speech_a_pause_is_waited_for() -> None:
    segmenter = Segmenter()
    patience = []
    for i, voiced in enumerate(voices([(False, 5), (True, 10), (False, 3), (True, seconds(6.0))])):
        segmenter.push(numbered(i), 0.99 if voiced else 0.01)
        patience.append(segmenter.patience)
    assert patience[4:8] == [1, 1, 7, 7]  # silence, what may be a click, speech
    assert patience[15:19] == [6, 5, 4, 7]
    assert patience[-1] == 2  # any dip


def test_speech_pauses_as_soon_as_a_dip_would_cut_it() -> None:
    segmenter = Segmenter()
    pausing = []
    for i, voiced in enumerate(voices([(False, 2), (True, 5), (False, 3), (True, 1)])):
        segmenter.push(numbered(i), 0.99 if voiced else 0.01)
        pausing.append(segmenter.pausing)
    assert pausing == [False] * 8 + [True] * 2 + [False]
