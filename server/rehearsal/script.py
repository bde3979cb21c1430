"""What the synthetic candidate will say and do: turns by question, checked beforehand. Pure.

A script does not follow a clock: each question has a list of turns, and whenever the interviewer
gives the floor the next turn of the open question is played. So it bears a model that asks more,
or less, than was foreseen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.plan import Language, Plan

Request = Literal["skip", "repeat", "end", "person", "pause", "extra_time"]
Demand = Literal[
    "every_move",
    "move_refused",
    "barge_in",
    "model_stall",
    "rejoin",
    "candidate_question",
    "skip",
    "long_answer",
    "grader_rubbish",
    "by_telephone",
    "every_spoken_move",
    "repeat_key",
    "finish_key",
    "hold",
]
"""Something that the run must contain, or it fails."""
NEEDS_TELEPHONE: frozenset[Demand] = frozenset(
    {"by_telephone", "every_spoken_move", "repeat_key", "finish_key", "hold"}
)
ALL_DEMANDS: tuple[Demand, ...] = tuple(
    demand for demand in get_args(Demand) if demand not in NEEDS_TELEPHONE
)
"""Of a rehearsal in a browser."""
NEEDS_PAGE: frozenset[Demand] = frozenset({"every_move", "skip"})
"""A telephone has no button for skipping or ending."""
TELEPHONE_DEMANDS: tuple[Demand, ...] = tuple(
    demand for demand in get_args(Demand) if demand not in NEEDS_PAGE
)
"""Of a rehearsal by telephone."""
NEEDS_VOICE: frozenset[Demand] = frozenset({"barge_in", "long_answer"})
NEEDS_STAND_IN: frozenset[Demand] = frozenset(
    {"every_move", "every_spoken_move", "move_refused", "model_stall", "grader_rubbish"}
)
"""Only the stand-in model makes its mistakes at fixed places."""
LONG_ANSWER_S = 40.0
LONG_ANSWER_PAUSES = 3

Words = Annotated[str, Field(min_length=1, max_length=2000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Step(_Part):
    """One thing the candidate does; exactly one of the fields is given."""

    say: Words | None = None
    pause: float | None = Field(None, ge=0, le=30)
    """Seconds of silence that belong to the answer."""
    type: Words | None = None
    press: Request | None = None
    """A button of the page."""
    key: str | None = Field(None, pattern=r"^[0-9*#]$")
    """A key of the telephone."""
    drop: float | None = Field(None, ge=0, le=60)
    """Lose the network; come back after so many seconds."""
    hold: float | None = Field(None, ge=0, le=60)
    """Put the interviewer on hold by telephone; come back so many seconds after it has paused."""
    hang_up: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Step:
        if len(self.model_fields_set) != 1:
            raise ValueError(
                "a step has exactly one of: say, pause, type, press, key, drop, hold, hang_up"
            )
        return self


class Turn(_Part):
    """What the candidate does with the floor once it has it."""

    barge_in_s: float | None = Field(None, ge=0, le=30)
    """Seconds after the first sound of the question; None: wait until the interviewer is quiet."""
    reaction_s: float = Field(0.3, ge=0, le=30)
    steps: tuple[Step, ...] = Field(min_length=1)


class Voice(_Part):
    """espeak-ng's parameters."""

    name: str = "en-us"
    rate: int = Field(165, ge=100, le=260)
    pitch: int = Field(50, ge=0, le=99)


class Script(_Part):
    """A whole candidate."""

    language: Language = "en"
    voice: Voice = Voice()
    answers: dict[str, tuple[Turn, ...]]
    """By question id."""
    otherwise: Turn = Turn(steps=(Step(say="In general, I usually plan my day every week."),))
    """Played when a question asks for more turns than it has."""
    demands: tuple[Demand, ...] = ()

    def steps(self) -> Iterator[Step]:
        for turns in self.answers.values():
            for turn in turns:
                yield from turn.steps

    def spoken(self, question_id: str) -> str:
        """Everything that is said aloud to one question."""
        turns = self.answers.get(question_id, ())
        return " ".join(step.say for turn in turns for step in turn.steps if step.say)

    def without_voice(self) -> Script:
        """The same candidate at a keyboard: one typed text a turn, no pauses, no barge-in."""
        answers = {key: tuple(map(_typed, turns)) for key, turns in self.answers.items()}
        kept = tuple(demand for demand in self.demands if demand not in NEEDS_VOICE)
        return self.model_copy(
            update={"answers": answers, "otherwise": _typed(self.otherwise), "demands": kept}
        )


def on_hold(script: Script) -> list[str]:
    """What a held interviewer hears: sentences that are said at no other time, unless the script
    is at its end."""
    return [step.say for step in script.otherwise.steps if step.say]


class UnknownQuestion(ValueError):
    """The script answers a question that the plan does not ask."""


def for_plan(script: Script, plan: Plan) -> Script:
    """The script if it fits the plan; raises `UnknownQuestion`, naming the ones that are there."""
    known = {question.id for question in plan.questions()}
    if unknown := sorted(set(script.answers) - known):
        raise UnknownQuestion(
            f"the plan {plan.plan_id} has no question {', '.join(unknown)}; "
            f"it has {', '.join(sorted(known))}"
        )
    return script


class WrongWay(ValueError):
    """The script does what its candidate cannot do: a browser has no keys, a telephone no page."""


def check_way(script: Script, *, by_telephone: bool) -> None:
    """Raises `WrongWay`."""
    for key, turns in (*script.answers.items(), ("otherwise", (script.otherwise,))):
        for step in (step for turn in turns for step in turn.steps):
            if by_telephone and (step.press or step.type or step.hang_up):
                raise WrongWay(f"{key}: by telephone nothing is typed and no button pressed; `key`")
            if not by_telephone and (step.key or step.hold is not None):
                raise WrongWay(f"{key}: `key` and `hold` are for a telephone, with --phone")


class Performance:
    """Where the candidate is in a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.unforeseen = 0
        """Turns that the script did not have."""
        self._played: Counter[str] = Counter()

    def peek(self, question_id: str | None) -> Turn | None:
        """The next turn of a question, if the script has one."""
        turns = self.script.answers.get(question_id or "", ())
        played = self._played[question_id or ""]
        return turns[played] if played < len(turns) else None

    def take(self, question_id: str | None) -> Turn:
        turn = self.peek(question_id)
        if turn is None:
            self.unforeseen += 1
            return self.script.otherwise
        self._played[question_id or ""] += 1
        return turn

    def remaining(self) -> Iterator[Turn]:
        for key, turns in self.script.answers.items():
            yield from turns[self._played[key] :]

    def left(self) -> list[str]:
        """Questions with turns not yet played."""
        return [key for key, turns in self.script.answers.items() if self._played[key] < len(turns)]


def _typed(turn: Turn) -> Turn:
    """Words to the keyboard: those before a drop and those after it are two messages."""
    steps: list[Step] = []
    for step in turn.steps:
        words = step.say or step.type
        if words and steps and steps[-1].type:
            steps[-1] = Step(type=f"{steps[-1].type} {words}")
        elif words:
            steps.append(Step(type=words))
        elif step.pause is None:
            steps.append(step)
    return Turn(reaction_s=turn.reaction_s, steps=tuple(steps))
