"""What the store hands out: frozen rows in the interview's words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.events import (
    CallJoined,
    CallLeft,
    ConsentRecorded,
    EndReason,
    Event,
    InterviewEnded,
)

InviteKind = Literal["link", "pin", "number"]
Status = Literal["invited", "consented", "live", "away", "ended", "erased"]


@dataclass(frozen=True)
class StoredEvent:
    seq: int
    at: float
    event: Event
    hash: str
    epoch: int
    schema_version: int


@dataclass(frozen=True)
class InterviewRecord:
    interview_id: str
    plan_hash: str
    candidate_name: str
    language: Literal["en", "zh"]
    time_factor: float
    rehearsal: bool
    created_at: float
    status: Status
    end_reason: EndReason | None
    ended_at: float | None
    last_seq: int
    last_event_at: float
    head_hash: str
    """The hash of the last event: stands for the whole log."""


@dataclass(frozen=True)
class StoredReport:
    interview_id: str
    revision: int
    json: str
    created_at: float


@dataclass(frozen=True)
class Job:
    """One report to be made."""

    interview_id: str
    revision: int
    attempts: int
    """How often it was claimed, this time included."""


@dataclass(frozen=True)
class Invite:
    token_hash: str
    interview_id: str
    created_at: float
    expires_at: float
    revoked_at: float | None
    kind: InviteKind = "link"
    """A PIN lets its bearer in by telephone; a number only tells whose call it seems to be. Both
    stand here by their keyed hash."""


CallOutcome = Literal[
    "waiting",  # to be begun at `not_before`
    "calling",
    "answered",  # by somebody who went on to the interview
    "busy",
    "no_answer",
    "declined",  # refused, or hung up before the interview
    "voicemail",  # taken, and nobody spoke or pressed a key
    "failed",
    "cancelled",  # also while it rang, or was not yet in the interview
]


@dataclass(frozen=True)
class CallOut:
    """A call to a candidate: to come, or made."""

    call_id: str
    interview_id: str
    number: str
    zone: str
    """The candidate's time zone: `Europe/Berlin`."""
    not_before: float
    attempt: int
    """The first is 1."""
    began_at: float | None = None
    seconds: float | None = None
    """From the dialling to the end; None while it is being made."""
    outcome: CallOutcome = "waiting"
    seen_at: float | None = None
    """When the server that makes it last said that it is being made."""


@dataclass(frozen=True)
class Login:
    """Somebody who knew the desk's password."""

    token_hash: str
    created_at: float
    last_seen_at: float


@dataclass(frozen=True)
class PlanEntry:
    """A saved plan, as a list shows it."""

    hash: str
    plan_id: str
    version: str
    title: str
    job_title: str
    language: Literal["en", "zh"]


def status_after(status: Status, event: Event) -> Status:
    """The status in lists, folded event by event."""
    match event:
        case InterviewEnded():
            return "ended"
        case _ if status == "ended":
            return status
        case CallJoined():
            return "live"
        case CallLeft(reason=reason) if reason != "replaced":
            return "away"
        case ConsentRecorded(interview=True) if status == "invited":
            return "consented"
        case _:
            return status
