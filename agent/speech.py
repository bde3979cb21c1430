"""One reply on its way to the candidate's ear: its parts, which of them sounded, how much was
heard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from agent.events import Event, LineKind
from agent.interview import Line, Reply
from agent.reading import Usage


@dataclass(eq=False)
class Part:
    """A stretch of a reply that is synthesised and played by itself."""

    kind: LineKind
    text: str
    line: Line | None = None
    """None for words that are no line of the plan: an acknowledgement, a filler."""
    synthesised_s: float = 0.0
    whole: bool = False
    """Synthesis has ended, so that `synthesised_s` is the part's length."""
    utterance_id: str = ""
    """Given when it begins to sound."""
    started_at: float | None = None
    noted: bool = False
    """What its start means has been written."""
    interrupted: bool = False


@dataclass(eq=False)
class Speech:
    """A reply from its creation until it has ended. `id` is LiveKit's speech id, `reply_id`
    ours."""

    id: str
    reply_id: str
    given: Reply | None = None
    """A reply that code chose (opening, silence, time): the model is not asked."""
    nudges: bool = False
    """A step of the silence ladder: the silence goes on behind it."""
    then: Reply | None = None
    """What code says after it, as a reply of its own."""
    basis: tuple[str, str] | None = None
    """Turn id and words that a model's decision rests on; it is stale when they have changed."""
    reply: Reply | None = None
    """The decision, once made."""
    findings: list[Event] = field(default_factory=list)
    """What happened on the way (refused moves, model failures): written when the reply sounds."""
    usage: Usage = field(default_factory=Usage)
    """What the model's call cost; zeros where none was made."""
    parts: list[Part] = field(default_factory=list)
    synthesised: int = 0
    """Parts that have been given to the voice."""
    audible: list[Part] = field(default_factory=list)
    """Parts that produced a frame, in order: the n-th playback is the n-th of these."""
    played: int = 0
    """Playbacks that have ended."""
    move_written: bool = False
    turn_ended: asyncio.Event = field(default_factory=asyncio.Event)
    turn_ended_at: float | None = None
    """Unix seconds of the end-of-turn decision."""

    def add(self, kind: LineKind, text: str, line: Line | None = None) -> Part:
        part = Part(kind, text, line)
        self.parts.append(part)
        return part

    def add_reply(self, reply: Reply) -> list[Part]:
        """The parts of a reply; its acknowledgement unless one was released before."""
        new = []
        said = any(part.kind == "acknowledgement" for part in self.parts)
        if reply.acknowledgement and not said:
            new.append(self.add("acknowledgement", reply.acknowledgement))
        return new + [self.add(line.kind, line.text, line) for line in reply.lines if line.text]

    def end_turn(self, at: float) -> None:
        """The turn it answers is settled and durable: the reply may sound."""
        self.turn_ended_at = at
        self.turn_ended.set()

    def last_started(self) -> Part | None:
        return next((p for p in reversed(self.parts) if p.started_at is not None), None)


def heard_text(text: str, heard_s: float, total_s: float) -> str:
    """The words of `text` that were out after `heard_s` of `total_s` seconds: a prefix ending at a
    word.

    Speech is taken as even over the text, which is right to about a word. Text without spaces
    (Chinese) is cut at a character.
    """
    if total_s <= 0 or heard_s <= 0:
        return ""
    if heard_s >= total_s:
        return text
    cut = int(len(text) * heard_s / total_s)
    if " " in text:
        cut = text.rfind(" ", 0, cut + 1)
    return text[: max(cut, 0)].rstrip()
