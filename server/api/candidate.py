"""The candidate's routes: an invite opens one interview, and no other."""

from __future__ import annotations

from fastapi import APIRouter

from agent.events import Event
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
from server.consents import last_consent, record_consent
from server.media.turn import browser_ice_servers
from server.store import InterviewRecord

router = APIRouter(
    prefix="/api/call", tags=["candidate"], responses=refusals(401, 410, 429, 500, 503)
)
WITH_BODY = refusals(400, 409, 413, 422)


@router.get("")
async def read_call(mine: Mine, parts: WithParts) -> CallInfo:
    """Who asks what, and what the candidate is asked to agree to."""
    plan = await parts.store.plan(mine.plan_hash)
    return call_info(mine, plan, await _events(parts, mine), parts)


@router.post("/consent", responses=WITH_BODY)
async def give_consent(given: ConsentGiven, mine: Mine, parts: WithParts) -> CallInfo:
    """Record the candidate's answer, and that the disclosure was on the page. Saying the same again
    changes nothing; a change of mind is possible until the call begins."""
    plan = await parts.store.plan(mine.plan_hash)
    events = await _events(parts, mine)
    new = await record_consent(
        parts.store,
        mine,
        plan,
        events,
        interview=given.interview,
        recording=given.recording,
        version=given.version,
        at=parts.clock(),
    )
    now = await parts.store.interview(mine.interview_id)
    return call_info(now, plan, [*events, *new], parts)


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


def call_info(mine: InterviewRecord, plan: Plan, events: list[Event], parts: Parts) -> CallInfo:
    """What a candidate sees before joining."""
    asked = plan.policy.consent
    told = last_consent(events)
    notices = ["voice_microsoft"] if parts.settings.speaks_with_edge else []
    return CallInfo(
        status=mine.status,
        end_reason=mine.end_reason,
        language=plan.language,
        title=plan.title,
        job_title=plan.job.title,
        candidate_name=mine.candidate_name,
        minutes=round(plan.policy.total_time_s * mine.time_factor / 60),
        questions=len(list(plan.own_questions())),
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
        ice_servers=browser_ice_servers(parts.settings, parts.clock()),
    )


async def _events(parts: Parts, mine: InterviewRecord) -> list[Event]:
    return [stored.event for stored in await parts.store.events(mine.interview_id)]
