"""What is concluded from the times of a session: by hand-made times whose meaning is plain."""

import numpy as np
import pytest

from bench.human_speech import Answer, Pause
from bench.latency_figures import (
    Outcome,
    at_rate,
    ending,
    quantile,
    shared_rates,
    spread,
    stopped,
)

ANSWER = Answer(
    np.zeros(16_000 * 10, np.int16),
    (Pause(2.0, 3.0, "between"), Pause(5.0, 5.5, "inside"), Pause(7.0, 9.0, "between")),
)


def test_delay_is_counted_from_the_last_voiced_sample() -> None:
    found = ending(ANSWER, 100.0, [110.6], [111.0])
    assert found.decision == pytest.approx(0.6)
    assert found.after == pytest.approx(0.4)
    assert found.total == pytest.approx(1.0)
    assert found.cut == {"inside": 0, "between": 0}


def test_a_decision_in_a_pause_is_a_false_cut_off_of_that_kind() -> None:
    found = ending(ANSWER, 100.0, [102.5, 105.55, 110.4], [102.9, 110.8])
    assert found.cut == {"inside": 1, "between": 1}
    assert found.pauses == {"inside": 1, "between": 2}
    assert found.after == pytest.approx(0.4)


def test_two_decisions_in_one_pause_are_one_false_cut_off() -> None:
    assert ending(ANSWER, 0.0, [7.5, 8.5, 11.0], []).cut == {"inside": 0, "between": 1}


def test_a_decision_in_mid_speech_is_counted_apart() -> None:
    found = ending(ANSWER, 0.0, [4.0, 11.0], [])
    assert sum(found.cut.values()) == 0
    assert found.elsewhere == 1


def test_sound_before_the_last_decision_does_not_answer_it() -> None:
    assert ending(ANSWER, 0.0, [10.5], [9.9]).after is None


def test_no_decision_is_no_delay() -> None:
    found = ending(ANSWER, 0.0, [], [])
    assert found.decision is None
    assert found.total is None


def test_what_waited_for_the_longest_delay_is_missed() -> None:
    outcome = Outcome("arm", 0.3, 2.5)
    outcome.endings = [
        ending(ANSWER, 0.0, [12.53], [12.6]),
        ending(ANSWER, 0.0, [10.4], [10.8]),
        ending(ANSWER, 0.0, [], []),
    ]
    assert outcome.missed == 2
    assert outcome.pauses == 9


def test_percentiles_lie_between_the_nearest_values() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    found = spread([3.0, None, 1.0])
    assert found is not None
    assert (found.n, found.p50, found.mean) == (2, 2.0, 2.0)
    assert spread([None]) is None


def test_a_curve_is_read_between_its_settings_and_never_beyond() -> None:
    curve = [(0.4, 1.0), (0.2, 3.0), (0.1, 5.0)]
    assert at_rate(curve, 0.3) == pytest.approx(2.0)
    assert at_rate(curve, 0.2) == pytest.approx(3.0)
    assert at_rate(curve, 0.05) is None
    assert at_rate(curve, 0.5) is None


def test_settings_of_the_same_rate_count_as_their_mean() -> None:
    assert at_rate([(0.2, 1.0), (0.2, 3.0)], 0.2) == 2.0


def test_arms_are_compared_only_where_all_their_curves_run() -> None:
    assert shared_rates([[(0.1, 0), (0.5, 0)], [(0.3, 0), (0.7, 0)]], 1) == [pytest.approx(0.4)]
    assert shared_rates([[(0.1, 0), (0.2, 0)], [(0.3, 0), (0.7, 0)]]) == []


def test_a_voice_has_stopped_at_the_end_of_its_last_sound() -> None:
    assert stopped([(0.0, 5.3)], 5.0, within=2.0) == pytest.approx(0.3)
    assert stopped([(0.0, 9.0)], 5.0, within=2.0) is None


def test_a_gap_too_short_to_hear_is_no_stop() -> None:
    assert stopped([(0.0, 5.3), (5.35, 9.0)], 5.0, within=2.0) is None


def test_a_voice_that_did_not_sound_cannot_be_stopped() -> None:
    assert stopped([(0.0, 4.0)], 5.0, within=2.0) is None
