"""How the interview was held: stages, coverage, fidelity, latency, faults, consents. Pure folds of
the event log.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from difflib import SequenceMatcher
from typing import Literal, TypeVar

from agent import events as ev
from agent.answers import MIN_CONFIDENCE, AnswerFound, words_in
from agent.plan import Plan, Question
from agent.report_schema import (
    AudioQuality,
    CandidateQuestion,
    Conduct,
    Consents,
    Coverage,
    Fidelity,
    IncidentRecord,
    Latency,
    ModelFailure,
    Percentiles,
    RefusedMove,
    ScriptedTurn,
    StageRecord,
)

E = TypeVar("E")
UNANSWERED = "none"
HOUSEKEEPING = frozenset({"can_you_hear_me", "pause"})
"""General answers that answer no question about the job or the interview."""
GOOD, FAIR = 0.75, 0.55
"""Mean confidence from which the audio counts as good, or fair."""


def of_type(events: Iterable[ev.Event], kind: type[E]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def started_at(events: Sequence[ev.Event]) -> float:
    """Unix seconds of the first join, which is where the interview's clock starts."""
    joins = of_type(events, ev.CallJoined)
    first = joins[:1] or events[:1]
    return first[0].at if first else 0.0


def as_time(at: float) -> datetime:
    return datetime.fromtimestamp(round(at, 3), UTC)


def share(value: float) -> float:
    """A recogniser's confidence as a share; one slightly above 1 is a rounding of its own."""
    return round(min(max(value, 0.0), 1.0), 4)


def _seconds(at: float, start: float) -> float:
    return round(at - start, 3)


# --- stages, coverage, fidelity -------------------------------------------------------------------


def _stages(plan: Plan, events: Sequence[ev.Event], start: float) -> tuple[StageRecord, ...]:
    entered: dict[str, float] = {}
    for event in events:
        if isinstance(event, ev.QuestionAsked):
            entered.setdefault(plan.stage_of(event.question_id).id, event.at)
        elif isinstance(event, ev.LineSpoken) and event.kind == "closing":
            for stage in plan.stages:
                if stage.kind == "closing":
                    entered.setdefault(stage.id, event.t0)
    ended = of_type(events, ev.InterviewEnded)
    finished = bool(ended) and ended[-1].reason in ("completed", "time_up")
    order = [stage.id for stage in plan.stages if stage.id in entered]
    records: list[StageRecord] = []
    for stage in plan.stages:
        if stage.id not in entered:
            records.append(StageRecord(stage_id=stage.id, outcome="not_reached"))
            continue
        following = order[order.index(stage.id) + 1 :]
        left = entered[following[0]] if following else ended[-1].at if ended else None
        records.append(
            StageRecord(
                stage_id=stage.id,
                entered_at=_seconds(entered[stage.id], start),
                left_at=None if left is None else _seconds(left, start),
                outcome="finished" if following or finished else "cut_short",
            )
        )
    return tuple(records)


def coverage(found: Iterable[AnswerFound]) -> Coverage:
    must = [answer for answer in found if answer.question.must_ask]
    asked = [answer for answer in must if answer.state != "not_asked"]
    answered = [answer for answer in asked if any(words_in(one.text) for one in answer.said)]
    return Coverage(
        must_ask_total=len(must),
        asked=len(asked),
        answered=len([answer for answer in answered if answer.state != "declined"]),
        scorable=len([answer for answer in asked if answer.gradable]),
        share_asked=len(asked) / len(must) if must else 1.0,
    )


def _plain(text: str) -> str:
    return " ".join(text.split())


