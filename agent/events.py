"""What happened in an interview: frozen, tagged events, the one truth everything else is folded
from.

Rules that bind here:

* An event is a fact, written once, in order, never changed. What can be computed from others is not
  stored.
* `at` and every other time is Unix seconds. A clock that steps back is clamped by the machine, not
  here.
* Three moments of a turn are written: `segment_heard` (with `turn_settled`, committed before the
  reply can
  sound); `move_heard` and `question_asked | probe_asked | question_repeated` (when the
  acknowledgement, or the
  verbatim line, starts to play); `line_spoken` (the text as heard, when it ends).
* The envelope (interview, sequence number, schema version, hash chain, lease epoch) is the Store's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from agent.moves import Move

SCHEMA_VERSION = 4
"""Stored with each event; grows when an older Viva could no longer read what is written."""

LineKind = Literal[
    "disclosure",  # who is speaking, and that it is an AI
    "greeting",
    "stage",  # a stage's transition line
    "acknowledgement",  # the model's own words, checked, or a stock line in their place
    "question",
    "probe",
    "repeat",
    "patience",  # "take your time"
    "answer",  # to the candidate's question
    "confirmation",  # "do you want to end the interview?"
    "filler",
    "welcome_back",
    "nudge",  # the silence ladder's reassurance
    "cut_in",  # the polite end of a rambling answer
    "closing",
    "keys",  # what the telephone's keys do
]
EndReason = Literal[
    "completed",  # reached its closing
    "time_up",
    "withdrawn",  # the candidate ended it
    "declined_ai",  # the candidate wants a person
    "abandoned",  # the candidate did not come back
    "technical_failure",
]
Suggestion = Literal["strong_yes", "yes", "no", "definitely_no", "no_decision"]
"""What can be decided about a candidate; only people decide."""
Scripted = Literal["model_unavailable", "model_stalled", "illegal_move", "silence", "time_limit"]
"""Why code, and not the model, chose a move."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    at: float
    """Unix seconds."""


class Word(BaseModel):
    """One recognised word; times are Unix seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    text: str
    t0: float
    t1: float
    probability: float | None
    """None: the recogniser does not say."""


class InterviewCreated(_Event):
    type: Literal["interview_created"] = "interview_created"
    interview_id: str
    plan_id: str
    plan_version: str
    plan_hash: str
    language: Literal["en", "zh"]
    candidate_name: str = ""
    time_factor: float = 1.0
    """Extra time as an accommodation: multiplies think times and limits."""
    rehearsal: bool = False
    """Stand-ins take part; the report decides nothing."""


class Disclosed(_Event):
    """The candidate was told that this is an AI, who will hear it, and where spoken text goes."""

    type: Literal["disclosed"] = "disclosed"
    version: str
    method: Literal["page", "spoken"]


class ConsentRecorded(_Event):
    type: Literal["consent_recorded"] = "consent_recorded"
    interview: bool
    recording: bool
    version: str
    method: Literal["click", "spoken", "typed", "key"]
    """Of the interview's answer, and of the recording's where that has none of its own."""
    recording_method: Literal["spoken", "key"] | None = None
    """By telephone the recording is asked for by itself. None: answered with the interview, or not
    asked for."""


class CallJoined(_Event):
    """A device of the candidate's is connected; the second time it is a rejoin."""

    type: Literal["call_joined"] = "call_joined"
    channel: Literal["web", "phone", "text"]
    epoch: int


class CallLeft(_Event):
    type: Literal["call_left"] = "call_left"
    reason: Literal["dropped", "hung_up", "replaced", "server_stopped"]


class SegmentHeard(_Event):
    """A stretch of the candidate's speech (or a typed answer) recognised for good; may belong to a
    turn still open."""

    type: Literal["segment_heard"] = "segment_heard"
    segment_id: str
    turn_id: str
    text: str
    t0: float
    t1: float
    source: Literal["spoken", "typed"] = "spoken"
    confidence: float | None = 1.0
    """0..1; 1 for typed text, None where the recogniser gives none."""
    verdict: Literal["ok", "low_confidence", "dropped", "backchannel", "failed"] = "ok"
    words: tuple[Word, ...] = ()


class TurnSettled(_Event):
    """The candidate has finished; the text is that of the turn's segments and is not to be decided
    on twice."""

    type: Literal["turn_settled"] = "turn_settled"
    turn_id: str
    text: str
    t0: float
    t1: float
    source: Literal["spoken", "typed"] = "spoken"
    end_of_turn_delay: float | None = None
    """Seconds from the end of speech to the decision that the turn is over."""


