"""Scores from points: pure arithmetic, exact, and the only place where a number about a candidate
is made.

Rules that bind here:

* a check is worth its plan's points; it is *decided* when it was answered yes or no with a quote
  that stands;
* p = points met / points decided; score = 1 + round(9p), halves rounded up; band = ceil(score / 2);
* no score at all when fewer than half of the points were decided: silence is not a low score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Verdict = Literal["yes", "no", "unclear"]

FORMULA = (
    "p = points met / points decided (a check is decided when it was answered yes or no with a "
    "verified quote); dimension score = 1 + round(9p), halves up, none if fewer than half of the "
    "points were decided; band = ceil(score / 2); overall p = mean of the dimensions' p by the "
    "plan's weights, none if fewer than half of the weight or fewer than half of the scored "
    "must-ask questions could be judged; overall score = 1 + round(9p)"
)
HALF = Fraction(1, 2)


def exact(points: float) -> Fraction:
    """A plan's number as it was written: 0.1 is a tenth."""
    return Fraction(str(points))


@dataclass(frozen=True)
class Points:
    """What was there to win, what could be decided, and what was met."""

    total: Fraction = Fraction(0)
    decided: Fraction = Fraction(0)
    met: Fraction = Fraction(0)

    def __add__(self, other: Points) -> Points:
        return Points(self.total + other.total, self.decided + other.decided, self.met + other.met)

    @property
    def share(self) -> Fraction | None:
        """p, or None when too little was decided to say."""
        if self.decided <= 0 or self.decided < self.total * HALF:
            return None
        return self.met / self.decided


def points_of(verdict: Verdict, points: float) -> Points:
    worth = exact(points)
    return Points(
        total=worth,
        decided=worth if verdict != "unclear" else Fraction(0),
        met=worth if verdict == "yes" else Fraction(0),
    )


def add_up(points: Iterable[Points]) -> Points:
    return sum(points, Points())


def score(share: Fraction) -> int:
    """1 to 10; a half rounds up (Python's `round` would send 4.5 and 5.5 to even numbers)."""
    return 1 + int(9 * share + HALF)


def band(score_1_10: int) -> int:
    """1 to 5, the rubric's anchors."""
    return (score_1_10 + 1) // 2


def combine(shares: Mapping[str, Fraction | None], weights: Mapping[str, float]) -> Fraction | None:
    """The weighted mean of the shares there are; None when they carry less than half of the weight.

    `shares` holds the dimensions that the plan asks about; a missing weight is 1."""
    weighed = {name: exact(weights.get(name, 1.0)) for name in shares}
    judged = {name: share for name, share in shares.items() if share is not None}
    weight = sum((weighed[name] for name in judged), Fraction(0))
    if weight <= 0 or weight < sum(weighed.values()) * HALF:
        return None
    return sum((weighed[name] * share for name, share in judged.items()), Fraction(0)) / weight
