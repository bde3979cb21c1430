"""What a kill may cost, and what it did: the candidate's notes against the log. Pure.

A committed event must be in the log as it was told. A sentence may be lost only if it ended so
shortly before the kill that it was still the open segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from server.rehearsal import words

Moment = Literal["agent_speaks", "candidate_speaks", "deciding", "closing", "grading"]
MOMENTS: tuple[Moment, ...] = (
    "agent_speaks",
    "candidate_speaks",
    "deciding",
    "closing",
    "grading",
)
SEGMENT = "segment_heard"
OPEN_S = 2.0
"""A sentence that ended longer ago than this was cut at its pause and recognised."""

Note = Mapping[str, Any]
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Kill:
    moment: Moment
    at: float
    """Unix seconds."""
    down_s: float
    """Until the server answered again."""


@dataclass(frozen=True)
class Losses:
    committed: int
    """Events that the candidate was told are durable."""
    missing: tuple[str, ...]
    """Those of them that are not in the log."""
    sentences: int
    """Said to the end."""
    open_lost: tuple[str, ...]
    """Sentences of an open segment: may be lost."""
    lost: tuple[str, ...]
    """Sentences that had to survive and did not."""


def losses(notes: Sequence[Note], entries: Sequence[Entry], kills: Sequence[Kill]) -> Losses:
    committed = [note for note in notes if note["type"] == "committed"]
    said = [note for note in notes if note["type"] == "said"]
    heard = _heard(entries)
    gone = [note for note in said if not words.stands_in(note["text"], heard)]
    in_open = [note for note in gone if _was_open(note["at"], kills)]
    return Losses(
        len(committed),
        tuple(_missing(committed, entries)),
        len(said),
        tuple(note["text"] for note in in_open),
        tuple(note["text"] for note in gone if note not in in_open),
    )


def _missing(committed: Sequence[Note], entries: Sequence[Entry]) -> Iterator[str]:
    log = {entry["seq"]: entry["event"] for entry in entries}
    for note in committed:
        event = log.get(note["seq"], {"type": "nothing"})
        turn = note["turn_id"] or event.get("turn_id")
        if (event["type"], event.get("turn_id")) != (note["event"], turn):
            yield f"{note['seq']} was {note['event']} {turn or ''}, is {event['type']}"


def _heard(entries: Sequence[Entry]) -> str:
    """The words of every segment, in order."""
    return " ".join(e["event"]["text"] for e in entries if e["event"]["type"] == SEGMENT)


def _was_open(ended_at: float, kills: Sequence[Kill]) -> bool:
    return any(0 <= kill.at - ended_at < OPEN_S for kill in kills)


def hit(kill: Kill, entries: Sequence[Entry]) -> bool:
    """Whether the log itself shows that the kill came at the moment it was meant for."""
    before = [entry["event"] for entry in entries if entry["event"]["at"] <= kill.at]
    last = {event["type"]: place for place, event in enumerate(before)}
    match kill.moment:
        case "deciding":
            return last.get("turn_settled", -1) > last.get("move_heard", -1)
        case "grading":
            return "interview_ended" in last
        case "closing":
            return "interview_ended" not in last
        case _:
            return True


def asked_twice(entries: Sequence[Entry]) -> list[str]:
    """Questions opened more than once: a decision taken twice."""
    asked = [e["event"]["question_id"] for e in entries if e["event"]["type"] == "question_asked"]
    return sorted({one for one in asked if asked.count(one) > 1})


def decided_twice(entries: Sequence[Entry]) -> list[str]:
    """Turns that two moves answered."""
    moves = [e["event"]["turn_id"] for e in entries if e["event"]["type"] == "move_heard"]
    return sorted({turn for turn in moves if turn and moves.count(turn) > 1})
