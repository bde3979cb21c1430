"""What must be true of a run, over what it left behind: events, report, recording, script. Pure.

Each rule is a function from the run to sentences that say what is wrong; no sentence, no fault.
The report is read as plain JSON, with none of the code that built it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import ValidationError

from agent import events as ev
from agent.moves import MOVE_NAMES
from agent.plan import Plan, Question
from agent.report_schema import Report
from server.rehearsal import sound, words
from server.rehearsal.script import (
    LONG_ANSWER_PAUSES,
    LONG_ANSWER_S,
    Demand,
    Script,
    on_hold,
)

MAX_WORD_ERROR_RATE = 0.10
MAX_TIME_ERROR_S = 0.3
MIN_PAUSE_S = 0.4
MAX_ACKNOWLEDGEMENT_WORDS = 15


@dataclass(frozen=True)
class Recording:
    """The candidate's channel, and when its first sample was taken (Unix seconds)."""

    samples: sound.Samples
    rate: int
    started_at: float


@dataclass(frozen=True)
class Said:
    """A sentence that the candidate said to the end, by its own notes."""

    question_id: str
    text: str


@dataclass(frozen=True)
class Run:
    """Everything that a rehearsal left behind."""

    plan: Plan
    script: Script
    events: Sequence[ev.Event]
    report: Mapping[str, Any]
    stock: Mapping[str, tuple[str, ...]]
    """The stock lines of the plan's language."""
    said: Sequence[Said] = ()
    """In order."""
    recording: Recording | None = None
    recording_expected: bool = True
    unforeseen: int = 0
    """Turns the interviewer asked for and the script did not have."""
    left: Sequence[str] = ()
    """Questions with scripted turns that were never played."""
    reports: int = 1
    """Final reports in the store."""
    chain_fault: str = ""
    """Why the hash chain does not hold."""
    joins: int = 0
    """How often the candidate connected, or called."""
    strict: bool = True
    """The script fits the plan and the model turn by turn: nothing unforeseen, nothing left."""
    trouble: Sequence[str] = field(default=())
    """What the candidate itself could not do."""

    def of(self, *types: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, types)]


@dataclass(frozen=True)
class Finding:
    """One broken rule."""

    rule: str
    text: str


Rule = Callable[[Run], Iterator[str]]


def findings(run: Run) -> list[Finding]:
    """Everything that is wrong; empty for a good run."""
    return [Finding(rule.__name__, text) for rule in RULES for text in rule(run)]


# --- the conduct ------------------------------------------------------------------------------


def the_candidate_managed(run: Run) -> Iterator[str]:
    yield from run.trouble
    if run.strict and run.unforeseen:
        yield f"the interviewer gave the floor {run.unforeseen} times more than the script has"
    if run.strict and run.left:
        yield f"never played: turns of {', '.join(run.left)}"


def every_must_ask_is_asked_and_answered(run: Run) -> Iterator[str]:
    asked = Counter(event.question_id for event in run.of(ev.QuestionAsked))
    for question in run.plan.questions():
        if asked[question.id] > 1:
            yield f"{question.id} was opened {asked[question.id]} times"
        if question.must_ask and not asked[question.id]:
            yield f"{question.id} must be asked and was not"
    states = {answer["question_id"]: answer["state"] for answer in run.report.get("answers", ())}
    for question in run.plan.questions():
        state = states.get(question.id)
        if (
            question.must_ask
            and _scored(run.plan, question)
            and state not in ("answered", "partly")
        ):
            yield f"{question.id} must be answered and is {state}"
    coverage = run.report.get("conduct", {}).get("coverage", {})
    if coverage.get("asked") != coverage.get("must_ask_total"):
        yield f"the report's coverage counts {coverage}"


def questions_come_in_the_plans_words_and_order(run: Run) -> Iterator[str]:
    order = [question.id for question in run.plan.questions()]
    asked = run.of(ev.QuestionAsked)
    places = [order.index(event.question_id) for event in asked if event.question_id in order]
    if places != sorted(places):
        yield f"asked out of order: {', '.join(event.question_id for event in asked)}"
    for event in asked:
        wording = {q.id: q.text for q in run.plan.questions()}.get(event.question_id)
        if event.wording != wording:
            yield f"{event.question_id} was asked as “{event.wording}”"


