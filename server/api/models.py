"""What crosses the wire: requests and answers of the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from agent.events import EndReason
from agent.plan import Language
from server.store import CallOut, CallOutcome, InterviewRecord, Status

NAME_LENGTH = 200


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answered(BaseModel):
    pass


def one_line(text: str) -> str:
    """A name is text, whatever stands in it; only what would break a line or hide is taken out."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


Name = Annotated[str, Field(max_length=NAME_LENGTH), AfterValidator(one_line)]

_UNSEEN = {
    # NUL (which not every database stores), escapes of terminals, and what turns the direction of
    # reading: they would change how the words around them look. Joiners stay: emoji and several
    # scripts need them.
    **dict.fromkeys((*range(32), *range(127, 160))),
    **dict.fromkeys((1564, 8206, 8207, *range(8234, 8239))),
    **dict.fromkeys(range(8294, 8298)),
    **{ord(kept): kept for kept in "\n\t"},
}


def as_seen(text: str) -> str:
    """A typed text without what its writer cannot have seen."""
    return text.replace("\r\n", "\n").translate(_UNSEEN)


class Refusal(_Answered):
    """Why a request was not granted."""

    code: str
    """For programs; docs/api.md lists them."""
    text: str
    """For people."""
    retry_after_s: int | None = None
    """Where waiting helps."""


# --- the candidate ------------------------------------------------------------------------------
class Notice(_Answered):
    code: str
    text: str


class ConsentAsked(_Answered):
    version: str
    text: str
    recording_text: str
    interview: bool | None = None
    """The candidate's answer; null where there is none yet."""
    recording: bool | None = None


class CallInfo(_Answered):
    """What a candidate sees before joining."""

    status: Status
    end_reason: EndReason | None
    language: Language
    title: str
    job_title: str
    candidate_name: str
    minutes: int
    """How long the interview takes at most."""
    questions: int
    """Without practice, and without those that the candidate may ask."""
    disclosure: str
    disclosure_version: str
    notices: list[Notice]
    consent: ConsentAsked
    contact: str
    """How to reach a person."""
    ice_servers: list[dict[str, Any]] = Field(default_factory=list)
    """For `RTCPeerConnection`, as it takes them: STUN and TURN, where they are set."""


class ConsentGiven(_Given):
    interview: bool
    recording: bool
    version: str = Field(max_length=100)


class Offer(_Given):
    sdp: str
    type: Literal["offer"]


class OfferAnswer(_Answered):
    sdp: str
    type: str
    epoch: int


class Said(_Answered):
    id: str
    speaker: Literal["candidate", "interviewer"]
    text: str
    question_id: str | None
    t0: float
    t1: float
    source: str
    interrupted: bool
    correction: str | None = None
    """What the candidate wrote beside it after the call."""


class TranscriptAnswer(_Answered):
    status: Status
    utterances: list[Said]


# --- the socket's messages ------------------------------------------------------------------------
class Hello(_Given):
    type: Literal["hello"]
    token: str = Field(max_length=1000)
    mode: Literal["voice", "text"] = "voice"


class Typed(_Given):
    type: Literal["typed"]
    text: Annotated[str, AfterValidator(as_seen)]


class Typing(_Given):
    """A typed answer is being written; sent at most every second or two."""

    type: Literal["typing"]


class Ping(_Given):
    """Whether the line is there: answered by `{"type": "pong"}`."""

    type: Literal["ping"]


class Requested(_Given):
    type: Literal["request"]
    request: Literal["skip", "repeat", "end", "person", "pause", "extra_time"]


class HangUp(_Given):
    type: Literal["hang_up"]


HELLO = TypeAdapter(Hello)
FromCandidate = Annotated[Typed | Typing | Ping | Requested | HangUp, Field(discriminator="type")]
FROM_CANDIDATE: TypeAdapter[FromCandidate] = TypeAdapter(FromCandidate)


# --- the operator ---------------------------------------------------------------------------------
class NewInterview(_Given):
    plan: dict[str, object] | str | None = None
    """A whole plan, as JSON or as a YAML text, or …"""
    plan_hash: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    """… the hash of one that was sent before."""
    candidate_name: Name = ""
    extra_time: bool = False
    """More time to think and to speak, as an accommodation; the plan says how much."""
    valid_days: float | None = Field(None, gt=0, le=366)


class InviteIssued(_Answered):
    interview_id: str
    token: str
    """Shown this once; only its hash is kept."""
    url: str
    expires_at: float
    pin: str
    """For the telephone, shown this once; empty where this server has none."""
    phone_number: str
    """Where to call; empty where it is not set."""


class InterviewCreatedAnswer(InviteIssued):
    plan_hash: str


class InterviewAnswer(_Answered):
    interview_id: str
    status: Status
    end_reason: EndReason | None
    candidate_name: str
    language: Language
    plan_hash: str
    rehearsal: bool
    created_at: float
    ended_at: float | None
    last_event_at: float
    events: int

    @classmethod
    def of(cls, record: InterviewRecord) -> InterviewAnswer:
        return cls(events=record.last_seq, **_known(cls, record))


class NewCall(_Given):
    number: str = Field(max_length=40)
    """With its country code: +49 30 1234567."""
    zone: str = Field("", max_length=64)
    """The candidate's time zone, as Europe/Berlin; by default the server's."""


class CallAnswer(_Answered):
    call_id: str
    number: str
    zone: str
    not_before: float
    attempt: int
    began_at: float | None
    seconds: float | None
    outcome: CallOutcome

    @classmethod
    def of(cls, call: CallOut) -> CallAnswer:
        return cls(**{name: getattr(call, name) for name in cls.model_fields})


class CallList(_Answered):
    calls: list[CallAnswer]


class CallsCancelled(_Answered):
    cancelled: int


class InviteState(_Answered):
    created_at: float
    expires_at: float
    revoked_at: float | None


class InterviewDetail(InterviewAnswer):
    invites: list[InviteState]
    report_revision: int | None
    """The newest report's; null where there is none yet."""
    chain_ok: bool
    """Whether the event log's hash chain verifies."""


class InterviewList(_Answered):
    total: int
    interviews: list[InterviewAnswer]


class EventAnswer(_Answered):
    seq: int
    hash: str
    epoch: int
    schema_version: int
    """Of the event: it grows when an older Viva could not read it."""
    event: dict[str, object]


class EventList(_Answered):
    events: list[EventAnswer]


class Revoked(_Answered):
    revoked: int
    """How many invites were good until now."""


class ReportQueued(_Answered):
    revision: int


class Health(_Answered):
    status: Literal["ok", "store_unavailable", "disk_full"]
    live: int
    max_interviews: int
    version: str


def _known(cls: type[BaseModel], record: InterviewRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name in cls.model_fields}
