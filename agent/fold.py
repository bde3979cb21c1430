"""From events to a state: each event is checked against what is so, then folded.

A bad one raises, and nothing changes.
"""

from __future__ import annotations

from dataclasses import replace

from agent import intents, rules
from agent.events import (
    CallJoined,
    CallLeft,
    ConsentRecorded,
    Disclosed,
    EndReason,
    Event,
    InterviewCreated,
    InterviewEnded,
    LineSpoken,
    MoveHeard,
    ProbeAsked,
    QuestionAsked,
    QuestionRepeated,
    RequestMade,
    SegmentHeard,
    TurnSettled,
)
from agent.moves import FREE_PROBE, AnswerCandidate, EndInterview, SkipQuestion, Wait
from agent.plan import Plan
from agent.state import Asked, Heard, ProbeUsed, State, Turn
from agent.wording import Wording

AFTER_THE_END = (
    "call_left",
    "segment_heard",
    "turn_settled",
    "line_spoken",
    "incident",
    "audio_measured",
    "answer_corrected",
    "decision_recorded",
)
"""What may still come in when the interview has ended: words under way, counts, and what people
add to it."""

KEPT = ("ok", "low_confidence")
"""Verdicts of segments that belong to the answer."""


class IllegalEvent(Exception):
    """The event cannot have happened in this state: a log of another interview, or a defect."""


def fold(wording: Wording, state: State, event: Event) -> State:
    """The state after an event; raises `IllegalEvent`."""
    _require(state.created is not None or isinstance(event, InterviewCreated), "created first")
    _require(not state.ended or event.type in AFTER_THE_END, f"{event.type} after the end")
    timed = replace(state, rev=state.rev + 1, clock=state.now(event.at))
    match event:
        case InterviewCreated():
            return _created(wording.plan, state, timed, event)
        case Disclosed(method="page"):
            return replace(timed, told_by_page=True)
        case Disclosed(method="spoken"):
            return replace(timed, told_aloud=True)
        case ConsentRecorded():
            return replace(timed, consented=event.interview, recording=event.recording)
        case CallJoined():
            return _joined(state, timed, event)
        case CallLeft():
            return _left(timed, event)
        case SegmentHeard():
            return _segment(state, timed, event)
        case TurnSettled():
            return _settled(state, timed, event)
        case RequestMade():
            return _requested(timed, event)
        case MoveHeard():
            return _moved(wording, state, timed, event)
        case QuestionAsked():
            return _asked(wording.plan, state, timed, event)
        case ProbeAsked():
            return _probed(wording.plan, state, timed, event)
        case QuestionRepeated():
            return _repeated(wording.plan, state, timed, event)
        case LineSpoken():
            return _spoken(wording.plan, state, timed, event)
        case InterviewEnded():
            done = event.reason != "completed" or state.ending == "completed"
            _require(done, "completed, but the closing words were not heard")
            return replace(_close_open(_said_all(timed)), ended=event.reason)
    return timed


def _require(condition: bool, complaint: str) -> None:
    if not condition:
        raise IllegalEvent(complaint)


def _created(plan: Plan, state: State, timed: State, event: InterviewCreated) -> State:
    _require(state.created is None, "created twice")
    _require(event.plan_hash == plan.hash, "the log belongs to another plan")
    return replace(timed, created=event)


def _joined(state: State, timed: State, event: CallJoined) -> State:
    """Joined without having left: a crash, whose last event was the last moment of the call."""
    return replace(
        timed,
        spent=state.elapsed(state.clock),
        connected_since=timed.clock,
        on_phone=event.channel == "phone",
    )


def _left(timed: State, event: CallLeft) -> State:
    if event.reason == "replaced":  # the device that replaces it joins just before or just after
        return timed
    return replace(timed, spent=timed.elapsed(timed.clock), connected_since=None)


def _segment(state: State, timed: State, event: SegmentHeard) -> State:
    _require(event.turn_id == state.turn_id, f"the open turn is {state.turn_id}")
    known = [heard.segment.segment_id for heard in state.hearing]
    _require(event.segment_id not in known, f"{event.segment_id} was heard before")
    if event.verdict not in KEPT:
        return timed
    heard = Heard(event, state.open.question_id if state.open else None)
    hearing = (*state.hearing, heard)
    return replace(timed, hearing=hearing, heard_since_asked=True, paused=False)


def _settled(state: State, timed: State, event: TurnSettled) -> State:
    _require(event.turn_id == state.turn_id, f"the open turn is {state.turn_id}")
    here = state.open.question_id if state.open else None
    turn = Turn(event, state.hearing[0].question_id if state.hearing else here)
    if here is not None and turn.question_id == here and intents.is_refusal(event.text):
        timed = _change_open(timed, replace(state.asked[-1], refused_probes=True))
    return replace(
        _said_all(timed),
        turns=(*state.turns, turn),
        undecided=(*state.undecided, turn),
        hearing=(),
        heard_since_asked=state.heard_since_asked or bool(event.text.strip()),
        paused=False,
    )


def _requested(timed: State, event: RequestMade) -> State:
    if event.request == "extra_time":
        return replace(timed, extra_time=True)
    others = tuple(request for request in timed.requests if request != event.request)
    return replace(timed, requests=(*others, event.request))