def the_interview_is_complete(run: Run) -> Iterator[str]:
    ends = [event.reason for event in run.of(ev.InterviewEnded)]
    if ends != ["completed"]:
        yield f"the interview ended {ends or 'never'}"
    if run.report.get("status") != "complete":
        yield f"the report is {run.report.get('status')}: {run.report.get('status_reason')}"


def one_greeting(run: Run) -> Iterator[str]:
    for kind in ("disclosure", "greeting"):
        said = [line for line in run.of(ev.LineSpoken) if line.kind == kind and line.text]
        if len(said) > 1:
            yield f"the {kind} was said {len(said)} times"


def no_question_is_said_for_nothing(run: Run) -> Iterator[str]:
    """A reply that is said twice leaves no second event: only its words tell."""
    meant = Counter(e.wording for e in run.of(ev.QuestionAsked, ev.QuestionRepeated))
    heard = Counter(
        line.text
        for line in run.of(ev.LineSpoken)
        if line.kind in ("question", "repeat") and not line.interrupted
    )
    for text, times in heard.items():
        if times > meant[text]:
            yield f"said {times} times and meant {meant[text]} times: “{text}”"


def the_interviewer_says_nothing_of_its_own(run: Run) -> Iterator[str]:
    allowed = _allowed_lines(run)
    for line in run.of(ev.LineSpoken):
        if not any(_matches(text, line.text, line.interrupted) for text in allowed):
            yield f"said “{line.text}” ({line.kind}), which is no approved line"
        if line.kind == "acknowledgement" and not _is_neutral(line.text):
            yield f"acknowledged with “{line.text}”"


def _scored(plan: Plan, question: Question) -> bool:
    return plan.stage_of(question.id).scored


def _allowed_lines(run: Run) -> set[str]:
    plan, policy = run.plan, run.plan.policy
    texts = {policy.disclosure, policy.greeting, policy.closing_line, policy.escalation_contact}
    texts |= {stage.entry_line for stage in plan.stages}
    texts |= {faq.answer for faq in plan.faq}
    for question in plan.questions():
        texts |= {question.text, question.rephrase, *(probe.text for probe in question.probes)}
    texts |= {text for wordings in run.stock.values() for text in wordings}
    for event in run.of(ev.MoveHeard):
        match event.move.name:
            case "next_question":
                texts.add(event.move.acknowledgement)
            case "ask_probe":
                texts.add(event.move.question)
    return {text.strip() for text in texts if text.strip()}


def _matches(allowed: str, said: str, interrupted: bool) -> bool:
    """`$facts` of a stock line stand for any few words; an interrupted line is a beginning."""
    if interrupted and allowed.startswith(said):
        return True
    pattern = re.sub(r"\\\$\w+", "[^?]{1,200}", re.escape(allowed))
    return re.fullmatch(pattern, said.strip()) is not None


def _is_neutral(text: str) -> bool:
    return len(text.split()) <= MAX_ACKNOWLEDGEMENT_WORDS and not re.search(r"[?？]", text)


# --- what the script demands ------------------------------------------------------------------


def what_was_to_happen_happened(run: Run) -> Iterator[str]:
    for demand in run.script.demands:
        if not HAPPENED[demand](run):
            yield f"{demand.replace('_', ' ')}: not in this run"


def _every_move(run: Run) -> bool:
    return {event.move.name for event in run.of(ev.MoveHeard)} == set(MOVE_NAMES)


def _barge_in(run: Run) -> bool:
    """A line was cut off with some of it heard, and the candidate's words came next."""
    for place, event in enumerate(run.events):
        if isinstance(event, ev.LineSpoken) and event.interrupted and event.text:
            later = (e for e in run.events[place:] if isinstance(e, ev.TurnSettled | ev.LineSpoken))
            next(later)
            if isinstance(next(later, None), ev.TurnSettled):
                return True
    return False


def _model_stall(run: Run) -> bool:
    stalled = any("stall" in event.reason for event in run.of(ev.ModelFailed))
    return stalled or any(e.scripted == "model_stalled" for e in run.of(ev.MoveHeard))


