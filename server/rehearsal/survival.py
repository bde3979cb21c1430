"""What a kill may cost, and what it did: the candidate's notes against the log. Pure.

A committed event must be in the log as it was told. A sentence may be lost only if it ended so
shortly before the kill that it was still the open segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from agent.events import parse_event
from server.rehearsal import words

Moment = Literal[
    "agent_speaks",
    "candidate_speaks",
    "deciding",
    "closing",
    "grading",
    # Of a telephone call only.
    "reception",
    "greeting",
    "question",
]
MOMENTS: tuple[Moment, ...] = (
    "agent_speaks",
    "candidate_speaks",
    "deciding",
    "closing",
    "grading",
)
"""In a browser."""
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
    victim: str = "server"


@dataclass(frozen=True)
class Losses:
    committed: int
    """Events that the candidate was told are durable."""
    missing: tuple[str, ...]
    """Those of them that are not in the log, or are there with other contents."""
    sentences: int
    """Said to the end."""
    open_lost: tuple[str, ...]
    """Sentences of an open segment: may be lost."""
    lost: tuple[str, ...]
    """Sentences that had to survive and did not."""


def losses(
    notes: Sequence[Note],
    entries: Sequence[Entry],
    kills: Sequence[Kill],
    *,
    unnoticed_s: float = 0.0,
) -> Losses:
    """`unnoticed_s`: so long after a kill the candidate may still talk into a dead line."""
    committed = [note for note in notes if note["type"] == "committed"]
    said = [note for note in notes if note["type"] == "said"]
    heard = _heard(entries)
    gone = [note for note in said if not words.stands_in(note["text"], heard)]
    in_open = [note for note in gone if _was_open(note["at"], kills, unnoticed_s)]
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
        told = f"{note['seq']} was {note['event']} {note['turn_id'] or ''}".rstrip()
        event = log.get(note["seq"])
        if event is None:
            yield f"{told}, is nothing"
        elif (event["type"], event.get("turn_id")) != (note["event"], note["turn_id"]):
            yield f"{told}, is {event['type']} {event.get('turn_id') or ''}".rstrip()
        elif digest(event) != note["sha256"]:
            yield f"{told}, and has other contents now"


def digest(event: Mapping[str, Any]) -> str:
    """SHA-256 over an event's JSON, as the server told it when the event was durable."""
    return hashlib.sha256(parse_event(event).model_dump_json().encode()).hexdigest()


def _heard(entries: Sequence[Entry]) -> str:
    """The words of every segment, in order."""
    return " ".join(e["event"]["text"] for e in entries if e["event"]["type"] == SEGMENT)


def _was_open(ended_at: float, kills: Sequence[Kill], unnoticed_s: float) -> bool:
    return any(-unnoticed_s <= kill.at - ended_at < OPEN_S for kill in kills)


def hit(kill: Kill, notes: Sequence[Note], entries: Sequence[Entry], graded_at: float) -> bool:
    """Whether notes and log show that the kill came at the moment it was meant for.

    `graded_at`: when the report was made (Unix seconds).
    """
    before = [entry["event"] for entry in entries if entry["event"]["at"] <= kill.at]
    ended = any(event["type"] == "interview_ended" for event in before)
    seen = [note for note in notes if _joined_at(before) <= note["at"] <= kill.at]
    match kill.moment:
        case "grading":
            return ended and kill.at < graded_at
        case "deciding":
            return not ended and _undecided(before)
        case "candidate_speaks":
            return not ended and _in_mid_sentence(seen)
        case "reception":
            return not ended and _in_reception(notes, kill.at)
        case "agent_speaks" | "greeting" | "question" | "closing":
            line = _open_line(seen, before)
            closing = line is not None and _is_closing(line["text"], entries)
            return not ended and line is not None and closing == (kill.moment == "closing")


def _joined_at(before: Sequence[Mapping[str, Any]]) -> float:
    """What was under way before the latest join was cut off by it."""
    return max((event["at"] for event in before if event["type"] == "call_joined"), default=0.0)


def _undecided(before: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last settled turn has neither a move nor a line behind it; fillers aside."""
    kinds = ("turn_settled", "move_heard", "line_spoken")
    last = [e for e in before if e["type"] in kinds and e.get("kind") != "filler"][-1:]
    return bool(last) and last[0]["type"] == "turn_settled"


def _in_mid_sentence(seen: Sequence[Note]) -> bool:
    """Whether the candidate had begun to say something and not noted that it was said."""
    acts = [note for note in seen if note["type"] in ("does", "said")][-1:]
    return bool(acts) and acts[0]["type"] == "does" and "say" in acts[0]["step"]


def _in_reception(notes: Sequence[Note], at: float) -> bool:
    """Whether a call had been answered that had not come through to the interview."""
    kinds = ("answered", "came_through")
    last = [note for note in notes if note["type"] in kinds and note["at"] <= at][-1:]
    return bool(last) and last[0]["type"] == "answered"


def _open_line(seen: Sequence[Note], before: Sequence[Mapping[str, Any]]) -> Note | None:
    """The line that had begun and, by the log too, was not over."""
    lines = [note for note in seen if note["type"] == "line"][-1:]
    if not lines or lines[0]["final"]:
        return None
    spoken = [event for event in before if event["type"] == "line_spoken"]
    return None if any(event["t1"] >= lines[0]["at"] for event in spoken) else lines[0]


def _is_closing(text: str, entries: Sequence[Entry]) -> bool:
    """By the log, where a line that was cut off stands as far as it was heard."""
    events = [entry["event"] for entry in entries]
    said = [e["text"] for e in events if e["type"] == "line_spoken" and e["kind"] == "closing"]
    return any(text.startswith(one) for one in said if one)


def asked_twice(entries: Sequence[Entry]) -> list[str]:
    """Questions opened more than once: a decision taken twice."""
    asked = [e["event"]["question_id"] for e in entries if e["event"]["type"] == "question_asked"]
    return sorted({one for one in asked if asked.count(one) > 1})


def agreed_twice(entries: Sequence[Entry]) -> bool:
    """Whether a consent that stood was asked for again."""
    return [entry["event"]["type"] for entry in entries].count("consent_recorded") > 1


def decided_twice(entries: Sequence[Entry]) -> list[str]:
    """Turns that two moves answered."""
    moves = [e["event"]["turn_id"] for e in entries if e["event"]["type"] == "move_heard"]
    return sorted({turn for turn in moves if turn and moves.count(turn) > 1})
