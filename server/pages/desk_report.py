"""The report as a page, and what can be downloaded."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from agent.additions import corrections
from agent.conduct import of_type
from agent.events import DecisionRecorded
from agent.transcript import to_text, transcript
from server import logs, reports
from server.api.audio import recording
from server.api.errors import ApiError
from server.api.operator import MOST
from server.api.parts import WithParts
from server.pages.desk import page, signed_in
from server.pages.desk_interview import address
from server.pages.report_view import ReportView

router = APIRouter(
    prefix="/desk/interviews/{interview_id}",
    include_in_schema=False,
    dependencies=[Depends(signed_in)],
)
Revision = Annotated[int | None, Query(ge=1, le=MOST)]


@router.get("/report")
async def read(
    request: Request, interview_id: str, parts: WithParts, revision: Revision = None
) -> Response:
    record = await parts.store.interview(interview_id)
    logs.set_interview(interview_id)
    pending = await parts.store.reports_pending(interview_id)
    found = await reports.read(parts.store, interview_id, revision)
    if found is None and revision is not None:
        raise ApiError(404, "no_report", "There is no such revision of the report.")
    here = f"{address(interview_id)}/report"
    if found is None:
        return page(request, "no_report.html", here=here, record=record, pending=pending)
    if found.report is None:
        raise ApiError(409, "other_version", "Another version of Viva made this report.")
    events = [one.event for one in await parts.store.events(interview_id)]
    return page(
        request,
        "report.html",
        here=here,
        record=record,
        pending=pending,
        report=found.report,
        view=ReportView(found.report, await parts.recordings.started_at(interview_id)),
        plan=await parts.store.plan(record.plan_hash),
        decisions=of_type(events, DecisionRecorded)[::-1],
    )


@router.get("/report.json")
async def as_json(interview_id: str, parts: WithParts, revision: Revision = None) -> Response:
    found = await reports.read(parts.store, interview_id, revision)
    if found is None:
        raise ApiError(404, "no_report", "There is no report yet: it follows the interview's end.")
    name = f"report-{interview_id}.json"
    return Response(found.json, media_type="application/json", headers=_saved_as(name))


@router.get("/transcript.txt")
async def as_text(interview_id: str, parts: WithParts) -> Response:
    record = await parts.store.interview(interview_id)
    events = [one.event for one in await parts.store.events(interview_id)]
    plan = await parts.store.plan(record.plan_hash)
    text = to_text(transcript(events), plan, corrections(events))
    return PlainTextResponse(text, headers=_saved_as(f"transcript-{interview_id}.txt"))


@router.get("/audio")
async def audio(interview_id: str, parts: WithParts, download: bool = False) -> FileResponse:
    """To listen to, any part of it, or to keep."""
    return await recording(parts, interview_id, download=download)


def _saved_as(name: str) -> dict[str, str]:
    # The id is that of an interview that was found: it has nothing but letters and digits.
    return {"Content-Disposition": f'attachment; filename="{name}"'}
