"""What is so in an interview: frozen values that `agent.fold` makes from events. No rules here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.events import (
    EndReason,
    InterviewCreated,
    LineKind,
    MoveHeard,
    SegmentHeard,
    TurnSettled,
)


@dataclass(frozen=True)
class Line:
    """Words that code says, verbatim; its first sound may be an event (`Interview.event_for`)."""

    kind: LineKind
    text: str
    question_id: str | None = None
    probe_id: str | None = None
    rephrased: bool = False
    ends: EndReason | None = None
    """When this line has ended, so has the interview."""


@dataclass(frozen=True)
class ProbeUsed:
    probe_id: str
    wording: str


@dataclass(frozen=True)
class Asked:
    """A question that was asked, and what became of it."""

    question_id: str
    asked_at: float
    """Unix seconds."""
    asked_after: float
    """Seconds of call before it."""
    wording: str
    probes: tuple[ProbeUsed, ...] = ()
    repeats: int = 0
    state: Literal["open", "closed"] = "open"
    declined: bool = False
    reason: str = ""
    """Why it was declined, in the model's words."""
    refused_probes: bool = False
    """The candidate had nothing more to say: no probe will help."""

    @property
    def last_wording(self) -> str:
        """The words that wait for an answer: the last probe's, or the question's."""
        return self.probes[-1].wording if self.probes else self.wording


@dataclass(frozen=True)
class Heard:
    """A recognised segment of the turn that is open now, and the question that was open then."""

    segment: SegmentHeard
    question_id: str | None


@dataclass(frozen=True)
class Turn:
    """A settled turn of the candidate's, under the question that was open when it began."""

    settled: TurnSettled
    question_id: str | None

    @property
    def turn_id(self) -> str:
        return self.settled.turn_id

    @property
    def text(self) -> str:
        return self.settled.text


@dataclass(frozen=True)
class State:
    rev: int = 0
    clock: float = 0.0
    """The latest event's time; it never steps back."""
    created: InterviewCreated | None = None

    told_by_page: bool = False
    told_aloud: bool = False
    """The disclosure was said to its end, or begun after the page had shown it."""
    greeted: bool = False
    consented: bool = False
    recording: bool = False
    extra_time: bool = False

    on_phone: bool = False
    """The last leg is a telephone call: nothing can be seen or clicked."""
    keys_told: bool = False
    """What the telephone's keys do has been said."""

    connected_since: float | None = None
    spent: float = 0.0
    """Seconds of call before `connected_since`."""

    asked: tuple[Asked, ...] = ()
    entered: str = ""
    """The last stage whose entry line was heard."""
    turns: tuple[Turn, ...] = ()
    undecided: tuple[Turn, ...] = ()
    """Settled, and no reply to them has sounded."""
    hearing: tuple[Heard, ...] = ()
    """Segments of the turn that is open now."""
    heard_since_asked: bool = False
    requests: tuple[str, ...] = ()
    """Buttons pressed that no move has answered yet."""

    moves: int = 0
    """Moves heard, for taking stock wordings in turn."""
    waits: int = 0
    """Waits in a row."""
    take_your_time_said: bool = False
    pending: MoveHeard | None = None
    to_say: tuple[Line, ...] = ()
    """Lines of `pending` that have not sounded."""
    asking_reply: str = ""
    """The last reply that asked something: a reply asks once."""
    confirming_end: bool = False
    paused: bool = False
    ending: EndReason | None = None
    """Closing words were heard, or the candidate's wish to end is confirmed."""
    ended: EndReason | None = None

    @property
    def open(self) -> Asked | None:
        return self.asked[-1] if self.asked and self.asked[-1].state == "open" else None

    @property
    def turn_id(self) -> str:
        return f"c{len(self.turns) + 1}"

    @property
    def last_words(self) -> str:
        return self.undecided[-1].text if self.undecided else ""

    def now(self, at: float) -> float:
        return max(at, self.clock)

    def elapsed(self, at: float) -> float:
        """Seconds of call."""
        if self.connected_since is None:
            return self.spent
        return self.spent + self.now(at) - self.connected_since
