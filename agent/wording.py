"""The words of a move: which lines code says for it, from the plan and the stock lines."""

from __future__ import annotations

from dataclasses import dataclass
from string import Template

from agent import rules
from agent.dictation import to_write_down
from agent.events import EndReason
from agent.moves import (
    AnswerCandidate,
    AskProbe,
    EndInterview,
    Move,
    NextQuestion,
    RepeatQuestion,
    SkipQuestion,
    Wait,
)
from agent.plan import Plan, Question
from agent.refusal import Reason, Refusal
from agent.state import Line, State

STOCK_LINES = (
    "acknowledgement",
    "filler",
    "skip_acknowledged",
    "thinking",
    "silence_reassure",
    "silence_move_on",
    "cut_in",
    "end_confirmation",
    "go_on",
    "welcome_back",
    "welcome_back_mid_answer",
    "anything_else",
    "goodbye",
    "answer_can_you_hear_me",
    "answer_are_you_an_ai",
    "answer_time_left",
    "answer_time_left_short",
    "answer_how_did_i_do",
    "answer_want_a_person",
    "answer_pause",
    "answer_none",
    "keys",
    "key_zero",
)
"""What `prompts/<language>/lines.md` must hold."""

NOTHING_ELSE_THEN = ("want_a_person", "pause", "can_you_hear_me")
"""Answers after which "anything else?" would be odd."""


@dataclass(frozen=True)
class Wording:
    plan: Plan
    stock: dict[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        missing = [name for name in STOCK_LINES if not self.stock.get(name)]
        if missing:
            raise ValueError(f"stock lines without a wording: {', '.join(missing)}")

    def pick(self, name: str, state: State) -> str:
        """A stock wording; the next one after each move."""
        wordings = self.stock[name]
        return wordings[state.moves % len(wordings)]

    def acknowledgement(self, move: Move, state: State) -> str:
        """The words before the lines."""
        match move:
            case SkipQuestion():
                return self.pick("skip_acknowledged", state)
            case RepeatQuestion() if state.confirming_end:
                return self.pick("go_on", state)
            case NextQuestion():
                return move.acknowledgement
        return ""

    def lines(self, move: Move, state: State, at: float) -> tuple[Line, ...]:
        """The lines of a legal move."""
        match move:
            case NextQuestion() | SkipQuestion():
                return self.next_question(state, at)
            case AskProbe():
                return (self._probe(move, state),)
            case RepeatQuestion():
                return (self.repeat(state, rephrase=move.rephrase),)
            case Wait():
                thinking = move.kind == "thinking" and not state.take_your_time_said
                return (Line("patience", self.pick("thinking", state)),) if thinking else ()
            case AnswerCandidate():
                return self._answer(move.faq_id, state, at)
            case EndInterview():
                return (self.closing(state) if state.confirming_end else self.confirm(state),)

    def next_question(self, state: State, at: float) -> tuple[Line, ...]:
        """The next question behind what has to be said before it, or the closing."""
        question = rules.target(self.plan, state, at)
        if question is None:
            return (self.closing(state),)
        asking = Line("question", question.text, question.id)
        return (*self.preamble(state), *self._entry(question, state), asking)

    def preamble(self, state: State) -> tuple[Line, ...]:
        """What has to be heard before the first question, less what was."""
        policy = self.plan.policy
        lines = [] if state.told_aloud else [Line("disclosure", policy.disclosure)]
        if not state.greeted:
            lines.append(Line("greeting", policy.greeting))
        return () if state.asked else (*lines, *self.keys_once(state))

    def keys_once(self, state: State) -> tuple[Line, ...]:
        """What the telephone's keys do, until it was heard once; nothing elsewhere."""
        return (self.keys(state),) if state.on_phone and not state.keys_told else ()

    def keys(self, state: State) -> Line:
        return Line("keys", self.pick("keys", state))

    def _entry(self, question: Question, state: State) -> tuple[Line, ...]:
        stage = self.plan.stage_of(question.id)
        here = state.asked and self.plan.stage_of(state.asked[-1].question_id).id == stage.id
        if here or state.entered == stage.id or not stage.entry_line:
            return ()
        return (Line("stage", stage.entry_line, question.id),)

    def closing(self, state: State) -> Line:
        """The plan's closing words; once heard, or a person promised, only a goodbye."""
        if state.ending:
            return Line("closing", self.pick("goodbye", state), ends=state.ending)
        reason: EndReason = (
            "withdrawn" if rules.end_confirmed(state) else rules.end_reason(self.plan, state)
        )
        return Line("closing", self.plan.policy.closing_line, ends=reason)

    def confirm(self, state: State) -> Line:
        return Line("confirmation", self.pick("end_confirmation", state))

    def repeat(self, state: State, *, rephrase: bool = False) -> Line:
        """What waits for an answer, again: the last probe, or the question, reworded or not."""
        asked = state.open
        if asked is None:
            raise rules.IllegalMove(Refusal(Reason.NO_OPEN_QUESTION))
        question = self.plan.question(asked.question_id)
        rephrased = rephrase and not asked.probes
        text = question.rephrase if rephrased else asked.last_wording
        return Line("repeat", text, question.id, rephrased=rephrased)

    def _probe(self, move: AskProbe, state: State) -> Line:
        asked = state.open
        if asked is None:
            raise rules.IllegalMove(Refusal(Reason.NO_OPEN_QUESTION))
        probes = {probe.id: probe.text for probe in self.plan.question(asked.question_id).probes}
        text = probes.get(move.probe_id, move.question.strip())
        return Line("probe", text, asked.question_id, move.probe_id)

    def _answer(self, faq_id: str, state: State, at: float) -> tuple[Line, ...]:
        ends: EndReason | None = "declined_ai" if faq_id == "want_a_person" else None
        answer = Line("answer", self._answer_text(faq_id, state, at), ends=ends)
        stage = rules.current_stage(self.plan, state)
        asks_on = stage is not None and stage.kind == "candidate_questions"
        if not asks_on or faq_id in NOTHING_ELSE_THEN:
            return (answer,)
        return (answer, Line("answer", self.pick("anything_else", state)))

    def _answer_text(self, faq_id: str, state: State, at: float) -> str:
        approved = {faq.id: faq.answer for faq in self.plan.faq}
        if faq_id in approved:
            return approved[faq_id]
        minutes = round(rules.time_left(self.plan, state, at) / 60)
        name = "time_left_short" if faq_id == "time_left" and minutes < 2 else faq_id
        contact = self.plan.policy.escalation_contact
        return Template(self.pick(f"answer_{name}", state)).safe_substitute(
            minutes=minutes,
            contact=to_write_down(contact, self.plan.language) if state.on_phone else contact,
        )
