"""Which moves are legal, and what comes next: pure functions over a plan and a state.

| move | legal when |
|---|---|
| next_question | consent is recorded, or nothing is left to ask |
| ask_probe | a question is open, budget and probe are unused, no "I have no more" was said; |
| | and, by the clock, before the question's soft limit and the wrap-up |
| repeat_question | a question is open |
| skip_question | a question is open, and the candidate's words or button ask for it |
| wait | fewer than three in a row |
| answer_candidate | the answer exists; a person only at the candidate's words or button |
| end_interview | the candidate's words or button ask for it; once asked back, a yes |

Once the interview is closing, only next_question (the goodbye) is legal; once ended, nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from agent import intents
from agent.events import EndReason
from agent.moves import (
    FREE_PROBE,
    GENERAL_ANSWERS,
    AnswerCandidate,
    AskProbe,
    EndInterview,
    Move,
    NextQuestion,
    RepeatQuestion,
    SkipQuestion,
    Wait,
)
from agent.plan import Plan, Question, Stage
from agent.refusal import Reason, Refusal
from agent.state import State

MAX_WAITS = 3
"""In a row; after that the interviewer has to say something."""


class IllegalMove(Exception):
    """The rules do not allow this move now; the refusal says why, for the model's one retry."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def time_factor(plan: Plan, state: State) -> float:
    given = state.created.time_factor if state.created else 1.0
    return max(given, plan.policy.extra_time_factor) if state.extra_time else given


def time_left(plan: Plan, state: State, at: float) -> float:
    return plan.policy.total_time_s * time_factor(plan, state) - state.elapsed(at)


def out_of_time(plan: Plan, state: State, at: float) -> bool:
    return len(state.turns) >= plan.policy.max_turns or time_left(plan, state, at) <= 0


def wrapping_up(plan: Plan, state: State, at: float) -> bool:
    return time_left(plan, state, at) < plan.policy.wrap_up_s


def open_question(plan: Plan, state: State) -> Question | None:
    return plan.question(state.open.question_id) if state.open else None


def current_stage(plan: Plan, state: State) -> Stage | None:
    if state.ending or state.ended or any(line.kind == "closing" for line in state.to_say):
        closing = [stage for stage in plan.stages if stage.kind == "closing"]
        if closing:
            return closing[-1]
    return plan.stage_of(state.asked[-1].question_id) if state.asked else None


def to_come(plan: Plan, state: State) -> Iterator[Question]:
    """The questions after the last one asked: there is no way back."""
    questions = list(plan.questions())
    first = 0
    if state.asked:
        last = state.asked[-1].question_id
        first = next(i for i, question in enumerate(questions) if question.id == last) + 1
    yield from questions[first:]


def target(plan: Plan, state: State, at: float) -> Question | None:
    """The next question, if there is one and time for it; else the interview closes."""
    if state.ending or out_of_time(plan, state, at):
        return None
    hurry = wrapping_up(plan, state, at)
    return next((q for q in to_come(plan, state) if q.must_ask or not hurry), None)


def end_reason(plan: Plan, state: State) -> EndReason:
    """Why an interview that closes now has ended."""
    if state.ending:
        return state.ending
    return "time_up" if any(q.must_ask for q in to_come(plan, state)) else "completed"


def asked_for(state: State, request: str, said: Callable[[str], bool]) -> bool:
    """The candidate asks for it: by button, or by words of a turn not yet answered."""
    return request in state.requests or any(said(turn.text) for turn in state.undecided)


def end_confirmed(state: State) -> bool:
    return state.confirming_end and asked_for(
        state, "end", lambda text: intents.is_yes(text) or intents.wants_to_end(text)
    )


def probe_ids(plan: Plan, state: State) -> tuple[str, ...]:
    """The open question's probes that were not asked yet, budget or not."""
    question = open_question(plan, state)
    if question is None or state.open is None:
        return ()
    used = {probe.probe_id for probe in state.open.probes}
    ids = [probe.id for probe in question.probes] + [FREE_PROBE] * question.free_probe
    return tuple(probe_id for probe_id in ids if probe_id not in used)


