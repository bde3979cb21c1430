"""The interview: a pure state machine over a plan. It holds the rules; a model's move is a request it may refuse.

Rules it guarantees (each is a property test):

* every must-ask question is opened at most once, in its approved wording, in the plan's order; repeats are
  counted apart; an interview that reaches its closing with time left has opened all of them;
* never more probes than the question allows, charged when heard; a refusal ("I can't think of one") closes
  the question for probes;
* no way back to a finished stage; one question per turn;
* nothing scored is asked before disclosure and consent;
* soft limits wrap up, hard limits move on; it always terminates, and closing words are said only at the closing;
* replaying the events gives the live state; a transition, once committed, survives an interruption;
* an illegal move or event raises, and nothing changes.

Time is passed in (`at`, Unix seconds; a step back is clamped). The machine knows nothing of audio or of models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.events import EndReason, Event, LineKind, MoveHeard, Scripted, TurnSettled
from agent.moves import Move
from agent.plan import Plan, Question, Stage


class IllegalMove(Exception):
    """The rules do not allow this move now; the message says why, for the model's one retry."""


class IllegalEvent(Exception):
    """The event cannot have happened in this state: a log of another interview, or a defect."""


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
class Reply:
    """What the interviewer does next: a move and the lines that follow it."""

    move: Move | None
    """None for an opening or a rejoin, which no turn of the candidate's asked for."""
    lines: tuple[Line, ...]
    scripted: Scripted | None = None
    acknowledgement: str = ""
    """Words before the lines: the model's own once checked, or a stock one."""


@dataclass(frozen=True)
class Legal:
    """What is legal now, for the last message to the model."""

    moves: tuple[str, ...]
    probe_ids: tuple[str, ...]
    notes: tuple[str, ...]
    """One short sentence for each move that is not legal now, in the order of `MOVE_NAMES`."""


class Interview:
    """State by folding events; `check`, `reply` and `default` only read it."""

    rev: int
    """Grows by one with every event applied."""

    def __init__(self, plan: Plan, lines: dict[str, tuple[str, ...]], events: Iterable[Event] = ()) -> None:
        raise NotImplementedError

    # --- what is so -------------------------------------------------------------------------------------------
    @property
    def open_question(self) -> Question | None: ...
    @property
    def stage(self) -> Stage | None: ...
    @property
    def turn_id(self) -> str:
        """The id of the candidate's turn that is open now (`c1`, `c2`, …)."""
    @property
    def heard_text(self) -> str:
        """What has been heard of the open turn so far."""
    @property
    def settled(self) -> TurnSettled | None:
        """The last settled turn, if no reply to it has sounded yet: it needs a decision."""
    @property
    def pending(self) -> MoveHeard | None:
        """A committed move whose line has not sounded (interrupted, or a crash): its lines are said again."""
    @property
    def confirming_end(self) -> bool: ...
    @property
    def consented(self) -> bool: ...
    @property
    def recording_allowed(self) -> bool: ...
    @property
    def started(self) -> bool:
        """The opening has been heard; a later join is a rejoin."""
    @property
    def ended(self) -> EndReason | None: ...
    def elapsed(self, at: float) -> float:
        """Seconds of call so far; a drop does not count."""
    def time_left(self, at: float) -> float: ...
    def think_time(self) -> float:
        """Seconds of silence allowed after the open question, accommodation included."""
    def hard_limit(self) -> float:
        """Seconds after which an answer to the open question is cut in on, accommodation included."""

    # --- what may be --------------------------------------------------------------------------------------------
    def legal(self, at: float) -> Legal: ...
    def check(self, move: Move, at: float) -> None:
        """Raises `IllegalMove`, and changes nothing."""
    def reply(self, move: Move, at: float, *, scripted: Scripted | None = None) -> Reply:
        """The lines of a legal move. The acknowledgement is as given in the move; the caller has checked its words."""
    def forced(self, at: float) -> Move | None:
        """The move that code itself makes for the settled turn, without a model: a button, a yes or no to a
        confirmation, time that has run out."""
    def default(self, at: float) -> Move:
        """The machine's own move where the model has none: always legal."""
    def opening(self, at: float) -> Reply:
        """Disclosure, greeting and the first question; after a rejoin a bridge and what was open, never the
        greeting again."""
    def silence(self, step: int, at: float) -> Reply | None:
        """The silence ladder: step 0 reassures, 1 asks again, 2 moves on."""
    def rambling(self, at: float) -> Reply:
        """The polite cut-in on an answer past its hard limit."""

    # --- what happened ------------------------------------------------------------------------------------------
    def event_for(self, line: Line, reply_id: str, at: float) -> Event | None:
        """What a line's first sound means: a question asked, a probe asked, a question repeated, or nothing."""
    def apply(self, event: Event) -> None:
        """Fold one event; raises `IllegalEvent`, and changes nothing."""
