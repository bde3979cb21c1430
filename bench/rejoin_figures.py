"""What was seen of a page around a fault: when it told, when it was connected again, when the
interviewer was heard again; and what the log says was kept. Pure.

A page tells its state, whether packets of sound arrive, and whether they are audible. All times are
Unix seconds of one machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from agent import events as log
from server.rehearsal.survival import asked_twice, decided_twice, losses

Kind = Literal["join", "reload", "drop"]
"""The first join is measured as the faults are: it is what they are compared to."""
Moment = Literal["interviewer_speaks", "candidate_speaks", "thinking", "just_sent", "sent_into_it"]
MOMENTS: dict[Kind, tuple[Moment, ...]] = {
    "reload": ("interviewer_speaks", "candidate_speaks", "thinking", "just_sent"),
    # The last: an answer is sent when the network is gone and the page does not know it yet.
    "drop": ("interviewer_speaks", "candidate_speaks", "thinking", "just_sent", "sent_into_it"),
}
THERE = ("listening", "thinking", "speaking", "paused")
"""States of a page that is connected."""


@dataclass(frozen=True)
class Seen:
    """One thing a page told."""

    at: float
    document: float
    """When its document began to load: a reload makes a new one."""
    what: Literal["state", "packets", "audible"]
    value: str
    """A state; or yes and no."""


@dataclass(frozen=True)
class Fault:
    kind: Kind
    moment: Moment | None
    at: float
    back: float
    """When the network was whole again; the same as `at` where it never broke."""
    state: str = ""
    """What the page said just then."""

    @property
    def lasted(self) -> float:
        return self.back - self.at


@dataclass(frozen=True)
class Recovery:
    """Seconds; None where it did not come, or there was nothing of the kind."""

    told: float | None
    """From the fault to "reconnecting"."""
    connected: float | None
    """From `back` until the page is connected: a state that says so, and packets that arrive."""
    speaking: float | None
    """From `back` until the interviewer is heard again."""
    rejoined: bool
    """A new leg was made; otherwise the old one outlived the fault."""
    relapses: int
    """How often the page was connected and then reconnecting once more."""


@dataclass(frozen=True)
class _Now:
    document: float = 0.0
    state: str = ""
    packets: bool = False
    audible: bool = False

    @property
    def connected(self) -> bool:
        return self.state in THERE and self.packets

    def after(self, seen: Seen) -> _Now:
        now = self if seen.document == self.document else _Now(seen.document)
        match seen.what:
            case "state":
                return replace(now, state=seen.value)
            case "packets":
                return replace(now, packets=seen.value == "yes")
            case "audible":
                return replace(now, audible=seen.value == "yes")


def recovery(fault: Fault, seen: Sequence[Seen]) -> Recovery:
    """How a page came through a fault, from what it told before and after."""
    told = connected = speaking = None
    relapses = 0
    rejoined = fault.kind != "drop"
    now = _Now()
    for one in sorted(seen, key=lambda one: one.at):
        now, before = now.after(one), now
        if one.at < fault.at or (fault.kind == "reload" and one.document < fault.at):
            continue
        lost = now.state == "reconnecting" != before.state
        if lost and fault.kind == "drop":
            rejoined = True
            told = one.at - fault.at if told is None else told
        if lost and connected is not None:
            relapses += 1
            connected = speaking = None  # what did not last does not count
        if one.at < fault.back or not now.connected:
            continue
        if connected is None:
            connected = one.at - fault.back
        if speaking is None and (now.audible or not rejoined):
            speaking = one.at - fault.back
    if fault.kind == "drop" and connected is None and now.connected and not rejoined:
        connected = speaking = 0.0  # nothing was even noticed
    return Recovery(told, connected, speaking, rejoined, relapses)


# --- many of them ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Spread:
    p50: float
    p95: float
    most: float
    n: int

    def json(self) -> dict[str, float]:
        return {"p50": self.p50, "p95": self.p95, "max": self.most, "n": self.n}


def spread(values: Iterable[float | None]) -> Spread | None:
    """Nearest rank: the p95 of fifty is the third longest, of ten the longest."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None

    def rank(share: float) -> float:
        return round(known[math.ceil(share * len(known)) - 1], 2)

    return Spread(rank(0.5), rank(0.95), round(known[-1], 2), len(known))


# --- what was kept --------------------------------------------------------------------------------
@dataclass(frozen=True)
class Kept:
    """One interview's log against what its page was told."""

    events: int
    """In the log."""
    committed: int
    """Of them, how many the page was told to be durable: those of the time it was there."""
    lost: tuple[str, ...]
    """Events that were told to be durable, and are not in the log, or are others."""
    typed_lost: tuple[str, ...]
    """Answers that were sent until they were shown, and are not in the log."""
    typed_twice: tuple[str, ...]
    greetings: int
    asked_twice: tuple[str, ...]
    decided_twice: tuple[str, ...]
    joins: int


def kept(
    told: Sequence[Mapping[str, Any]], typed: Sequence[str], entries: Sequence[Mapping[str, Any]]
) -> Kept:
    """`told`: messages of the control channel; `typed`: what was written, each text once."""
    notes = [one for one in told if one.get("type") == "committed"]
    found = losses(notes, entries, [])
    said = " \n ".join(_segments(entries))
    times = {text: said.count(text) for text in typed}
    kinds = Counter(entry["event"]["type"] for entry in entries)
    return Kept(
        events=len(entries),
        committed=found.committed,
        lost=found.missing,
        typed_lost=tuple(text for text, n in times.items() if n == 0),
        typed_twice=tuple(text for text, n in times.items() if n > 1),
        greetings=len(list(_greetings(entries))),
        asked_twice=tuple(asked_twice(entries)),
        decided_twice=tuple(decided_twice(entries)),
        joins=kinds["call_joined"],
    )


def _segments(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for entry in entries:
        event = log.parse_event(entry["event"])
        if isinstance(event, log.SegmentHeard):
            yield event.text


def _greetings(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Greetings of which at least a word was heard."""
    for entry in entries:
        event = log.parse_event(entry["event"])
        if isinstance(event, log.LineSpoken) and event.kind == "greeting" and event.text:
            yield event.text
