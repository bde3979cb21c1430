"""The interview: a pure state machine over a plan.

It holds the rules; a model's move is a request that it may refuse.

Rules it guarantees (each is a property test):

* every must-ask question is opened at most once, in its approved wording, in the plan's order;
  repeats are counted apart; an interview that reaches its closing with time left has opened all;
* never more probes than the question allows, charged when heard; a refusal ("I can't think of
  one") closes the question for probes;
* no way back to a finished stage; one question per reply;
* nothing is asked before disclosure and consent;
* soft limits wrap up, hard limits move on; it always terminates, and closing words are said only
  at the closing;
* replaying the events gives the live state; a transition, once heard, survives an interruption;
* an illegal move or event raises, and nothing changes.

Time is passed in (`at`, Unix seconds; a step back is clamped). The machine knows nothing of audio
or of models. Its parts: `agent.state` (what is so), `agent.rules` (what may be), `agent.wording`
(which words), `agent.fold` (what happened).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from agent import intents, rules
from agent.dictation import spelled
from agent.events import (
    Disclosed,
    EndReason,
    Event,
    LineSpoken,
    MoveHeard,
    ProbeAsked,
    QuestionAsked,
    QuestionRepeated,
    Scripted,
    TurnSettled,
)
from agent.fold import IllegalEvent, fold
from agent.moves import (
    MOVE_NAMES,
    AnswerCandidate,
    EndInterview,
    Move,
    NextQuestion,
    RepeatQuestion,
    SkipQuestion,
    Wait,
)
from agent.plan import Plan, Question, Stage
from agent.refusal import Reason, Refusal
from agent.rules import IllegalMove
from agent.state import Asked, Line, ProbeUsed, State, Turn
from agent.wording import Wording

__all__ = [
    "Asked",
    "IllegalEvent",
    "IllegalMove",
    "Interview",
    "Legal",
    "Line",
    "ProbeUsed",
    "Reply",
    "State",
    "Turn",
]


@dataclass(frozen=True)
class Reply:
    """What the interviewer does next: a move and the lines that follow it."""

    move: Move | None
    """None where nothing was decided (an opening, a rejoin, a reassurance): no `move_heard`."""
    lines: tuple[Line, ...]
    scripted: Scripted | None = None
    acknowledgement: str = ""
    """Words before the lines: the model's own once checked, or a stock one."""


@dataclass(frozen=True)
class Legal:
    """What is legal now, for the last message to the model."""

    moves: tuple[str, ...]
    probe_ids: tuple[str, ...]
    notes: Mapping[str, Refusal]
    """Why not, for each move that is not legal now, in the order of `MOVE_NAMES`."""


