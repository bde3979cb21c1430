"""What became of each question: answered, partly, declined, not asked, not scorable. Pure; a fold
of the log.

These are states of the interview, decided before anything is graded and without a model: an answer
from a bad line, or none at all, is never a low score.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from agent import events as ev
from agent.evidence import Said
from agent.grades import QuestionGrade, answer_hash, checks_of
from agent.plan import Plan, Question

AnswerState = Literal["answered", "partly", "declined", "not_asked", "not_scorable"]
MIN_CONFIDENCE = 0.4
"""Mean recogniser confidence over an answer, by letters; below it nobody should be judged by these
words.
"""
ASIDE_MOVES = frozenset({"repeat_question", "skip_question", "end_interview", "answer_candidate"})
"""Moves that answer words which were, when short, no answer to the question."""
ASIDE_WORDS = 12
UNJUDGED: tuple[ev.EndReason, ...] = ("withdrawn", "declined_ai")
"""Who goes, or wants a person, is not judged."""
FINISHED: tuple[ev.EndReason, ...] = ("completed", "time_up")
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_]+(?:['’\-][^\W_]+)*")


class Utterance(Said, Protocol):
    """What this module needs of a transcript's utterance."""

    @property
    def speaker(self) -> str: ...
    @property
    def question_id(self) -> str | None: ...
    @property
    def source(self) -> str: ...
    @property
    def confidence(self) -> float | None: ...


def words_in(text: str) -> int:
    """Words, or Chinese characters."""
    return len(_WORD.findall(text))


@dataclass
class Course:
    """The interview's course, question by question, as far as the log goes."""

    asked: list[str] = field(default_factory=list)
    declined: set[str] = field(default_factory=set)
    open: str | None = None
    """The question that was open when the log stops, unless the interview reached its end."""
    ended: ev.EndReason | None = None
    moves: dict[str, str] = field(default_factory=dict)
    """The move that answered each turn."""
    heard_s: dict[str, float] = field(default_factory=dict)
    """Seconds of recognised speech by turn."""
    lost_s: dict[str, float] = field(default_factory=dict)
    """Seconds of speech by turn that could not be recognised."""


def course_of(events: Iterable[ev.Event]) -> Course:
    course = Course()
    for event in events:
        match event:
            case ev.SegmentHeard(turn_id=turn, verdict=verdict) if verdict != "dropped":
                seconds = course.lost_s if verdict == "failed" else course.heard_s
                seconds[turn] = seconds.get(turn, 0.0) + max(event.t1 - event.t0, 0.0)
            case ev.QuestionAsked(question_id=asked):
                course.asked.append(asked)
                course.open = asked
            case ev.MoveHeard(turn_id=turn, move=move):
                if turn is not None:
                    course.moves.setdefault(turn, move.name)
                if move.name == "skip_question" and course.open is not None:
                    course.declined.add(course.open)
                    course.open = None
            case ev.InterviewEnded(reason=reason):
                course.ended = reason
                if reason in FINISHED:
                    course.open = None
            case _:
                pass
    return course


@dataclass(frozen=True)
class AnswerFound:
    """A question, its state and what was said while it was open."""

    question: Question
    state: AnswerState
    cause: str
    """The phrase that says why, in `prompts/<language>/remark.md`."""
    exchange: tuple[Utterance, ...]
    """Both speakers, in order."""
    confidence: float | None

    @property
    def said(self) -> tuple[Utterance, ...]:
        """The candidate's part."""
        return tuple(one for one in self.exchange if one.speaker == "candidate")

    @property
    def gradable(self) -> bool:
        return self.state in ("answered", "partly")


def mean_confidence(said: Iterable[Utterance]) -> float | None:
    """By letters; typed words are certain; None where nothing was said."""
    weighed = [
        (len(one.text), 1.0 if one.source == "typed" else one.confidence)
        for one in said
        if words_in(one.text) and (one.source == "typed" or one.confidence is not None)
    ]
    letters = sum(length for length, _ in weighed)
    return sum(n * (c or 0.0) for n, c in weighed) / letters if letters else None


def _asides(plan: Plan, question: Question, said: Iterable[Utterance], course: Course) -> set[str]:
    """Utterances that ask or request something and answer nothing."""
    if plan.stage_of(question.id).kind == "candidate_questions":
        return set()  # here asking is the answer
    return {
        one.id
        for one in said
        if course.moves.get(one.id) in ASIDE_MOVES and words_in(one.text) < ASIDE_WORDS
    }


def _state(
    question_id: str, answer: Sequence[Utterance], confidence: float | None, course: Course
) -> tuple[AnswerState, str]:
    if question_id not in course.asked:
        return "not_asked", "not_asked"
    if question_id in course.declined:
        return "declined", "declined"
    if not any(words_in(one.text) for one in answer):
        return "not_scorable", "no_words"
    lost = sum(course.lost_s.get(one.id, 0.0) for one in answer)
    if lost > sum(course.heard_s.get(one.id, 0.0) for one in answer):
        return "not_scorable", "lost_speech"
    if confidence is not None and confidence < MIN_CONFIDENCE:
        return "not_scorable", "low_confidence"
    if course.open == question_id:
        return "partly", "partly"
    return "answered", "answered"


def answers(
    plan: Plan, events: Iterable[ev.Event], utterances: Iterable[Utterance]
) -> tuple[AnswerFound, ...]:
    """One for each question of the plan, in its order."""
    course = course_of(events)
    by_question: dict[str | None, list[Utterance]] = {}
    for one in utterances:
        by_question.setdefault(one.question_id, []).append(one)
    found: list[AnswerFound] = []
    for question in plan.questions():
        exchange = tuple(by_question.get(question.id, ()))
        said = [one for one in exchange if one.speaker == "candidate"]
        confidence = mean_confidence(said)
        asides = _asides(plan, question, said, course)
        answer = [one for one in said if one.id not in asides]
        state, cause = _state(question.id, answer, confidence, course)
        found.append(AnswerFound(question, state, cause, exchange, confidence))
    return tuple(found)


def to_grade(
    plan: Plan,
    events: Sequence[ev.Event],
    utterances: Iterable[Utterance],
    grades: Mapping[str, QuestionGrade],
    *,
    final: bool = False,
) -> tuple[AnswerFound, ...]:
    """The closed answers that still need a grade; none once the candidate has withdrawn.

    `final`: the log will not grow. The open answer counts too, and what could not be graded while
    the interview went on is tried once more; before that a failure is left alone.
    """
    course = course_of(events)
    if course.ended in UNJUDGED:
        return ()

    def waits(answer: AnswerFound) -> bool:
        grade = current_grade(answer, grades)
        closed = final or course.ended is not None or course.open != answer.question.id
        return closed and (grade is None or (final and grade.state != "graded"))

    return tuple(
        answer
        for answer in answers(plan, events, utterances)
        if answer.gradable and is_graded_stage(plan, answer.question) and waits(answer)
    )


def is_graded_stage(plan: Plan, question: Question) -> bool:
    """Whether the plan scores this question, and says by what."""
    return plan.stage_of(question.id).scored and bool(checks_of(plan, question))


def current_grade(answer: AnswerFound, grades: Mapping[str, QuestionGrade]) -> QuestionGrade | None:
    """The grade of exactly these words, if there is one."""
    grade = grades.get(answer.question.id)
    return grade if grade and grade.answer_hash == answer_hash(answer.said) else None