def _rejoin(run: Run) -> bool:
    """The same question had words before a drop and after the rejoin, in two calls."""
    question: str | None = None
    before: set[str | None] = set()
    dropped = False
    for event in run.events:
        match event:
            case ev.QuestionAsked():
                question = event.question_id
                before = set()
                dropped = False
            case ev.SegmentHeard() if event.text:
                if dropped and question in before:
                    return True
                before.add(question)
            case ev.CallJoined() if before:
                dropped = True
            case _:
                pass
    return False


def _candidate_question(run: Run) -> bool:
    answers = {faq.answer for faq in run.plan.faq}
    asked = any(
        event.move.name == "answer_candidate" and event.move.faq_id in {f.id for f in run.plan.faq}
        for event in run.of(ev.MoveHeard)
    )
    return asked and any(line.text in answers for line in run.of(ev.LineSpoken))


def _skip(run: Run) -> bool:
    skipped = any(event.move.name == "skip_question" for event in run.of(ev.MoveHeard))
    return skipped and any(a.get("state") == "declined" for a in run.report.get("answers", ()))


def _long_answer(run: Run) -> bool:
    turns: dict[str, list[ev.SegmentHeard]] = {}
    for segment in run.of(ev.SegmentHeard):
        if segment.source == "spoken" and segment.text:
            turns.setdefault(segment.turn_id, []).append(segment)
    return any(_is_long(segments) for segments in turns.values())


def _is_long(segments: Sequence[ev.SegmentHeard]) -> bool:
    length = segments[-1].t1 - segments[0].t0
    gaps = [after.t0 - before.t1 for before, after in pairwise(segments)]
    pauses = sum(gap >= MIN_PAUSE_S for gap in gaps)
    return length >= LONG_ANSWER_S and pauses >= LONG_ANSWER_PAUSES


def _grader_rubbish(run: Run) -> bool:
    tally = run.report.get("grading", {}).get("tally", {})
    dropped = all(
        tally.get(name) for name in ("fabricated_quotes", "wrong_utterances", "broken_json")
    )
    return dropped and any(met == "no" for met in _verdicts(run.report))


def _verdicts(report: Mapping[str, Any]) -> Iterator[str]:
    for answer in report.get("answers", ()):
        for rating in answer.get("ratings", {}).values():
            yield from (check["met"] for check in rating.get("checks", ()))


def _by_telephone(run: Run) -> bool:
    """All of it, and agreed to by key after words that were heard."""
    channels = {event.channel for event in run.of(ev.CallJoined)}
    agreed = [(event.method, event.recording_method) for event in run.of(ev.ConsentRecorded)]
    told = {event.method for event in run.of(ev.Disclosed)}
    return channels == {"phone"} and agreed == [("key", "key")] and told == {"spoken"}


def _every_spoken_move(run: Run) -> bool:
    """All but those that a telephone has neither keys nor, in a rehearsal, words for."""
    moved = {event.move.name for event in run.of(ev.MoveHeard)}
    return set(MOVE_NAMES) - moved <= {"skip_question", "end_interview"}


def _repeat_key(run: Run) -> bool:
    """Only a key makes this request where there is no page."""
    asked = [place for place, e in enumerate(run.events) if _asks_again(e)]
    return any(isinstance(e, ev.QuestionRepeated) for at in asked for e in run.events[at:])


def _asks_again(event: ev.Event) -> bool:
    return isinstance(event, ev.RequestMade) and event.request == "repeat"


def _finish_key(run: Run) -> bool:
    """An answer that no silence ended was answered, in the same call."""
    finished = ""
    for event in run.events:
        match event:
            case ev.TurnSettled(source="spoken"):
                finished = event.turn_id if event.end_of_turn_delay is None else ""
            case ev.CallLeft() | ev.CallJoined():
                finished = ""
            case ev.MoveHeard() if finished and event.turn_id == finished:
                return True
            case _:
                pass
    return False


def _hold(run: Run) -> bool:
    """Each hold ended a leg and began another, in the same call and at the same question."""
    legs, held = (
        len(run.of(ev.CallJoined)),
        sum(step.hold is not None for step in run.script.steps()),
    )
    return 0 < held == legs - run.joins


