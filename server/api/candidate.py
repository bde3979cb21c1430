"""The candidate's routes: an invite opens one interview, and no other."""

from __future__ import annotations

from fastapi import APIRouter

from agent.events import ConsentRecorded, Disclosed, Event
from agent.plan import Plan
from server.api.errors import ApiError, refusals
from server.api.limits import MAX_SDP
from server.api.models import (
    CallInfo,
    ConsentAsked,
    ConsentGiven,
    Offer,
    OfferAnswer,
    TranscriptAnswer,
)
from server.api.notices import notice
from server.api.parts import Mine, Parts, WithParts
from server.api.transcripts import transcript
from server.store import InterviewRecord

router = APIRouter(
    prefix="/api/call", tags=["candidate"], responses=refusals(401, 410, 429, 500, 503)
)
WITH_BODY = refusals(400, 409, 413, 422)


@router.get("")
async def read_call(mine: Mine, parts: WithParts) -> CallInfo:
    """Who asks what, and what the candidate is asked to agree to."""
    plan = await parts.store.plan(mine.plan_hash)
    return _info(mine, plan, await _events(parts, mine), parts)


@router.post("/consent", responses=WITH_BODY)
async def give_consent(given: ConsentGiven, mine: Mine, parts: WithParts) -> CallInfo:
    """Record the candidate's answer, and that the disclosure was on the page. Saying the same again
    changes nothing; a change of mind is possible until the call begins."""
    plan = await parts.store.plan(mine.plan_hash)
    consent = plan.policy.consent
    if given.version != consent.version:
        raise ApiError(409, "consent_changed", "The text has changed. Read it again, then answer.")
    if mine.status == "ended":
        raise ApiError(409, "ended", "This interview is over.")
    events = await _events(parts, mine)
    told = _last_consent(events)
    if told and (told.interview, told.recording) == (given.interview, given.recording):
        return _info(mine, plan, events, parts)
    if told and mine.status == "live":
        raise ApiError(409, "in_call", "Leave the call first, then change your answer.")
    new = _consent_events(given, plan, events, parts.clock())
    await parts.store.append(mine.interview_id, None, new)
    now = await parts.store.interview(mine.interview_id)
    return _info(now, plan, [*events, *new], parts)


@router.post("/offer", responses={**WITH_BODY, **refusals(507)})
async def offer(given: Offer, mine: Mine, parts: WithParts) -> OfferAnswer:
    """Join by WebRTC, or rejoin: a new offer replaces the connection before it."""
    if len(given.sdp) > MAX_SDP:
        raise ApiError(413, "too_large", f"The offer is too large: at most {MAX_SDP} characters.")
    if mine.status in ("invited", "consented"):
        await parts.check_space()
    answer = await parts.host.offer(mine.interview_id, given.sdp, given.type)
    return OfferAnswer(sdp=answer.sdp, type=answer.type, epoch=answer.epoch)


@router.get("/transcript")
async def read_transcript(mine: Mine, parts: WithParts) -> TranscriptAnswer:
    """The candidate's own copy."""
    return await transcript(parts.store, mine.interview_id)


def _info(mine: InterviewRecord, plan: Plan, events: list[Event], parts: Parts) -> CallInfo:
    asked = plan.policy.consent
    told = _last_consent(events)
    notices = ["voice_microsoft"] if parts.settings.speaks_with_edge else []
    return CallInfo(
        status=mine.status,
        end_reason=mine.end_reason,
        language=plan.language,
        title=plan.title,
        job_title=plan.job.title,
        candidate_name=mine.candidate_name,
        minutes=round(plan.policy.total_time_s * mine.time_factor / 60),
        questions=sum(question.must_ask for question in plan.questions()),
        disclosure=plan.policy.disclosure,
        disclosure_version=plan.policy.disclosure_version,
        notices=[notice(code, plan.language) for code in notices],
        consent=ConsentAsked(
            version=asked.version,
            text=asked.text,
            recording_text=asked.recording_text,
            interview=told.interview if told else None,
            recording=told.recording if told else None,
        ),
        contact=plan.policy.escalation_contact,
    )


def _consent_events(given: ConsentGiven, plan: Plan, before: list[Event], at: float) -> list[Event]:
    version = plan.policy.disclosure_version
    told = any(isinstance(event, Disclosed) and event.version == version for event in before)
    disclosed = [] if told else [Disclosed(at=at, version=version, method="page")]
    answered = ConsentRecorded(
        at=at,
        interview=given.interview,
        recording=given.recording,
        version=given.version,
        method="click",
    )
    return [*disclosed, answered]


def _last_consent(events: list[Event]) -> ConsentRecorded | None:
    return next((e for e in reversed(events) if isinstance(e, ConsentRecorded)), None)


async def _events(parts: Parts, mine: InterviewRecord) -> list[Event]:
    return [stored.event for stored in await parts.store.events(mine.interview_id)]
