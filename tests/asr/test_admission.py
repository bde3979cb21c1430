"""Who may begin: by what speech costs and how long it waits, and never against those inside."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.admission import Admission, AdmissionLimits
from asr.errors import AtCapacity

LIMITS = AdmissionLimits(workers=2)


def measured(limits: AdmissionLimits = LIMITS) -> Admission:
    one = Admission(limits)
    one.ready(limits.measure_s, 0.1, 0.1, -1e6)
    return one


def admitted(one: Admission, many: int, at: float, cost: float) -> int:
    """How many of so many that come at once are let in."""
    inside = len(one)
    for number in range(many):
        try:
            one.enter((at, number), at, cost=cost)
        except AtCapacity:
            break
    return len(one) - inside


def talk(one: Admission, speech_per_s: float, start: float, seconds: int) -> float:
    """A segment each second; when it ends."""
    for second in range(seconds):
        one.asked(speech_per_s, start + second)
    return start + seconds


def test_those_who_come_at_once_are_reckoned_as_if_they_spoke_all_the_time() -> None:
    # 2 workers x 0.6 / (0.05 x 0.9 each)
    assert admitted(measured(), 100, 0.0, cost=0.05) == 26


def test_what_is_measured_later_makes_room_for_more_or_for_none() -> None:
    quiet, loud = measured(), measured()
    for one, share in ((quiet, 0.3), (loud, 1.2)):
        n = admitted(one, 100, 0.0, cost=0.05)
        later = talk(one, share * n, 0.0, 120)
        assert admitted(one, 100, later, cost=0.05) == (12 if one is quiet else 0)


def test_one_session_is_let_in_however_slow_the_machine_is() -> None:
    one = measured()
    assert admitted(one, 3, 0.0, cost=5.0) == 1


def test_a_few_are_let_in_before_anything_was_measured() -> None:
    one = Admission(LIMITS)
    assert admitted(one, 100, 0.0, cost=0.001) == 4
    one.ready(10.0, 0.1, 0.1, 0.5)
    assert admitted(one, 10, 1.0, cost=0.001) == 10


def hear(one: Admission, *, late_s: float, every: int, work_s: float = 0.1) -> None:
    """A hundred finals in ten seconds, of which some are late."""
    for n in range(100):
        one.ready(3.0, late_s if n % every == 0 else work_s, work_s, n / 10)


def test_nobody_new_comes_in_while_finals_are_late() -> None:
    one = measured()
    hear(one, late_s=0.7, every=10)
    with pytest.raises(AtCapacity, match=r"finals take 0\.7 s"):
        one.enter("new", 10.0, cost=0.01)
    one.enter("known", 10.0, cost=0.01, regardless=True)
    one.enter("new", 50.0, cost=0.01)  # that was long ago


def test_a_few_late_finals_keep_nobody_out() -> None:
    one = measured()
    hear(one, late_s=0.7, every=50)
    one.enter("new", 10.0, cost=0.01)


def test_a_model_that_is_slow_by_itself_is_late_only_by_its_own_measure() -> None:
    one = measured()
    hear(one, late_s=1.4, every=10, work_s=1.0)
    one.enter("new", 10.0, cost=0.01)
    later = measured()
    hear(later, late_s=1.6, every=10, work_s=1.0)
    with pytest.raises(AtCapacity, match="finals take"):
        later.enter("new", 10.0, cost=0.01)


def test_after_a_refusal_a_place_opens_only_where_there_is_more_than_just_room() -> None:
    one = measured()
    n = admitted(one, 100, 0.0, cost=0.05)
    opened = 0
    for gone in range(n):
        one.leave((0.0, gone), 1.0)
        opened += 1
        if admitted(one, 1, 1.0, cost=0.05):
            break
    assert opened == 5
    # Open again: up to the full.
    assert admitted(one, 100, 1.5, cost=0.05) == opened - 1


def test_who_leaves_takes_their_speech_along() -> None:
    one = measured()
    n = admitted(one, 100, 0.0, cost=0.05)
    at = talk(one, float(n), 0.0, 200)
    before = one.promised(at, cost=0.05)
    for gone in range(n):
        one.leave((0.0, gone), at)
        one.leave((0.0, gone), at)  # twice is once
    assert before == pytest.approx(0.05 * n / 2, rel=0.05)
    assert one.promised(at, cost=0.05) == 0


def test_who_leaves_as_soon_as_it_came_takes_nothing_of_the_others_speech_along() -> None:
    one = measured()
    n = admitted(one, 20, 0.0, cost=0.01)
    at = talk(one, 0.9 * n, 0.0, 120)
    before = one.promised(at, cost=0.01)
    for _ in range(100):
        one.enter("passing", at, cost=0.01)
        one.leave("passing", at)
    assert one.promised(at, cost=0.01) == before


def test_who_was_here_for_a_moment_takes_less_along_than_who_was_here_for_long() -> None:
    one = measured()
    one.enter("old", 0.0, cost=0.01)
    at = talk(one, 5.0, 0.0, 120)
    one.enter("new", at, cost=0.01)
    before = one.promised(at + 3.0, cost=0.01)
    one.leave("new", at + 3.0)  # of the thirty seconds that are measured
    assert one.promised(at + 3.0, cost=0.01) > 0.9 * before


def test_a_session_that_is_in_may_enter_again() -> None:
    one = measured()
    for _ in range(100):
        one.enter("same", 0.0, cost=0.5)
    assert len(one) == 1


acts = st.tuples(
    st.sampled_from(["enter", "again", "leave", "ask", "wait"]),
    st.integers(0, 9),
    st.floats(0.0, 5.0),
)


@settings(deadline=None)
@given(st.lists(acts, max_size=80), st.floats(0.001, 2.0))
def test_nobody_who_is_in_is_ever_put_out_or_refused(
    script: list[tuple[str, int, float]], cost: float
) -> None:
    one, inside, at = Admission(LIMITS), set(), 0.0
    for what, number, value in script:
        at += value
        if what == "enter":
            try:
                one.enter(number, at, cost=cost)
                inside.add(number)
            except AtCapacity:
                assert number not in inside
        elif what == "again":
            one.enter(number, at, cost=cost, regardless=True)
            inside.add(number)
        elif what == "leave":
            one.leave(number, at)
            inside.discard(number)
        elif what == "ask":
            one.asked(value, at)
        else:
            one.ready(value, value, value / 2, at)
        assert len(one) == len(inside)
        assert one.promised(at, cost=cost) >= 0
