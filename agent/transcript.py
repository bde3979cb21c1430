"""Who said what, as heard, folded from the events; the only source of what a candidate said. Pure.

One utterance is a settled turn of the candidate's, or a line of the interviewer's as far as it was
heard. Words of a turn that never settled (a call that broke off) are its last utterance. What the
recogniser dropped, and a listener's "mm-hmm", is counted and left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.events import (
    CallJoined,
    Event,
    InterviewCreated,
    LineKind,
    LineSpoken,
    MoveHeard,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
    Word,
)
from agent.plan import Plan


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Utterance(_Part):
    id: str
    """The turn's id (`c1`) or the line's (`i1`)."""
    speaker: Literal["candidate", "interviewer"]
    t0: float
    t1: float
    text: str
    kind: LineKind | Literal["said"]
    """`said`: the candidate's words."""
    question_id: str | None = None
    """The question that was open when it began; for a line, the one it is about."""
    source: Literal["spoken", "typed"] = "spoken"
    confidence: float | None = None
    """0..1 by letters; None for the interviewer, and where the turn has no segments."""
    words: tuple[Word, ...] = ()
    interrupted: bool = False


class Transcript(_Part):
    started_at: float
    """Unix seconds of the first join; every other time is seconds since then."""
    utterances: tuple[Utterance, ...] = ()
    backchannels: int = 0
    dropped: int = 0
    failed: int = 0
    """Segments that the recogniser heard and could not read."""


def transcript(events: Sequence[Event]) -> Transcript:
    """The transcript on the interview's own clock."""
    joins = [event.at for event in events if isinstance(event, CallJoined)]
    start = (joins or [event.at for event in events] or [0.0])[0]
    verdicts = [event.verdict for event in events if isinstance(event, SegmentHeard)]
    return Transcript(
        started_at=start,
        utterances=tuple(_shifted(one, start) for one in transcript_of(events)),
        backchannels=verdicts.count("backchannel"),
        dropped=verdicts.count("dropped"),
        failed=verdicts.count("failed"),
    )


def transcript_of(events: Iterable[Event]) -> tuple[Utterance, ...]:
    """The utterances in the order of the log, in Unix seconds."""
    course = _Course()
    for event in events:
        course.follow(event)
    return course.finished()


def to_text(told: Transcript, plan: Plan, corrections: Mapping[str, str] | None = None) -> str:
    """For a person to read: a line an utterance, a heading a question; under an utterance what the
    candidate wrote beside it."""
    names = _NAMES[plan.language]
    titles = {question.id: question.text for question in plan.questions()}
    lines: list[str] = []
    under: str | None = None
    for one in told.utterances:
        if one.question_id in titles and one.question_id != under:
            under = one.question_id
            lines.append(f"\n## {titles[under]}\n")
        cut = " —" if one.interrupted else ""
        lines.append(f"[{_minutes(one.t0)}] {names[one.speaker]}{one.text}{cut}")
        if one.speaker == "candidate" and (written := (corrections or {}).get(one.id)):
            lines.append(f"        {names['correction']}{written}")
    return "\n".join(lines).strip() + "\n" if lines else ""


_NAMES = {
    "en": {
        "candidate": "Candidate: ",
        "interviewer": "Interviewer: ",
        "correction": "Corrected by the candidate: ",
    },
    "zh": {"candidate": "候选人：", "interviewer": "面试官：", "correction": "候选人更正："},
}


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(int(max(seconds, 0.0)), 60)
    return f"{minutes:02d}:{rest:02d}"


def _shifted(one: Utterance, start: float) -> Utterance:
    def since(at: float) -> float:
        return round(at - start, 3)

    words = tuple(
        word.model_copy(update={"t0": since(word.t0), "t1": since(word.t1)}) for word in one.words
    )
    return one.model_copy(update={"t0": since(one.t0), "t1": since(one.t1), "words": words})


class _Course:
    """Follows the log: what is open, and what of the open turn was heard."""

    def __init__(self) -> None:
        self._said: list[Utterance] = []
        self._separator = " "
        self._open: str | None = None
        self._under: str | None = None
        """The question that was open when the open turn began."""
        self._segments: list[SegmentHeard] = []

    def follow(self, event: Event) -> None:
        match event:
            case InterviewCreated():
                self._separator = "" if event.language == "zh" else " "
            case QuestionAsked():
                self._open = event.question_id
            case MoveHeard() if event.move.name == "skip_question":
                self._open = None
            case SegmentHeard(verdict="ok" | "low_confidence"):
                self._under = self._under if self._segments else self._open
                self._segments.append(event)
            case TurnSettled():
                self._settle(event)
            case LineSpoken() if event.text.strip():
                self._said.append(_line(event))
            case _:
                pass

    def finished(self) -> tuple[Utterance, ...]:
        """All utterances; those of a turn still open as a last one."""
        if not self._segments:
            return tuple(self._said)
        last = self._segments[-1]
        text = self._separator.join(segment.text.strip() for segment in self._segments)
        unsettled = TurnSettled(
            at=last.at, turn_id=last.turn_id, text=text, t0=last.t0, t1=last.t1, source=last.source
        )
        return (*self._said, self._turn(unsettled))

    def _settle(self, event: TurnSettled) -> None:
        if event.text.strip():
            self._said.append(self._turn(event))
        self._segments = []

    def _turn(self, event: TurnSettled) -> Utterance:
        segments = self._segments
        return Utterance(
            id=event.turn_id,
            speaker="candidate",
            t0=min((segment.t0 for segment in segments), default=event.t0),
            t1=max((segment.t1 for segment in segments), default=event.t1),
            text=event.text,
            kind="said",
            question_id=self._under if segments else self._open,
            source=event.source,
            confidence=1.0 if event.source == "typed" else _confidence(segments),
            words=tuple(word for segment in segments for word in segment.words),
        )


def _confidence(segments: Sequence[SegmentHeard]) -> float | None:
    told = [(s.confidence, len(s.text)) for s in segments if s.confidence is not None]
    letters = sum(length for _, length in told)
    return sum(sure * length for sure, length in told) / letters if letters else None


def _line(event: LineSpoken) -> Utterance:
    return Utterance(
        id=event.utterance_id,
        speaker="interviewer",
        t0=event.t0,
        t1=event.t1,
        text=event.text,
        kind=event.kind,
        question_id=event.question_id,
        interrupted=event.interrupted,
    )