def _moved(wording: Wording, state: State, timed: State, event: MoveHeard) -> State:
    move = event.move
    ids = [turn.turn_id for turn in state.undecided]
    _require(event.turn_id is None or event.turn_id in ids, f"{event.turn_id} is not to be decided")
    why_not = rules.why_not(wording.plan, state, move)
    _require(why_not is None, f"{move.name}: {why_not}")
    to_say = wording.lines(move, state, event.at)
    if isinstance(move, SkipQuestion):
        declined = replace(state.asked[-1], state="closed", declined=True, reason=move.reason)
        timed = _change_open(timed, declined)
    waiting = isinstance(move, Wait)
    spoke_of_time = any(line.kind == "patience" for line in to_say)
    return replace(
        timed,
        undecided=() if event.turn_id is None else state.undecided[ids.index(event.turn_id) + 1 :],
        requests=(),
        moves=state.moves + 1,
        waits=state.waits + 1 if waiting else 0,
        take_your_time_said=spoke_of_time or (waiting and state.take_your_time_said),
        pending=event if to_say else None,
        to_say=to_say,
        paused=isinstance(move, AnswerCandidate) and move.faq_id == "pause",
        confirming_end=_still_confirming(state, event),
        ending=_ending(state, event),
    )


def _still_confirming(state: State, event: MoveHeard) -> bool:
    match event.move:
        case EndInterview():
            return not state.confirming_end
        case Wait() | AnswerCandidate():
            return state.confirming_end
    return False


def _ending(state: State, event: MoveHeard) -> EndReason | None:
    match event.move:
        case EndInterview() if state.confirming_end:
            return "withdrawn"
        case AnswerCandidate(faq_id="want_a_person"):
            return "declined_ai"
    return state.ending


def _asked(plan: Plan, state: State, timed: State, event: QuestionAsked) -> State:
    _require(state.consented, "asked before the candidate consented")
    _require(state.told_by_page or state.told_aloud, "asked before the disclosure")
    _require(state.ending is None, "asked after the closing words")
    _require(event.reply_id != state.asking_reply, "one question a reply")
    before = []
    for question in rules.to_come(plan, state):
        if question.id == event.question_id:
            break
        before.append(question)
    else:
        raise IllegalEvent(f"{event.question_id} is not to come")
    _require(event.wording == question.text, "not the approved wording")
    _require(not any(q.must_ask for q in before), f"{event.question_id} is not next")
    asked = Asked(question.id, timed.clock, timed.elapsed(timed.clock), event.wording)
    return replace(
        _said_all(_close_open(timed)),
        asked=(*_close_open(timed).asked, asked),
        asking_reply=event.reply_id,
        heard_since_asked=False,
        waits=0,
        take_your_time_said=False,
        paused=False,
        confirming_end=False,
    )


def _probed(plan: Plan, state: State, timed: State, event: ProbeAsked) -> State:
    asked = state.open
    if asked is None or asked.question_id != event.question_id:
        raise IllegalEvent(f"{event.question_id} is not open")
    _require(event.reply_id != state.asking_reply, "one question a reply")
    _require(state.ending is None, "asked after the closing words")
    why_not = rules.why_no_probe(plan, state)
    _require(why_not is None, f"probe: {why_not}")
    _require(event.probe_id in rules.probe_ids(plan, state), f"no probe {event.probe_id} left")
    approved = {probe.id: probe.text for probe in plan.question(event.question_id).probes}
    free = event.probe_id == FREE_PROBE
    _require(free or event.wording == approved[event.probe_id], "not the approved wording")
    probes = (*asked.probes, ProbeUsed(event.probe_id, event.wording))
    timed = _change_open(_said_all(timed), replace(asked, probes=probes))
    return replace(timed, asking_reply=event.reply_id, heard_since_asked=False)


def _repeated(plan: Plan, state: State, timed: State, event: QuestionRepeated) -> State:
    asked = state.open
    if asked is None or asked.question_id != event.question_id:
        raise IllegalEvent(f"{event.question_id} is not open")
    question = plan.question(event.question_id)
    approved = (question.text, question.rephrase, *(probe.wording for probe in asked.probes))
    _require(event.wording in approved, "not the approved wording")
    timed = _change_open(_said_all(timed), replace(asked, repeats=asked.repeats + 1))
    return replace(timed, heard_since_asked=False)


def _spoken(plan: Plan, state: State, timed: State, event: LineSpoken) -> State:
    heard = bool(event.text.strip())
    if event.kind == "confirmation" and not heard:
        return replace(timed, confirming_end=False)
    if not heard:
        return timed
    timed = _sounded(timed, event)
    match event.kind:
        case "disclosure":
            whole = not event.interrupted or state.told_by_page
            return replace(timed, told_aloud=state.told_aloud or whole)
        case "greeting":
            return replace(timed, greeted=True)
        case "keys":
            return replace(timed, keys_told=True)
        case "stage":
            return replace(timed, entered=_stage_entered(plan, state, event))
        case "closing":
            planned = any(line.kind == "closing" for line in state.to_say)
            closing = planned or rules.target(plan, state, event.at) is None
            _require(closing, "closing words before the closing")
            return replace(_close_open(timed), ending=rules.end_reason(plan, state))
    return timed


def _stage_entered(plan: Plan, state: State, event: LineSpoken) -> str:
    question_id = event.question_id or next(q.id for q in rules.to_come(plan, state))
    return plan.stage_of(question_id).id


def _sounded(state: State, event: LineSpoken) -> State:
    """A pending line was heard: it, and what was to be said before it, is not said again."""
    kinds = [line.kind for line in state.to_say]
    if event.kind not in kinds:
        return state
    left = state.to_say[kinds.index(event.kind) + 1 :]
    return replace(state, to_say=left, pending=state.pending if left else None)


def _said_all(state: State) -> State:
    return replace(state, pending=None, to_say=())


def _change_open(state: State, asked: Asked) -> State:
    return replace(state, asked=(*state.asked[:-1], asked))


def _close_open(state: State) -> State:
    return _change_open(state, replace(state.open, state="closed")) if state.open else state
