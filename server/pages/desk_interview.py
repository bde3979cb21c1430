"""One interview on the desk: where it stands, its links, the decision, its end."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import Response

from agent.additions import corrections
from agent.conduct import of_type
from agent.events import ConsentRecorded, DecisionRecorded, Event, Suggestion
from agent.transcript import Utterance, transcript
from server import interviews, logs
from server.api.models import as_seen
from server.api.parts import Parts, WithParts
from server.pages.desk import HOME, back_to, page, signed_in
from server.pages.forms import same_origin
from server.phone.outbound import NoCall
from server.phone.pins import shown
from server.store import Invite

router = APIRouter(
    prefix="/desk/interviews/{interview_id}",
    include_in_schema=False,
    dependencies=[Depends(signed_in)],
)
FORM = [Depends(same_origin)]
ADMIN = "admin"
MAX_REASON = 2000
VALUES: tuple[Suggestion, ...] = get_args(Suggestion)
InviteState = Literal["good", "revoked", "expired"]


@router.get("")
async def read(request: Request, interview_id: str, parts: WithParts) -> Response:
    return await interview_page(request, parts, interview_id)


@router.post("/invites", dependencies=FORM)
async def invite(request: Request, interview_id: str, parts: WithParts) -> Response:
    """One more link, which this page shows once."""
    link = await interviews.invite(parts.invites, parts.settings, interview_id)
    return await interview_page(request, parts, interview_id, status=201, link=link)


@router.post("/revoke", dependencies=FORM)
async def revoke(interview_id: str, parts: WithParts) -> Response:
    await interviews.revoke(parts.store, parts.invites, parts.host, interview_id)
    return back_to(address(interview_id), "revoked")


@router.post("/call", dependencies=FORM)
async def call(
    request: Request,
    interview_id: str,
    parts: WithParts,
    number: Annotated[str, Form(max_length=40)] = "",
    zone: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Have the candidate called."""
    try:
        await interviews.call(
            parts.store, parts.settings, interview_id, number, zone.strip(), parts.clock()
        )
    except NoCall as refused:
        entered = {"number": number, "zone": zone, "error": refused.code}
        return await interview_page(request, parts, interview_id, status=422, calling=entered)
    return back_to(address(interview_id), "calling")


@router.post("/calls/cancel", dependencies=FORM)
async def cancel_calls(interview_id: str, parts: WithParts) -> Response:
    await parts.store.cancel_calls(interview_id)
    return back_to(address(interview_id), "not_calling")


@router.post("/grade", dependencies=FORM)
async def grade(interview_id: str, parts: WithParts) -> Response:
    await interviews.grade_again(parts.store, interview_id)
    return back_to(address(interview_id), "grading")


@router.post("/decision", dependencies=FORM)
async def decide(
    request: Request,
    interview_id: str,
    parts: WithParts,
    value: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """A person's decision, with its reason; the last one stands."""
    chosen, written = _suggestion(value), as_seen(reason).strip()
    error = (
        "no_value"
        if chosen is None
        else "no_reason"
        if not written
        else "reason_too_long"
        if len(written) > MAX_REASON
        else ""
    )
    if chosen is None or error:
        entered = {"value": value, "reason": written, "error": error}
        return await interview_page(request, parts, interview_id, status=422, decision=entered)
    at = parts.clock()
    await interviews.decide(parts.store, interview_id, chosen, written, by=ADMIN, at=at)
    return back_to(address(interview_id), "decided")


@router.post("/delete", dependencies=FORM)
async def delete(
    request: Request,
    interview_id: str,
    parts: WithParts,
    confirmed: Annotated[str, Form()] = "",
) -> Response:
    """Words, report and audio go; only after the box that says so was ticked."""
    if confirmed != "yes":
        return await interview_page(request, parts, interview_id, status=422, unconfirmed=True)
    await interviews.erase(parts.store, parts.host, parts.recordings, interview_id)
    return back_to(HOME, "deleted")


async def interview_page(
    request: Request,
    parts: Parts,
    interview_id: str,
    *,
    status: int = 200,
    link: interviews.Link | None = None,
    decision: dict[str, str] | None = None,
    calling: dict[str, str] | None = None,
    unconfirmed: bool = False,
) -> Response:
    """Raises `UnknownInterview`."""
    record = await parts.store.interview(interview_id)
    logs.set_interview(interview_id)
    erased = record.status == "erased"
    events = [] if erased else [one.event for one in await parts.store.events(interview_id)]
    report = await parts.store.report(interview_id)
    plan = await parts.store.plan(record.plan_hash)
    return page(
        request,
        "interview.html",
        status=status,
        here=address(interview_id),
        record=record,
        plan=plan,
        link=link,
        invites=[
            (one, _state(one, parts.clock())) for one in await parts.store.invites(interview_id)
        ],
        calls=await parts.store.calls(interview_id),
        may_call=bool(parts.settings.phone and parts.settings.phone_call_prefixes),
        calling=calling or {"number": "", "zone": parts.settings.phone_zone, "error": ""},
        pin=shown(link.pin) if link else "",
        consents=of_type(events, ConsentRecorded),
        talk=talk(events),
        corrections=corrections(events),
        decisions=of_type(events, DecisionRecorded)[::-1],
        entered=decision or {"value": "", "reason": "", "error": ""},
        values=VALUES,
        max_reason=MAX_REASON,
        unconfirmed=unconfirmed,
        revision=report.revision if report else None,
        pending=await parts.store.reports_pending(interview_id),
        audio=await parts.recordings.started_at(interview_id) is not None,
        chain=await parts.store.verify_chain(interview_id),
    )


def address(interview_id: str) -> str:
    return f"{HOME}/interviews/{interview_id}"


def talk(events: list[Event]) -> tuple[Utterance, ...]:
    """Who said what so far, on the interview's own clock."""
    return transcript(events).utterances


def _suggestion(value: str) -> Suggestion | None:
    return next((one for one in VALUES if one == value), None)


def _state(invite: Invite, at: float) -> InviteState:
    if invite.revoked_at is not None:
        return "revoked"
    return "expired" if at >= invite.expires_at else "good"
