"""The arithmetic of scores, for every number of points."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import scoring
from agent.scoring import Points, add_up, band, combine, points_of, score

VERDICTS = st.sampled_from(["yes", "no", "unclear"])
CHECKS = st.lists(st.tuples(VERDICTS, st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0, 3.5])), max_size=12)


@given(CHECKS)
def test_a_score_stands_only_on_half_of_the_points(checks: list) -> None:
    points = add_up(points_of(verdict, worth) for verdict, worth in checks)
    decided = sum(Fraction(str(worth)) for verdict, worth in checks if verdict != "unclear")
    total = sum(Fraction(str(worth)) for _, worth in checks)
    assert (points.share is not None) == (decided > 0 and 2 * decided >= total)


@given(CHECKS)
def test_scores_and_bands_stay_on_their_scales(checks: list) -> None:
    share = add_up(points_of(verdict, worth) for verdict, worth in checks).share
    if share is not None:
        assert 0 <= share <= 1
        assert 1 <= score(share) <= 10
        assert band(score(share)) == -(-score(share) // 2)


@given(CHECKS, st.randoms())
def test_the_order_of_checks_never_matters(checks: list, random) -> None:
    turned = list(checks)
    random.shuffle(turned)
    assert add_up(points_of(*c) for c in checks) == add_up(points_of(*c) for c in turned)


@given(CHECKS, st.integers(0, 11))
def test_meeting_one_more_check_never_lowers_a_score(checks: list, at: int) -> None:
    before = add_up(points_of(*c) for c in checks).share
    better = [("yes", w) if n == at and v == "no" else (v, w) for n, (v, w) in enumerate(checks)]
    after = add_up(points_of(*c) for c in better).share
    if before is not None and after is not None:
        assert score(after) >= score(before)


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("0", 1),
        ("1", 10),
        ("1/2", 6),
        ("1/18", 2),
        ("1/6", 3),
        ("1/3", 4),
        ("2/3", 7),
        ("17/18", 10),
    ],
)
def test_halves_round_up(share: str, expected: int) -> None:
    assert score(Fraction(share)) == expected


def test_points_are_added_as_they_were_written() -> None:
    points = add_up(points_of("yes", 0.1) for _ in range(3))
    assert points == Points(Fraction(3, 10), Fraction(3, 10), Fraction(3, 10))


def test_dimensions_combine_by_their_weights() -> None:
    shares = {"logic": Fraction(1), "clarity": Fraction(0)}
    assert combine(shares, {"logic": 3.0}) == Fraction(3, 4)


def test_a_dimension_without_a_score_takes_no_part() -> None:
    assert combine({"logic": Fraction(1, 2), "clarity": None}, {}) == Fraction(1, 2)


def test_nothing_is_combined_from_less_than_half_of_the_weight() -> None:
    shares = {"logic": Fraction(1), "clarity": None}
    assert combine(shares, {"clarity": 1.5}) is None
    assert combine({}, {}) is None


def test_the_formula_names_its_rounding() -> None:
    assert "halves up" in scoring.FORMULA