class RequestMade(_Event):
    """A button or key of the candidate's: as good as clear words."""

    type: Literal["request_made"] = "request_made"
    request: Literal["skip", "repeat", "end", "person", "pause", "extra_time"]


class MoveRefused(_Event):
    """The model asked for a move that the machine did not allow; nothing changed."""

    type: Literal["move_refused"] = "move_refused"
    turn_id: str
    move: str
    reason: str


class ModelFailed(_Event):
    """The model gave no usable move in time."""

    type: Literal["model_failed"] = "model_failed"
    turn_id: str
    reason: str


class MoveHeard(_Event):
    """A reply began to sound (or a silent `wait` was decided): its move is committed."""

    type: Literal["move_heard"] = "move_heard"
    reply_id: str
    turn_id: str | None = None
    """The candidate's turn it answers; None for a reply that code began (opening, silence,
    rejoin)."""
    move: Move
    scripted: Scripted | None = None
    reply_delay: float | None = None
    """Seconds from the end-of-turn decision to the first sound."""


class QuestionAsked(_Event):
    type: Literal["question_asked"] = "question_asked"
    reply_id: str
    question_id: str
    wording: str


class ProbeAsked(_Event):
    type: Literal["probe_asked"] = "probe_asked"
    reply_id: str
    question_id: str
    probe_id: str
    """The plan's id, or `free`."""
    wording: str


class QuestionRepeated(_Event):
    type: Literal["question_repeated"] = "question_repeated"
    reply_id: str
    question_id: str
    wording: str
    rephrased: bool = False


class LineSpoken(_Event):
    """One part of a reply has ended: the text as heard, whole or interrupted."""

    type: Literal["line_spoken"] = "line_spoken"
    utterance_id: str
    reply_id: str
    kind: LineKind
    text: str
    """As heard. Empty if it was interrupted before a word was out."""
    interrupted: bool = False
    question_id: str | None = None
    t0: float
    t1: float


class Incident(_Event):
    """Something that a reader of the report should know: a lost voice, a full disk, a stall, no
    audio."""

    type: Literal["incident"] = "incident"
    kind: str
    detail: str = ""


class AudioMeasured(_Event):
    """What the transport counted between two moments of the call."""

    type: Literal["audio_measured"] = "audio_measured"
    packets: int
    lost: int
    recovered: int
    concealed_s: float


class InterviewEnded(_Event):
    type: Literal["interview_ended"] = "interview_ended"
    reason: EndReason


class AnswerCorrected(_Event):
    """After the call the candidate wrote beside an utterance what they had said. What was heard
    stays as it is, and is what was graded; the last correction of an utterance stands."""

    type: Literal["answer_corrected"] = "answer_corrected"
    utterance_id: str
    text: str
    """Empty: the correction is taken back."""


class DecisionRecorded(_Event):
    """A person decided; the last decision stands."""

    type: Literal["decision_recorded"] = "decision_recorded"
    value: Suggestion
    by: str
    reason: str


Event = Annotated[
    InterviewCreated
    | Disclosed
    | ConsentRecorded
    | CallJoined
    | CallLeft
    | SegmentHeard
    | TurnSettled
    | RequestMade
    | MoveRefused
    | ModelFailed
    | MoveHeard
    | QuestionAsked
    | ProbeAsked
    | QuestionRepeated
    | LineSpoken
    | Incident
    | AudioMeasured
    | InterviewEnded
    | AnswerCorrected
    | DecisionRecorded,
    Field(discriminator="type"),
]

# A union's own setting counts, not its members': an error may be logged, and repeats no words.
_EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(hide_input_in_errors=True))


STAND_INS = "stand_ins"
"""The incident's kind where stand-ins take part in an interview that was not made as a
rehearsal."""


def is_rehearsal(events: Iterable[Event]) -> bool:
    """Whether stand-ins take part, as was known when it was made or as it was held."""
    return any(
        (isinstance(event, InterviewCreated) and event.rehearsal)
        or (isinstance(event, Incident) and event.kind == STAND_INS)
        for event in events
    )


class NewerEvent(ValueError):
    """Written by a newer Viva; read by this one it could mean something else."""


def parse_event(payload: object, schema_version: int = SCHEMA_VERSION) -> Event:
    """An event from its JSON object and the version it was written with; raises `NewerEvent`,
    `pydantic.ValidationError`."""
    if schema_version > SCHEMA_VERSION:
        raise NewerEvent(
            f"The event has schema version {schema_version}; this Viva reads {SCHEMA_VERSION}."
        )
    return _EVENT.validate_python(payload)