HAPPENED: Mapping[Demand, Callable[[Run], bool]] = {
    "every_move": _every_move,
    "move_refused": lambda run: bool(run.of(ev.MoveRefused)),
    "barge_in": _barge_in,
    "model_stall": _model_stall,
    "rejoin": _rejoin,
    "candidate_question": _candidate_question,
    "skip": _skip,
    "long_answer": _long_answer,
    "grader_rubbish": _grader_rubbish,
    "by_telephone": _by_telephone,
    "every_spoken_move": _every_spoken_move,
    "repeat_key": _repeat_key,
    "finish_key": _finish_key,
    "hold": _hold,
}


# --- the words --------------------------------------------------------------------------------


def what_was_to_be_said_was_said(run: Run) -> Iterator[str]:
    """The candidate's own notes against the script: nothing left out, nothing said twice."""
    said, scripted = word_errors(run).words, _word_count(_scripted(run.script))
    if run.strict and said != scripted:
        yield f"the candidate said {said} words, the script has {scripted}"


def what_was_said_was_heard(run: Run) -> Iterator[str]:
    errors = word_errors(run)
    if errors.words and errors.rate >= MAX_WORD_ERROR_RATE:
        yield (
            f"word error rate {errors.rate:.1%} of {errors.words} words "
            f"({errors.deletions} deleted, {errors.substitutions} wrong, {errors.insertions} added)"
        )
    said, heard = _by_question(run.said), _heard_by_question(run.report)
    for key, sentences in said.items():
        lost, doubled = words.lost_and_doubled(sentences, " ".join(heard.get(key, ())))
        yield from (f"said to {key} and not heard: “{text}”" for text in lost)
        yield from (f"heard more often to {key} than said: “{text}”" for text in doubled)


def what_was_played_on_hold_was_no_answer(run: Run) -> Iterator[str]:
    held = any(step.hold is not None for step in run.script.steps())
    heard = " ".join(one["text"] for one in _candidate(run.report) if one.get("text"))
    for text in on_hold(run.script) if held and not run.unforeseen else ():
        if words.stands_in(text, heard):
            yield f"said on hold, and taken for an answer: “{text}”"


def what_was_recognised_is_in_the_report(run: Run) -> Iterator[str]:
    """The log's words against those that the comparison found in the report, all accounted for."""
    turns: dict[str, list[str]] = {}
    for segment in run.of(ev.SegmentHeard):
        if segment.source == "spoken" and segment.verdict in ("ok", "low_confidence"):
            turns.setdefault(segment.turn_id, []).append(segment.text)
    errors = word_errors(run)
    logged, reported = _word_count(turns), errors.words - errors.deletions + errors.insertions
    if logged != reported:
        yield f"the log has {logged} spoken words, the report {reported}"


def word_errors(run: Run) -> words.WordErrors:
    """Over whole answers: everything said to a question against everything heard under it."""
    said, heard = _by_question(run.said), _heard_by_question(run.report)
    each = [
        words.compare(" ".join(said.get(key, ())), " ".join(heard.get(key, ())))
        for key in dict.fromkeys([*said, *heard])
    ]
    return sum(each, words.WordErrors())


def _scripted(script: Script) -> dict[str, list[str]]:
    return {key: [script.spoken(key)] for key in script.answers}


def _word_count(texts: Mapping[str, Sequence[str]]) -> int:
    return words.count([" ".join(parts) for parts in texts.values()])