def _fidelity(plan: Plan, question: Question, events: Sequence[ev.Event]) -> Fidelity:
    asked = [e for e in of_type(events, ev.QuestionAsked) if e.question_id == question.id]
    lines = [
        e
        for e in of_type(events, ev.LineSpoken)
        if e.question_id == question.id and e.kind in ("question", "repeat")
    ]
    approved = _plain(question.text)
    first = [_plain(line.text) for line in lines if line.kind == "question"][:1]
    likeness = SequenceMatcher(None, approved, first[0], autojunk=False).ratio() if first else 0.0
    order = [e.question_id for e in of_type(events, ev.QuestionAsked)]
    before = set(order[: order.index(question.id)])
    allowed = {q.id for q in _until(plan, question)}
    return Fidelity(
        question_id=question.id,
        asked_verbatim=all(_plain(e.wording) == approved for e in asked),
        heard_whole=any(not line.interrupted for line in lines),
        similarity=round(likeness, 4),
        probes_used=sum(e.question_id == question.id for e in of_type(events, ev.ProbeAsked)),
        probes_allowed=question.max_probes,
        repeats=sum(e.question_id == question.id for e in of_type(events, ev.QuestionRepeated)),
        order_ok=len(asked) == 1 and before <= allowed,
    )


def _until(plan: Plan, question: Question) -> list[Question]:
    every = list(plan.questions())
    return every[: every.index(question)]


# --- latency --------------------------------------------------------------------------------------


def percentiles(values: Iterable[float]) -> Percentiles:
    """Nearest rank: a value that occurred."""
    ordered = sorted(values)
    if not ordered:
        return Percentiles()

    def rank(share: float) -> float:
        return round(ordered[max(math.ceil(share * len(ordered)) - 1, 0)], 1)

    return Percentiles(p50=rank(0.5), p95=rank(0.95), n=len(ordered))


def _latency(events: Sequence[ev.Event]) -> Latency:
    ends = {
        e.turn_id: e.end_of_turn_delay
        for e in of_type(events, ev.TurnSettled)
        if e.end_of_turn_delay is not None
    }
    replies = {
        e.turn_id: e.reply_delay
        for e in of_type(events, ev.MoveHeard)
        if e.turn_id is not None and e.reply_delay is not None
    }
    return Latency(
        gap_ms=percentiles(1000 * (ends[turn] + replies[turn]) for turn in ends if turn in replies),
        end_of_turn_ms=percentiles(1000 * delay for delay in ends.values()),
        reply_ms=percentiles(1000 * delay for delay in replies.values()),
    )


def _talk_ratio(events: Sequence[ev.Event]) -> float | None:
    spoken = [e for e in of_type(events, ev.SegmentHeard) if e.source == "spoken"]
    theirs = sum(max(e.t1 - e.t0, 0.0) for e in spoken)
    ours = sum(max(e.t1 - e.t0, 0.0) for e in of_type(events, ev.LineSpoken))
    return round(theirs / (theirs + ours), 4) if theirs + ours > 0 else None


# --- the whole ------------------------------------------------------------------------------------


def conduct(plan: Plan, events: Sequence[ev.Event], found: Sequence[AnswerFound]) -> Conduct:
    start = started_at(events)
    ends = of_type(events, ev.InterviewEnded)
    last = ends[-1].at if ends else max((event.at for event in events), default=start)
    asked = {e.question_id for e in of_type(events, ev.QuestionAsked)}
    return Conduct(
        started_at=as_time(start) if events else None,
        ended_at=as_time(last) if ends else None,
        duration_s=max(_seconds(last, start), 0.0),
        stages=_stages(plan, events, start),
        coverage=coverage(found),
        fidelity=tuple(_fidelity(plan, q, events) for q in plan.questions() if q.id in asked),
        latency=_latency(events),
        talk_ratio=_talk_ratio(events),
        interruptions=sum(e.interrupted for e in of_type(events, ev.LineSpoken)),
        reconnects=max(len(of_type(events, ev.CallJoined)) - 1, 0),
        scripted_turns=tuple(
            ScriptedTurn(turn_id=e.turn_id, move=e.move.name, reason=e.scripted)
            for e in of_type(events, ev.MoveHeard)
            if e.scripted is not None
        ),
        refused_moves=tuple(
            RefusedMove(turn_id=e.turn_id, move=e.move, reason=e.reason)
            for e in of_type(events, ev.MoveRefused)
        ),
        model_failures=tuple(
            ModelFailure(turn_id=e.turn_id, reason=e.reason)
            for e in of_type(events, ev.ModelFailed)
        ),
        incidents=tuple(
            IncidentRecord(at=_seconds(e.at, start), kind=e.kind, detail=e.detail)
            for e in of_type(events, ev.Incident)
        ),
    )


