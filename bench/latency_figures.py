"""What a trace means: delays, cut-offs, stops; percentiles; curves at equal false cut-offs. Pure.

A *decision* is where a session takes the turn as ended. One that falls into a labelled inner pause
is a false cut-off of that pause; the first one after the last voiced sample is the answer's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.human_speech import Answer, PauseKind

RESUMED_S = 0.15
"""So long after a pause a decision still belongs to it: nobody can have heard the voice again."""
SILENT_S = 0.2
"""A voice that is not heard for so long has stopped."""


@dataclass(frozen=True)
class Ending:
    """How one answer ended. Seconds; None where it did not come."""

    decision: float | None
    """From the end of speech to the decision."""
    after: float | None
    """From the decision to the first audible sample."""
    cut: dict[PauseKind, int]
    pauses: dict[PauseKind, int]
    elsewhere: int
    """Decisions in mid-speech, outside of every labelled pause."""
    seconds: float
    """The answer's length."""

    @property
    def total(self) -> float | None:
        if self.decision is None or self.after is None:
            return None
        return self.decision + self.after


def ending(
    answer: Answer, began: float, decisions: Sequence[float], starts: Sequence[float]
) -> Ending:
    """All times in seconds of one clock; `began` is the answer's first sample."""
    end = began + answer.seconds
    early = [at - began for at in decisions if began <= at < end]
    late = [at for at in decisions if at >= end]
    cut: dict[PauseKind, int] = {"inside": 0, "between": 0}
    pauses: dict[PauseKind, int] = {"inside": 0, "between": 0}
    explained = 0
    for pause in answer.pauses:
        inside = [at for at in early if pause.start_s <= at <= pause.end_s + RESUMED_S]
        pauses[pause.kind] += 1
        cut[pause.kind] += bool(inside)
        explained += len(inside)
    sound = min((at for at in starts if late and at >= late[0]), default=None)
    return Ending(
        late[0] - end if late else None,
        sound - late[0] if late and sound is not None else None,
        cut,
        pauses,
        len(early) - explained,
        answer.seconds,
    )


@dataclass(frozen=True)
class Spread:
    """Of one figure. Seconds."""

    n: int
    p50: float
    p95: float
    mean: float

    def json(self) -> dict[str, float | int]:
        return {key: round(value, 3) for key, value in vars(self).items()}


def spread(values: Iterable[float | None]) -> Spread | None:
    """None if there are no values."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    return Spread(len(known), quantile(known, 0.5), quantile(known, 0.95), sum(known) / len(known))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between the two nearest of an ordered series."""
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass
class Outcome:
    """One arm at one setting, over all answers."""

    arm: str
    min_delay: float
    max_delay: float
    endings: list[Ending] = field(default_factory=list)
    recogniser: int = 0
    recognised_s: float = 0.0
    model: int = 0
    heard: int = 0

    @property
    def pauses(self) -> int:
        return sum(sum(e.pauses.values()) for e in self.endings)

    @property
    def false_rate(self) -> float:
        """False cut-offs for each inner pause."""
        return sum(sum(e.cut.values()) for e in self.endings) / max(self.pauses, 1)

    def rate(self, kind: PauseKind) -> float:
        of = sum(e.pauses[kind] for e in self.endings)
        return sum(e.cut[kind] for e in self.endings) / max(of, 1)

    @property
    def decision(self) -> Spread | None:
        return spread(e.decision for e in self.endings)

    @property
    def after(self) -> Spread | None:
        return spread(e.after for e in self.endings)

    @property
    def total(self) -> Spread | None:
        return spread(e.total for e in self.endings)

    @property
    def missed(self) -> int:
        """Ends that were decided only when `max_delay` had passed, or not at all."""
        late = self.max_delay - 0.05
        return sum(e.decision is None or e.decision >= late for e in self.endings)

    def json(self) -> dict[str, object]:
        def figures(value: Spread | None) -> object:
            return None if value is None else value.json()

        audio = sum(e.seconds for e in self.endings)
        return {
            "arm": self.arm,
            "min_delay": self.min_delay,
            "max_delay": self.max_delay,
            "answers": len(self.endings),
            "pauses": self.pauses,
            "false_cut_offs": round(self.false_rate, 4),
            "false_inside": round(self.rate("inside"), 4),
            "false_between": round(self.rate("between"), 4),
            "elsewhere": sum(e.elsewhere for e in self.endings),
            "missed": self.missed,
            "decision_s": figures(self.decision),
            "after_s": figures(self.after),
            "total_s": figures(self.total),
            "recogniser_calls": self.recogniser,
            "recognised_s_per_s": round(self.recognised_s / max(audio, 1e-9), 3),
            "model_calls": self.model,
            "model_calls_heard": self.heard,
        }


Point = tuple[float, float]
"""False cut-offs (a rate) and a figure at one setting."""


def at_rate(points: Sequence[Point], rate: float) -> float | None:
    """The figure where a curve passes a rate: linear between its two neighbouring settings.

    None outside of the curve: nothing is extrapolated. Settings of the same rate count as one,
    with their mean.
    """
    same: dict[float, list[float]] = {}
    for x, y in points:
        same.setdefault(x, []).append(y)
    curve = sorted((x, sum(ys) / len(ys)) for x, ys in same.items())
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 <= rate <= x1:
            return y0 + (y1 - y0) * (rate - x0) / (x1 - x0)
    return next((y for x, y in curve if x == rate), None)


def shared_rates(curves: Sequence[Sequence[Point]], count: int = 3) -> list[float]:
    """Rates that every curve passes, evenly spread over their common stretch."""
    low = max(min(x for x, _ in curve) for curve in curves)
    high = min(max(x for x, _ in curve) for curve in curves)
    if low > high:
        return []
    return [low + (high - low) * (i + 0.5) / count for i in range(count)]


def stopped(sounds: Sequence[tuple[float, float]], at: float, *, within: float) -> float | None:
    """When a voice that sounded at `at` fell silent, seconds after it; None if it sounded on for
    `within`, or did not sound at all."""
    ends = [end for begin, end in sounds if begin <= at < end]
    if not ends:
        return None
    silent_from = ends[0]
    while (more := _next(sounds, silent_from)) is not None:
        silent_from = more
    return silent_from - at if silent_from - at < within else None


def _next(sounds: Sequence[tuple[float, float]], end: float) -> float | None:
    """The end of a stretch that follows too soon to be heard as a new one."""
    return next((e for b, e in sounds if end < e and b - end < SILENT_S), None)