class Interview:
    """State by folding events; `check`, `reply` and `default` only read it."""

    def __init__(
        self, plan: Plan, lines: dict[str, tuple[str, ...]], events: Iterable[Event] = ()
    ) -> None:
        self.plan = plan
        self._wording = Wording(plan, lines)
        self._state = State()
        for event in events:
            self.apply(event)

    # --- what is so ------------------------------------------------------------------------------
    @property
    def rev(self) -> int:
        """Grows by one with every event applied."""
        return self._state.rev

    def fork(self) -> Interview:
        """A copy of its own, to look ahead with: what is applied to it happens nowhere else."""
        copy = Interview(self.plan, self._wording.stock)
        copy._state = self._state
        return copy

    def snapshot(self) -> State:
        """All that is so, frozen: two interviews of one plan are the same if these are equal."""
        return self._state

    @property
    def on_phone(self) -> bool:
        """Whether the candidate is, or was last, on the telephone: nothing can be seen."""
        return self._state.on_phone

    def aloud(self, text: str) -> str:
        """A line for the ear: on the telephone, where nothing can be read, what one has to write
        down is spelled. The log keeps the plan's wording."""
        return spelled(text, self.plan.language) if self.on_phone else text

    @property
    def open_question(self) -> Question | None:
        return rules.open_question(self.plan, self._state)

    @property
    def stage(self) -> Stage | None:
        """The stage of the last question asked; None before the first."""
        return rules.current_stage(self.plan, self._state)

    @property
    def turn_id(self) -> str:
        """The id of the candidate's turn that is open now (`c1`, `c2`, …)."""
        return self._state.turn_id

    @property
    def heard_text(self) -> str:
        """What has been heard of the open turn so far."""
        return self._join(heard.segment.text for heard in self._state.hearing)

    @property
    def heard_span(self) -> tuple[float, float] | None:
        """From when to when the open turn was spoken so far, over rejoins; None if nothing was."""
        segments = [heard.segment for heard in self._state.hearing]
        return (segments[0].t0, segments[-1].t1) if segments else None

    @property
    def settled(self) -> TurnSettled | None:
        """The last settled turn, if no reply to it has sounded yet: it needs a decision."""
        undecided = self._state.undecided
        return undecided[-1].settled if undecided and not self.ended else None

    @property
    def pending(self) -> MoveHeard | None:
        """A committed move whose line did not sound (interrupted, a crash): it is said again."""
        return self._state.pending

    def pending_reply(self, at: float) -> Reply:
        """What is left to say of `pending`; no lines if nothing is."""
        return Reply(None, self._state.to_say)

    @property
    def confirming_end(self) -> bool:
        return self._state.confirming_end

    @property
    def consented(self) -> bool:
        return self._state.consented

    @property
    def recording_allowed(self) -> bool:
        return self._state.recording

    @property
    def started(self) -> bool:
        """The greeting or a question has been heard; a later join is a rejoin."""
        return self._state.greeted or bool(self._state.asked)

    @property
    def paused(self) -> bool:
        """The candidate asked for a pause and has not spoken since: the silence ladder rests."""
        return self._state.paused

    @property
    def ending(self) -> EndReason | None:
        """Why it is about to end: closing words were heard, or the wish to end is confirmed."""
        return self._state.ending

    @property
    def ended(self) -> EndReason | None:
        return self._state.ended

    @property
    def asked(self) -> Mapping[str, Asked]:
        """The questions that were asked, by id, in order."""
        return MappingProxyType({asked.question_id: asked for asked in self._state.asked})

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Settled turns, each with the question it belongs to."""
        return self._state.turns

    def not_asked(self) -> tuple[str, ...]:
        """Ids of the plan's questions that were not asked, in the plan's order."""
        return tuple(q.id for q in self.plan.questions() if q.id not in self.asked)

    def progress(self) -> tuple[int, int]:
        """How many of the interview's own questions were asked, and how many there are."""
        ids = [question.id for question in self.plan.own_questions()]
        return sum(question_id in self.asked for question_id in ids), len(ids)

    def answer_text(self, question_id: str) -> str:
        """All that was heard under a question, the open turn included."""
        state = self._state
        texts = [turn.text for turn in state.turns if turn.question_id == question_id]
        if state.hearing and state.hearing[0].question_id == question_id:
            texts.append(self.heard_text)
        return self._join(texts)

    def _join(self, texts: Iterable[str]) -> str:
        separator = "" if self.plan.language == "zh" else " "
        return separator.join(text.strip() for text in texts if text.strip())

    def elapsed(self, at: float) -> float:
        """Seconds of call so far; a drop does not count."""
        return self._state.elapsed(at)

    def time_left(self, at: float) -> float:
        """Seconds until the interview closes; accommodation included."""
        return max(0.0, rules.time_left(self.plan, self._state, at))

    def out_of_time(self, at: float) -> bool:
        """The time or the turns are used up: the next reply closes the interview."""
        return rules.out_of_time(self.plan, self._state, at)

    def think_time(self) -> float:
        """Seconds of silence allowed after the open question, accommodation included."""
        question = self.open_question
        return question.think_time_s * self._factor if question else 0.0

    def hard_limit(self) -> float:
        """Seconds after which an answer is cut in on, accommodation included."""
        question = self.open_question
        return question.hard_limit_s * self._factor if question else math.inf

    @property
    def _factor(self) -> float:
        return rules.time_factor(self.plan, self._state)

    # --- what may be -----------------------------------------------------------------------------
    def legal(self, at: float) -> Legal:
        """For the model; a move with arguments counts as legal if some arguments are."""
        why_not = {name: self._why_not_any(name, at) for name in MOVE_NAMES}
        return Legal(
            moves=tuple(name for name, why in why_not.items() if why is None),
            probe_ids=() if why_not["ask_probe"] else rules.probe_ids(self.plan, self._state),
            notes={name: why for name, why in why_not.items() if why is not None},
        )

    def _why_not_any(self, name: str, at: float) -> Refusal | None:
        if name == "ask_probe":
            ending = rules.why_not(self.plan, self._state, Wait(kind="thinking"), at)
            probing = rules.why_no_probe(self.plan, self._state, at)
            return probing or (ending if self._state.ending or self.ended else None)
        moves: dict[str, Move] = {
            "next_question": NextQuestion(),
            "repeat_question": RepeatQuestion(),
            "skip_question": SkipQuestion(),
            "wait": Wait(kind="thinking"),
            "answer_candidate": AnswerCandidate(faq_id="none"),
            "end_interview": EndInterview(),
        }
        return rules.why_not(self.plan, self._state, moves[name], at)

    def check(self, move: Move, at: float) -> None:
        """Raises `IllegalMove`, and changes nothing."""
        why_not = rules.why_not(self.plan, self._state, move, at)
        if why_not is not None:
            raise IllegalMove(why_not)

    def reply(self, move: Move, at: float, *, scripted: Scripted | None = None) -> Reply:
        """The lines of a legal move; the acknowledgement's words were checked by the caller."""
        self.check(move, at)
        lines = self._wording.lines(move, self._state, at)
        return Reply(move, lines, scripted, self._wording.acknowledgement(move, self._state))

    def forced(self, at: float) -> Move | None:
        """The move that code itself makes, without a model: a button, a yes or no to a
        confirmation, time that has run out. Also right after a button that no turn came with."""
        if self.ended:
            return None
        moves = self._forced_moves(at)
        return next((move for move in moves if self._is_legal(move, at)), None)

    def _forced_moves(self, at: float) -> Iterable[Move]:
        state = self._state
        if state.ending:
            yield NextQuestion()
        if "person" in state.requests:
            yield AnswerCandidate(faq_id="want_a_person")
        if state.confirming_end:
            yield from self._confirmed_moves()
        if self.out_of_time(at):
            yield NextQuestion()
        for request in reversed(state.requests):
            yield _BUTTONS[request]

    def _confirmed_moves(self) -> Iterable[Move]:
        if rules.end_confirmed(self._state):
            yield EndInterview(reason="confirmed by the candidate")
        elif intents.is_no(self._state.last_words):
            yield RepeatQuestion()
            yield NextQuestion(acknowledgement=self._wording.pick("go_on", self._state))

    def default(self, at: float) -> Move:
        """The machine's own move where the model has none: always legal."""
        moves = (self.forced(at), *self._understood(), self._next(), Wait(kind="thinking"))
        return next(move for move in moves if move is not None and self._is_legal(move, at))

    def _understood(self) -> Iterable[Move]:
        """What the last turn's words ask for, as far as code can tell."""
        words = self._state.last_words
        if intents.wants_a_person(words):
            yield AnswerCandidate(faq_id="want_a_person")
        if intents.wants_to_end(words):
            yield EndInterview()
        if intents.wants_to_skip(words):
            yield SkipQuestion()
        if intents.is_thinking(words):
            yield Wait(kind="thinking")
        if intents.wants_repeat(words):
            yield RepeatQuestion()
        if intents.only_asks(words) or (self._is_candidates_turn and intents.is_question(words)):
            yield AnswerCandidate(faq_id="none")

    @property
    def _is_candidates_turn(self) -> bool:
        """The candidate asks the questions now."""
        return self.stage is not None and self.stage.kind == "candidate_questions"

    def _next(self) -> Move:
        return NextQuestion(acknowledgement=self._wording.pick("acknowledgement", self._state))

    def _is_legal(self, move: Move, at: float) -> bool:
        return rules.why_not(self.plan, self._state, move, at) is None

    def stock(self, name: str) -> str:
        """A stock line's wording for now."""
        return self._wording.pick(name, self._state)

    # --- what code says of itself ----------------------------------------------------------------
    def opening(self, at: float) -> Reply:
        """Disclosure, greeting and the first question; after a rejoin a bridge and what was open,
        never the greeting again. Raises `IllegalMove` without consent or after the end."""
        if self.ended:
            raise IllegalMove(Refusal(Reason.ENDED))
        if not self.consented:
            raise IllegalMove(Refusal(Reason.NO_CONSENT))
        if not self.started:
            return Reply(None, self._wording.next_question(self._state, at))
        return self._rejoin(at)

    def _rejoin(self, at: float) -> Reply:
        state, wording = self._state, self._wording
        keys = wording.keys_once(state)
        bridge = (Line("welcome_back", wording.pick("welcome_back", state)), *keys)
        if state.to_say:
            return Reply(None, (*bridge, *state.to_say))
        if state.ending or self.out_of_time(at):
            move = self.reply(NextQuestion(), at, scripted="time_limit")
            return Reply(move.move, (*bridge, *move.lines), move.scripted)
        if state.confirming_end:
            return Reply(None, (*bridge, wording.confirm(state)))
        if state.undecided:
            return Reply(None, bridge)  # the answer is whole: its reply comes next
        if state.open is None:
            return Reply(None, (*bridge, *wording.next_question(state, at)))
        if state.heard_since_asked:
            go_on = Line("welcome_back", wording.pick("welcome_back_mid_answer", state))
            return Reply(None, (*keys, go_on))
        return Reply(None, (*bridge, wording.repeat(state)))

    def silence(self, step: int, at: float) -> Reply | None:
        """The silence ladder: 0 reassures, 1 asks again, 2 moves on. None: silence is right."""
        state, wording = self._state, self._wording
        if self.ended or not self.consented:
            return None
        if state.ending or self.out_of_time(at):
            return self.reply(NextQuestion(), at, scripted="time_limit")
        if self.paused:
            return None
        if state.to_say:
            return Reply(None, state.to_say, scripted="silence")
        if state.open is None:
            return self.reply(NextQuestion(), at, scripted="silence")
        if step == 0:
            return Reply(None, (Line("nudge", wording.pick("silence_reassure", state)),))
        if step == 1 and state.confirming_end:
            return Reply(None, (wording.confirm(state),), scripted="silence")
        if step == 1 and not self._is_candidates_turn:
            return self.reply(RepeatQuestion(), at, scripted="silence")
        move_on = NextQuestion(acknowledgement=wording.pick("silence_move_on", state))
        return self.reply(move_on, at, scripted="silence")

    def rambling(self, at: float) -> Reply:
        """The polite cut-in on an answer past its hard limit."""
        cut_in = Line("cut_in", self._wording.pick("cut_in", self._state))
        reply = self.reply(NextQuestion(), at, scripted="time_limit")
        return Reply(reply.move, (cut_in, *reply.lines), reply.scripted)

    def about_keys(self, *, zero: bool = False) -> Reply:
        """What the telephone's keys do; after a zero, how to call back later or reach a person."""
        state, wording = self._state, self._wording
        line = Line("keys", wording.pick("key_zero", state)) if zero else wording.keys(state)
        return Reply(None, (line,))

    # --- what happened ---------------------------------------------------------------------------
    def event_for(self, line: Line, reply_id: str, at: float) -> Event | None:
        """What a line's first sound means: a question or probe asked, a repeat, or nothing."""
        if line.question_id is None:
            return None
        about = {"at": at, "reply_id": reply_id, "question_id": line.question_id}
        match line.kind:
            case "question":
                return QuestionAsked(wording=line.text, **about)
            case "probe":
                return ProbeAsked(probe_id=line.probe_id or "", wording=line.text, **about)
            case "repeat":
                return QuestionRepeated(wording=line.text, rephrased=line.rephrased, **about)
        return None

    def event_after(self, spoken: LineSpoken) -> Event | None:
        """What a line's end means: a disclosure said to its end is one made aloud."""
        if spoken.kind != "disclosure" or spoken.interrupted:
            return None
        version = self.plan.policy.disclosure_version
        return Disclosed(at=spoken.at, version=version, method="spoken")

    def apply(self, event: Event) -> None:
        """Fold one event; raises `IllegalEvent`, and changes nothing."""
        self._state = fold(self._wording, self._state, event)


_BUTTONS: dict[str, Move] = {
    "skip": SkipQuestion(reason="by button"),
    "repeat": RepeatQuestion(),
    "end": EndInterview(reason="by button"),
    "person": AnswerCandidate(faq_id="want_a_person"),
    "pause": AnswerCandidate(faq_id="pause"),
}
