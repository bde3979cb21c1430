"""The function calls a model may make. A move is a request; the interview may refuse it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

FREE_PROBE = "free"
GENERAL_ANSWERS = (
    "can_you_hear_me",
    "are_you_an_ai",
    "time_left",
    "how_did_i_do",
    "want_a_person",
    "pause",
    "none",
)
"""What `answer_candidate` may name besides the plan's FAQ ids; `none`: "I will pass this on"."""


class _Move(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NextQuestion(_Move):
    """The answer is complete, or cannot get better: go on to the plan's next question."""

    name: Literal["next_question"] = "next_question"
    acknowledgement: str = ""


class AskProbe(_Move):
    """Ask one follow-up on the open question."""

    name: Literal["ask_probe"] = "ask_probe"
    probe_id: str
    """An id of the open question's probes, or `free`."""
    question: str = ""
    """The follow-up's words, only for `free`."""


class RepeatQuestion(_Move):
    name: Literal["repeat_question"] = "repeat_question"
    rephrase: bool = False


class SkipQuestion(_Move):
    """The candidate asked to skip the open question."""

    name: Literal["skip_question"] = "skip_question"
    reason: str = ""


class Wait(_Move):
    """The candidate is still thinking, or stopped in mid-sentence."""

    name: Literal["wait"] = "wait"
    kind: Literal["thinking", "not_finished"]


class AnswerCandidate(_Move):
    """The candidate asked something: give the approved answer."""

    name: Literal["answer_candidate"] = "answer_candidate"
    faq_id: str
    """An id of the plan's FAQ, or one of `GENERAL_ANSWERS`."""


class EndInterview(_Move):
    """The candidate wants to end the interview."""

    name: Literal["end_interview"] = "end_interview"
    reason: str = ""


Move = Annotated[
    NextQuestion | AskProbe | RepeatQuestion | SkipQuestion | Wait | AnswerCandidate | EndInterview,
    Field(discriminator="name"),
]
MOVE_NAMES = (
    "next_question",
    "ask_probe",
    "repeat_question",
    "skip_question",
    "wait",
    "answer_candidate",
    "end_interview",
)

_MOVE: TypeAdapter[Move] = TypeAdapter(Move)


def parse_move(name: str, arguments: dict[str, object]) -> Move:
    """The move a function call asks for; raises `pydantic.ValidationError`."""
    return _MOVE.validate_python({**arguments, "name": name})
