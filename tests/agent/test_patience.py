"""The silence ladder's clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.patience import Patience

LADDER = (8.0, 20.0, 40.0)


def steps(patience: Patience, until: float, think_time: float = 3.0) -> list[tuple[float, int]]:
    """Each step with the whole second at which it came."""
    due = [(float(at), patience.due(float(at), think_time)) for at in range(int(until))]
    return [(at, step) for at, step in due if step is not None]


def test_nothing_is_due_before_anyone_has_spoken() -> None:
    assert steps(Patience(LADDER), 100) == []


def test_each_step_comes_once_after_the_think_time() -> None:
    patience = Patience(LADDER)
    patience.activity(0.0)
    assert steps(patience, 1000) == [(11.0, 0), (23.0, 1), (43.0, 2)]


def test_speech_starts_the_ladder_anew() -> None:
    patience = Patience(LADDER)
    patience.activity(0.0)
    assert patience.due(11.0, 3.0) == 0
    patience.activity(12.0)
    assert patience.due(22.9, 3.0) is None
    assert patience.due(23.0, 3.0) == 0


def test_a_longer_think_time_moves_every_step() -> None:
    patience = Patience(LADDER)
    patience.activity(0.0)
    assert steps(patience, 1000, think_time=30.0) == [(38.0, 0), (50.0, 1), (70.0, 2)]


@given(
    st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60),
    st.floats(0, 60),
)
def test_steps_come_in_order_and_never_too_soon(
    moves: list[tuple[float, bool]], think_time: float
) -> None:
    patience, at, since, seen = Patience(LADDER), 0.0, None, 0
    for passed, spoke in moves:
        at += passed
        if spoke:
            patience.activity(at)
            since, seen = at, 0
        elif (step := patience.due(at, think_time)) is not None:
            assert since is not None
            assert step == seen
            assert at - since >= think_time + LADDER[step]
            seen += 1