def why_no_probe(plan: Plan, state: State, at: float | None = None) -> Refusal | None:
    """Why no follow-up may be asked; `at=None` looks away from the clock."""
    question, asked = open_question(plan, state), state.open
    if question is None or asked is None:
        return Refusal(Reason.NO_OPEN_QUESTION)
    if asked.refused_probes:
        return Refusal(Reason.NOTHING_MORE_TO_SAY)
    if len(asked.probes) >= question.max_probes:
        return Refusal(Reason.PROBES_USED)
    if not probe_ids(plan, state):
        return Refusal(Reason.NO_PROBE_LEFT)
    if at is None:
        return None
    if wrapping_up(plan, state, at):
        return Refusal(Reason.NO_TIME_FOR_PROBES)
    if state.elapsed(at) - asked.asked_after > question.soft_limit_s * time_factor(plan, state):
        return Refusal(Reason.QUESTION_HAD_ITS_TIME)
    return None


def why_not(plan: Plan, state: State, move: Move, at: float | None = None) -> Refusal | None:
    """Why a move is illegal, or None.

    `at=None` looks away from the clock. Facts are judged so: a limit that passed between the
    decision and its first sound does not undo it.
    """
    if state.ended:
        return Refusal(Reason.ENDED)
    if state.ending and not isinstance(move, NextQuestion):
        return Refusal(Reason.CLOSING)
    match move:
        case NextQuestion():
            return _why_not_next(plan, state, at)
        case AskProbe():
            return why_no_probe(plan, state, at) or _why_not_this_probe(plan, state, move)
        case RepeatQuestion():
            return None if state.open else Refusal(Reason.NO_OPEN_QUESTION)
        case SkipQuestion():
            return _why_not_skip(state)
        case Wait():
            waiting = state.waits < MAX_WAITS or not state.consented
            return None if waiting else Refusal(Reason.WAITS_USED, str(MAX_WAITS))
        case AnswerCandidate():
            return _why_not_answer(plan, state, move)
        case EndInterview():
            return _why_not_end(state)


def _why_not_next(plan: Plan, state: State, at: float | None) -> Refusal | None:
    if state.consented or state.ending:
        return None
    nothing_left = next(to_come(plan, state), None) is None
    if nothing_left or out_of_time(plan, state, state.clock if at is None else at):
        return None
    return Refusal(Reason.NO_CONSENT)


def _why_not_this_probe(plan: Plan, state: State, move: AskProbe) -> Refusal | None:
    left = probe_ids(plan, state)
    if move.probe_id not in left:
        return Refusal(Reason.NOT_A_PROBE_HERE, ", ".join(left))
    if move.probe_id == FREE_PROBE and not move.question.strip():
        return Refusal(Reason.PROBE_WITHOUT_WORDS)
    return None


def _why_not_skip(state: State) -> Refusal | None:
    if state.open is None:
        return Refusal(Reason.NO_OPEN_QUESTION)
    if asked_for(state, "skip", intents.wants_to_skip):
        return None
    return Refusal(Reason.SKIP_NOT_ASKED_FOR)


def _why_not_answer(plan: Plan, state: State, move: AnswerCandidate) -> Refusal | None:
    if move.faq_id not in (*(faq.id for faq in plan.faq), *GENERAL_ANSWERS):
        return Refusal(Reason.NO_SUCH_ANSWER, move.faq_id)
    if move.faq_id == "want_a_person" and not asked_for(state, "person", intents.wants_a_person):
        return Refusal(Reason.PERSON_NOT_ASKED_FOR)
    return None


def _why_not_end(state: State) -> Refusal | None:
    if state.confirming_end:
        return None if end_confirmed(state) else Refusal(Reason.END_NOT_CONFIRMED)
    if asked_for(state, "end", intents.wants_to_end):
        return None
    return Refusal(Reason.END_NOT_ASKED_FOR)
