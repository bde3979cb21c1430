"""The operator's routes: interviews are made, read, taken back and erased with the API key."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import FileResponse, Response

from agent import planfile
from agent.plan import Plan
from server import interviews, microphone_url, reports
from server.api import audio
from server.api.errors import ApiError, refusals
from server.api.models import (
    CallAnswer,
    CallList,
    CallsCancelled,
    EventAnswer,
    EventList,
    InterviewAnswer,
    InterviewCreatedAnswer,
    InterviewDetail,
    InterviewList,
    InviteIssued,
    InviteState,
    NewCall,
    NewInterview,
    ReportQueued,
    Revoked,
    TranscriptAnswer,
)
from server.api.parts import Parts, WithParts, operator
from server.api.transcripts import transcript
from server.store import Status, UnknownPlan

router = APIRouter(
    prefix="/api/interviews",
    tags=["operator"],
    dependencies=[Depends(operator)],
    # FastAPI describes a 422 of its own form for every route with a parameter.
    responses=refusals(401, 422, 429, 500, 503),
)
UNKNOWN = refusals(404)
UNREADABLE = refusals(404, 410)
MOST = 2**53
"""The largest number that JSON and every database hold."""


@router.post("", status_code=201, responses=refusals(400, 404, 409, 413, 507))
async def create_interview(new: NewInterview, parts: WithParts) -> InterviewCreatedAnswer:
    """Make an interview and the first invite to it."""
    microphone_url.check(parts.settings)
    await parts.check_space()
    record = await interviews.make(
        parts.store,
        parts.settings,
        await _plan(new, parts),
        candidate_name=new.candidate_name,
        extra_time=new.extra_time,
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
    asked for, with the candidate's corrections and the human's decision as they stand today.
    """
    found = await reports.read(parts.store, interview_id, revision)
    if found is None:
        raise ApiError(404, "no_report", "There is no report yet: it follows the interview's end.")
    return Response(found.json, media_type="application/json")


@router.post("/{interview_id}/report", status_code=202, responses=refusals(404, 409, 410))
async def grade_again(interview_id: str, parts: WithParts) -> ReportQueued:
    """Ask for a new revision of the report; earlier ones stay."""
    return ReportQueued(revision=await interviews.grade_again(parts.store, interview_id))


@router.get("/{interview_id}/transcript", responses=UNREADABLE)
async def read_transcript(interview_id: str, parts: WithParts) -> TranscriptAnswer:
    return await transcript(parts.store, interview_id)


@router.get("/{interview_id}/audio", response_class=FileResponse, responses=refusals(404, 507))
async def read_audio(interview_id: str, parts: WithParts) -> FileResponse:
    """The recording: the candidate on the left, the interviewer on the right."""
    return await audio.recording(parts, interview_id, download=True)


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
    return Revoked(
        revoked=await interviews.revoke(parts.store, parts.invites, parts.host, interview_id)
    )


@router.post("/{interview_id}/calls", status_code=201, responses=refusals(404, 409, 410))
async def call(interview_id: str, wanted: NewCall, parts: WithParts) -> CallAnswer:
    """Have the candidate called by telephone, as soon as hours and caps allow."""
    made = await interviews.call(
        parts.store, parts.settings, interview_id, wanted.number, wanted.zone, parts.clock()
    )
    return CallAnswer.of(made)


@router.get("/{interview_id}/calls", responses=UNKNOWN)
async def list_calls(interview_id: str, parts: WithParts) -> CallList:
    """Calls to the candidate, to come and made; oldest first."""
    await parts.store.interview(interview_id)
    calls = await parts.store.calls(interview_id)
    return CallList(calls=[CallAnswer.of(one) for one in calls])


@router.delete("/{interview_id}/calls", responses=UNKNOWN)
async def cancel_calls(interview_id: str, parts: WithParts) -> CallsCancelled:
    """Calls that wait are not made; one that rings is hung up within seconds."""
    await parts.store.interview(interview_id)
    return CallsCancelled(cancelled=await parts.store.cancel_calls(interview_id))


@router.delete("/{interview_id}", status_code=204, response_class=Response, responses=UNKNOWN)
async def erase(interview_id: str, parts: WithParts) -> Response:
    """Erase every word, the report and the audio. The log's skeleton stays: what happened when, no
    words.
    """
    await interviews.erase(parts.store, parts.host, parts.recordings, interview_id)
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
        return await asyncio.to_thread(interviews.read_plan, new.plan or "")
    except planfile.PlanError as error:
        problems = list(error.complaints[:50])
        text = f"The plan cannot be used: {problems[0]}"
        raise ApiError(422, "bad_plan", text, problems=problems) from None


async def _issue(parts: Parts, interview_id: str, days: float | None) -> InviteIssued:
    link = await interviews.invite(parts.invites, parts.settings, interview_id, days)
    return InviteIssued(**vars(link))
