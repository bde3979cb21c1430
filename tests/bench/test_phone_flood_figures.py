"""What the telephone's benchmarks make of what they measured."""

from __future__ import annotations

import math

import pytest

from bench import phone_flood, phone_office
from bench.phone_flood import Measured, Result

QUIET = [20.0] * 98 + [25.0, 30.0]


def result(**changed: object) -> Result:
    held = {
        "ways": {"stranger": Measured(QUIET, [*QUIET], 400, 2.0)},
        "memory_mb": [300.0, 305.0, 302.0],
        "begun": [],
        "went_on": True,
    }
    return Result(**{**held, **changed})  # type: ignore[arg-type]  # by name


def test_the_ratio_is_of_the_p99s_and_memory_of_the_worst_flood() -> None:
    told = phone_flood.figures(result())
    assert told["ways"]["stranger"]["p99_ratio"] == 1.0
    assert told["ways"]["stranger"]["gap_ms_quiet"]["p99"] == 25.0
    assert told["ways"]["stranger"]["per_second"] == 200
    assert told["memory_more_mb"] == 5.0
    assert phone_flood.missed(result()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"ways": {"stranger": Measured(QUIET, [31.0] * 100, 400, 2.0)}},
        {"memory_mb": [300.0, 310.0, 331.0]},
        {"begun": ["call_joined"]},
        {"went_on": False},
    ],
)
def test_each_goal_can_be_missed(changed: dict[str, object]) -> None:
    assert len(phone_flood.missed(result(**changed))) == 1


def test_calls_that_the_pbx_lets_through_may_cost_what_calls_cost() -> None:
    ways = {"through_pbx": Measured(QUIET, [31.0] * 100, 400, 2.0)}
    assert phone_flood.missed(result(ways=ways)) == []


def test_nothing_measured_is_no_figure() -> None:
    assert math.isnan(phone_office.rank([], 0.99))