def _by_question(said: Sequence[Said]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in said:
        found.setdefault(one.question_id, []).append(one.text)
    return found


def _heard_by_question(report: Mapping[str, Any]) -> dict[str, list[str]]:
    """With what was heard under no question, under none's name."""
    heard = [one for one in _candidate(report) if one.get("source") == "spoken"]
    return _by_question([Said(one.get("question_id") or "", one["text"]) for one in heard])


def typed_words_stand_as_typed(run: Run) -> Iterator[str]:
    heard = " ".join(said["text"] for said in _candidate(run.report) if said.get("text"))
    for step in run.script.steps():
        if run.strict and step.type and step.type not in heard:
            yield f"typed and not in the transcript: “{step.type}”"


def _candidate(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [said for said in report.get("transcript", ()) if said.get("speaker") == "candidate"]


# --- the recording ----------------------------------------------------------------------------


def times_are_those_of_the_sound(run: Run) -> Iterator[str]:
    for text, error in time_errors(run):
        if error is None:
            yield f"no sound in the recording for “{text[:40]}”"
        elif abs(error) > MAX_TIME_ERROR_S:
            yield f"“{text[:40]}” begins {error:+.2f} s from where the recording has it"


def time_errors(run: Run) -> list[tuple[str, float | None]]:
    """For each spoken utterance: its text, and its time less the nearest onset's, in seconds."""
    if run.recording is None:
        return []
    starts = sound.onsets(run.recording.samples, run.recording.rate)
    found = []
    for turn in run.of(ev.TurnSettled):
        if turn.source == "spoken" and turn.text:
            at = turn.t0 - run.recording.started_at
            onset = sound.nearest(starts, at)
            found.append((turn.text, None if onset is None else at - onset))
    return found


def there_is_a_recording_if_it_was_allowed(run: Run) -> Iterator[str]:
    if run.recording_expected and run.recording is None:
        yield "recording was consented to and there is none"
    if not run.recording_expected and run.recording is not None:
        yield "recording was refused and there is one"
    if run.recording is not None and not np.any(run.recording.samples):
        yield "the candidate's channel is silent"


# --- the report -------------------------------------------------------------------------------


def the_report_is_valid(run: Run) -> Iterator[str]:
    try:
        Report.model_validate(run.report)
    except ValidationError as error:
        for one in error.errors():
            yield f"{'.'.join(map(str, one['loc']))}: {one['msg']}"


def one_final_report(run: Run) -> Iterator[str]:
    if run.reports != 1:
        yield f"{run.reports} final reports"
    if run.report.get("revision") != 1:
        yield f"the report is revision {run.report.get('revision')}"


def every_quote_stands(run: Run) -> Iterator[str]:
    said = {one["id"]: one["text"] for one in _candidate(run.report)}
    for quote in _quotes(run.report):
        if quote["quote"] not in said.get(quote["utterance_id"], ""):
            yield f"“{quote['quote']}” does not stand in {quote['utterance_id']}"


def quote_count(report: Mapping[str, Any]) -> int:
    return sum(1 for _ in _quotes(report))


def _quotes(tree: Any) -> Iterator[Mapping[str, str]]:
    """Every object of the report that cites an utterance, wherever it is."""
    match tree:
        case {"quote": str(), "utterance_id": str()}:
            yield tree
        case dict():
            for part in tree.values():
                yield from _quotes(part)
        case list():
            for part in tree:
                yield from _quotes(part)


def a_score_has_evidence_and_decides_nothing(run: Run) -> Iterator[str]:
    for answer in run.report.get("answers", ()):
        for dimension, rating in answer.get("ratings", {}).items():
            if rating.get("score") is not None and not rating.get("evidence"):
                yield f"{answer['question_id']}, {dimension}: a score without a quote"
    if run.report.get("rehearsal") is not True:
        yield "the report is not marked as a rehearsal's"
    if run.report.get("ai_suggestion") != "no_decision":
        yield f"it suggests {run.report.get('ai_suggestion')}"


def the_chain_holds(run: Run) -> Iterator[str]:
    if run.chain_fault:
        yield run.chain_fault


RULES: tuple[Rule, ...] = (
    the_candidate_managed,
    every_must_ask_is_asked_and_answered,
    questions_come_in_the_plans_words_and_order,
    the_interview_is_complete,
    one_greeting,
    no_question_is_said_for_nothing,
    the_interviewer_says_nothing_of_its_own,
    what_was_to_happen_happened,
    what_was_to_be_said_was_said,
    what_was_said_was_heard,
    what_was_played_on_hold_was_no_answer,
    what_was_recognised_is_in_the_report,
    typed_words_stand_as_typed,
    times_are_those_of_the_sound,
    there_is_a_recording_if_it_was_allowed,
    the_report_is_valid,
    one_final_report,
    every_quote_stands,
    a_score_has_evidence_and_decides_nothing,
    the_chain_holds,
)
