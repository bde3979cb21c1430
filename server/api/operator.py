"""The operator's routes: interviews are made, read, taken back and erased with the API key."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse, Response

from agent import planfile
from agent.plan import Plan
from server import microphone_url, stand_ins
from server.api.errors import ApiError, refusals
from server.api.models import (
    EventAnswer,
    EventList,
    InterviewAnswer,
    InterviewCreatedAnswer,
    InterviewDetail,
    InterviewList,
    InviteIssued,
    InviteState,
    NewInterview,
    ReportQueued,
    Revoked,
    TranscriptAnswer,
)
from server.api.parts import Parts, WithParts, operator
from server.api.transcripts import transcript
from server.invites import invite_url
from server.store import Status, UnknownPlan

logger = logging.getLogger(__name__)
router = APIRouter(
    prefix="/api/interviews",
    tags=["operator"],
    dependencies=[Depends(operator)],
    # FastAPI describes a 422 of its own form for every route with a parameter.
    responses=refusals(401, 422, 429, 500, 503),
)
UNKNOWN = refusals(404)
UNREADABLE = refusals(404, 410)
DAY_S = 86_400
MOST = 2**53
"""The largest number that JSON and every database hold."""
AUDIO_TYPES = {".ogg": "audio/ogg", ".wav": "audio/wav"}


@router.post("", status_code=201, responses=refusals(400, 404, 409, 413, 507))
async def create_interview(new: NewInterview, parts: WithParts) -> InterviewCreatedAnswer:
    """Make an interview and the first invite to it."""
    microphone_url.check(parts.settings)
    await parts.check_space()
    plan = await _plan(new, parts)
    record = await parts.store.create_interview(
        plan,
        candidate_name=new.candidate_name,
        time_factor=plan.policy.extra_time_factor if new.extra_time else 1.0,
        rehearsal=bool(stand_ins.of(parts.settings)),
    )
    issued = await _issue(parts, record.interview_id, new.valid_days)
    return InterviewCreatedAnswer(plan_hash=record.plan_hash, **issued.model_dump())


@router.get("")
async def list_interviews(
    parts: WithParts,
    status: Status | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
) -> InterviewList:
    """Newest first."""
    found, total = await parts.store.list_interviews(status=status, limit=limit, offset=offset)
    return InterviewList(total=total, interviews=[InterviewAnswer.of(one) for one in found])


@router.get("/{interview_id}", responses=UNKNOWN)
async def read_interview(interview_id: str, parts: WithParts) -> InterviewDetail:
    record = await parts.store.interview(interview_id)
    report = await parts.store.report(interview_id)
    chain = await parts.store.verify_chain(interview_id)
    return InterviewDetail(
        **InterviewAnswer.of(record).model_dump(),
        invites=[
            InviteState(**{name: getattr(one, name) for name in InviteState.model_fields})
            for one in await parts.store.invites(interview_id)
        ],
        report_revision=report.revision if report else None,
        chain_ok=chain.ok,
    )


@router.get("/{interview_id}/report", response_class=Response, responses=UNKNOWN)
async def read_report(
    interview_id: str,
    parts: WithParts,
    revision: Annotated[int | None, Query(ge=1, le=MOST)] = None,
) -> Response:
    """The report as JSON (`viva report schema` prints its schema): the newest, or the revision
    asked for.
    """
    await parts.store.interview(interview_id)
    report = await parts.store.report(interview_id, revision)
    if report is None:
        raise ApiError(404, "no_report", "There is no report yet: it follows the interview's end.")
    return Response(report.json, media_type="application/json")


@router.post("/{interview_id}/report", status_code=202, responses=refusals(404, 409, 410))
async def grade_again(interview_id: str, parts: WithParts) -> ReportQueued:
    """Ask for a new revision of the report; earlier ones stay."""
    if (await parts.store.interview(interview_id)).status != "ended":
        raise ApiError(409, "not_ended", "The report follows the interview's end.")
    return ReportQueued(revision=await parts.store.enqueue_report(interview_id))


@router.get("/{interview_id}/transcript", responses=UNREADABLE)
async def read_transcript(interview_id: str, parts: WithParts) -> TranscriptAnswer:
    return await transcript(parts.store, interview_id)


@router.get("/{interview_id}/audio", response_class=FileResponse, responses=refusals(404, 507))
async def read_audio(interview_id: str, parts: WithParts) -> FileResponse:
    """The recording: the candidate on the left, the interviewer on the right."""
    await parts.store.interview(interview_id)
    try:
        file = await parts.recordings.audio(interview_id)
    except OSError as error:
        logger.exception("The recording could not be put together")
        text = f"The recording cannot be put together: {error.strerror}."
        raise ApiError(507, "disk_full", text) from error
    if file is None:
        raise ApiError(404, "no_audio", "Nothing was recorded in this interview.")
    safe = re.sub(r"[^A-Za-z0-9_-]", "", interview_id)
    kind = AUDIO_TYPES.get(file.suffix, "application/octet-stream")
    return FileResponse(file, media_type=kind, filename=f"interview-{safe}{file.suffix}")


@router.get("/{interview_id}/events", responses=UNREADABLE)
async def read_events(
    interview_id: str, parts: WithParts, after: Annotated[int, Query(ge=0, le=MOST)] = 0
) -> EventList:
    """The event log from the one after `after`, each with its link of the hash chain."""
    stored = await parts.store.events(interview_id, after)
    return EventList(
        events=[
            EventAnswer(
                seq=one.seq,
                hash=one.hash,
                epoch=one.epoch,
                schema_version=one.schema_version,
                event=one.event.model_dump(),
            )
            for one in stored
        ]
    )


@router.post("/{interview_id}/invites", status_code=201, responses=refusals(404, 409, 410))
async def invite_again(interview_id: str, parts: WithParts) -> InviteIssued:
    """One more invite to the same interview, for a link that was lost or has expired."""
    return await _issue(parts, interview_id, None)


@router.post("/{interview_id}/revoke", responses=UNKNOWN)
async def revoke(interview_id: str, parts: WithParts) -> Revoked:
    """Take back every invite; a call that goes on ends at once, and what was said is kept."""
    count = await parts.invites.revoke(interview_id)
    await parts.host.drop(interview_id)
    return Revoked(revoked=count)


@router.delete("/{interview_id}", status_code=204, response_class=Response, responses=UNKNOWN)
async def erase(interview_id: str, parts: WithParts) -> Response:
    """Erase every word, the report and the audio. The log's skeleton stays: what happened when, no
    words.
    """
    await parts.store.interview(interview_id)
    await parts.host.drop(interview_id)
    await parts.store.erase(interview_id)
    await parts.recordings.erase(interview_id)
    return Response(status_code=204)


async def _plan(new: NewInterview, parts: Parts) -> Plan:
    if (new.plan is None) == (new.plan_hash is None):
        raise ApiError(422, "invalid", "Give either plan or plan_hash.")
    if new.plan_hash:
        try:
            return await parts.store.plan(new.plan_hash)
        except UnknownPlan:
            raise ApiError(404, "no_plan", "No plan has this hash; send the plan.") from None
    try:
        source = new.plan if isinstance(new.plan, str) else json.dumps(new.plan, indent=1)
        return await asyncio.to_thread(planfile.parse, source)
    except planfile.PlanError as error:
        problems = list(error.complaints[:50])
        text = f"The plan cannot be used: {problems[0]}"
        raise ApiError(422, "bad_plan", text, problems=problems) from None
    except RecursionError:
        raise ApiError(422, "bad_plan", "The plan cannot be used: nested too deeply.") from None


async def _issue(parts: Parts, interview_id: str, days: float | None) -> InviteIssued:
    microphone_url.check(parts.settings)
    issued = await parts.invites.issue(interview_id, (days or parts.settings.invite_days) * DAY_S)
    url = invite_url(parts.settings, issued.token)
    return InviteIssued(
        interview_id=interview_id, token=issued.token, url=url, expires_at=issued.expires_at
    )