def _sound(mean: float | None) -> Literal["good", "fair", "poor", "unmeasured"]:
    """By the recogniser's confidence, where it gives any."""
    if mean is None:
        return "unmeasured"
    return "good" if mean >= GOOD else "fair" if mean >= FAIR else "poor"


def audio_quality(events: Sequence[ev.Event]) -> AudioQuality:
    segments = of_type(events, ev.SegmentHeard)
    spoken = [s for s in segments if s.source == "spoken"]
    kept = [s for s in spoken if s.verdict in ("ok", "low_confidence") and words_in(s.text)]
    measured = of_type(events, ev.AudioMeasured)
    told = [(s, s.confidence) for s in kept if s.confidence is not None]
    letters = sum(len(s.text) for s, _ in told)
    mean = sum(len(s.text) * sure for s, sure in told) / letters if letters else None
    low = [s for s, sure in told if s.verdict == "low_confidence" or sure < MIN_CONFIDENCE]
    return AudioQuality(
        verdict=_sound(mean) if kept else "no_speech",
        mean_confidence=None if mean is None else share(mean),
        low_confidence_share=round(len(low) / len(told), 4) if told else None,
        spoken_segments=len(spoken),
        typed_segments=len(segments) - len(spoken),
        dropped_segments=sum(s.verdict == "dropped" for s in spoken),
        failed_segments=sum(s.verdict == "failed" for s in spoken),
        packets=sum(m.packets for m in measured),
        packets_lost=sum(m.lost for m in measured),
        packets_recovered=sum(m.recovered for m in measured),
        concealed_s=round(sum(m.concealed_s for m in measured), 3),
    )


def consents(events: Sequence[ev.Event]) -> Consents:
    """What was told and agreed to; a later answer replaces an earlier one."""
    told = of_type(events, ev.Disclosed)
    given = of_type(events, ev.ConsentRecorded)
    created = of_type(events, ev.InterviewCreated)
    applied: list[str] = []
    if created and created[0].time_factor != 1.0:
        applied.append(f"time_factor:{created[0].time_factor:g}")
    if any(e.request == "extra_time" for e in of_type(events, ev.RequestMade)):
        applied.append("extra_time")
    if any(e.source == "typed" for e in of_type(events, ev.SegmentHeard)):
        applied.append("typed_answers")
    return Consents(
        disclosure_version=told[0].version if told else None,
        disclosed_at=as_time(told[0].at) if told else None,
        disclosure_method=told[0].method if told else None,
        interview=given[-1].interview if given else None,
        recording=given[-1].recording if given else None,
        version=given[-1].version if given else None,
        consent_at=as_time(given[-1].at) if given else None,
        method=given[-1].method if given else None,
        recording_method=given[-1].recording_method if given else None,
        accommodations_applied=tuple(applied),
    )


def candidate_questions(events: Sequence[ev.Event]) -> tuple[CandidateQuestion, ...]:
    """What the candidate asked, and what it was answered from."""
    turns = {e.turn_id: e.text for e in of_type(events, ev.TurnSettled)}
    found: list[CandidateQuestion] = []
    for event in of_type(events, ev.MoveHeard):
        move = event.move
        if move.name != "answer_candidate" or move.faq_id in HOUSEKEEPING:
            continue
        passed_on = move.faq_id == UNANSWERED
        found.append(
            CandidateQuestion(
                utterance_id=event.turn_id if event.turn_id in turns else None,
                text=turns.get(event.turn_id or "", ""),
                answered_from=None if passed_on else move.faq_id,
                needs_reply=passed_on,
            )
        )
    return tuple(found)
