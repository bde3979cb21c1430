from hypothesis import given
from hypothesis import strategies as st

from tts.breaker import Breaker


def opened(**how: float) -> Breaker:
    breaker = Breaker(failures_to_open=2, probe_after_s=30, **how)
    breaker.failed(0)
    breaker.failed(0)
    return breaker


def test_it_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(failures_to_open=2)
    breaker.failed(1)
    assert breaker.closed
    breaker.failed(2)
    assert not breaker.closed


def test_a_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(failures_to_open=2)
    for at in range(5):
        breaker.failed(at)
        breaker.spoke()
    assert breaker.closed


def test_one_probe_is_allowed_after_the_delay() -> None:
    breaker = opened()
    assert not breaker.start_probe(29.9)
    assert breaker.start_probe(30)
    assert not breaker.start_probe(31)


def test_a_probe_that_speaks_closes_it() -> None:
    breaker = opened()
    breaker.start_probe(30)
    breaker.spoke()
    assert breaker.closed
    breaker.failed(31)
    assert breaker.closed


def test_a_probe_that_fails_doubles_the_delay_up_to_a_limit() -> None:
    breaker = opened(max_probe_s=100)
    at, waits = 0.0, []
    for _ in range(4):
        before = at
        while not breaker.start_probe(at):
            at += 1
        waits.append(at - before)
        breaker.failed(at)
    assert waits == [30, 60, 100, 100]


def test_a_probe_broken_off_may_be_repeated_at_once() -> None:
    breaker = opened()
    breaker.start_probe(30)
    breaker.gave_up()
    assert not breaker.closed
    assert breaker.start_probe(30)


def test_a_closed_breaker_needs_no_probe() -> None:
    assert not Breaker().start_probe(1000)


@given(
    st.lists(st.tuples(st.sampled_from(["failed", "spoke", "probe", "gave_up"]), st.floats(0, 60)))
)
def test_it_can_always_recover(steps: list[tuple[str, float]]) -> None:
    breaker, at = Breaker(), 0.0
    for step, later in steps:
        at += later
        match step:
            case "failed":
                breaker.failed(at)
            case "spoke":
                breaker.spoke()
                assert breaker.closed
            case "probe":
                breaker.start_probe(at)
            case "gave_up":
                breaker.gave_up()
    breaker.gave_up()
    assert breaker.closed or breaker.start_probe(at + 300)
