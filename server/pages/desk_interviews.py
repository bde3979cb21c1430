"""The desk's list of interviews, and the form that makes a new one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, get_args

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from agent import planfile
from agent.plan import Plan
from server import interviews, microphone_url
from server.api.models import NAME_LENGTH, one_line
from server.api.parts import Parts, WithParts
from server.pages.desk import page, signed_in
from server.pages.desk_interview import interview_page
from server.pages.forms import same_origin
from server.store import Status, UnknownPlan

router = APIRouter(prefix="/desk", include_in_schema=False, dependencies=[Depends(signed_in)])
FORM = [Depends(same_origin)]
PAGE = 25
STATUSES: tuple[str, ...] = get_args(Status)
MOST_COMPLAINTS = 50


@router.get("")
async def listed(
    request: Request,
    parts: WithParts,
    status: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10**6)] = 1,
) -> Response:
    """Newest first; without any score, so that nobody is chosen by a number in a list."""
    chosen = _status(status)
    found, total = await parts.store.list_interviews(
        status=chosen, limit=PAGE, offset=(number - 1) * PAGE
    )
    plans = {one.hash: one for one in await parts.store.plans({one.plan_hash for one in found})}
    return page(
        request,
        "list.html",
        interviews=found,
        plans=plans,
        total=total,
        number=number,
        pages=max(1, -(-total // PAGE)),
        chosen=chosen or "",
        statuses=STATUSES,
        phone=parts.host.phone,
    )


@dataclass
class Entered:
    """The form as it was filled in; it comes back as it was when something is wrong with it."""

    saved: str = ""
    text: str = ""
    name: str = ""
    extra_time: bool = False
    days: str = ""
    errors: dict[str, str] = field(default_factory=dict)
    """By field, the name of what is wrong."""
    complaints: tuple[str, ...] = ()
    """What the reader of plans says, line by line."""


@router.get("/new")
async def new(request: Request, parts: WithParts) -> Response:
    return await _form(request, parts, Entered(days=f"{parts.settings.invite_days:g}"))


@router.post("/new", dependencies=FORM)
async def make(request: Request, parts: WithParts) -> Response:
    """Make the interview and its link, which this page shows once."""
    microphone_url.check(parts.settings)
    await parts.check_space()
    async with request.form(max_files=1, max_fields=20) as form:
        entered = await _entered(form)
    plan = await _plan(entered, parts)
    days = _days(entered)
    if len(entered.name) > NAME_LENGTH:
        entered.errors["name"] = "name_too_long"
    if plan is None or days is None or entered.errors:
        return await _form(request, parts, entered, status=422)
    record = await interviews.make(
        parts.store,
        parts.settings,
        plan,
        candidate_name=one_line(entered.name),
        extra_time=entered.extra_time,
    )
    link = await interviews.invite(parts.invites, parts.settings, record.interview_id, days)
    return await interview_page(request, parts, record.interview_id, status=201, link=link)


async def _entered(form: FormData) -> Entered:
    file = form.get("file")
    text = _text(form, "text")
    if isinstance(file, UploadFile) and file.filename:
        # Shown in the text's field if it has to be mended: a browser does not keep a chosen file.
        uploaded = await file.read(planfile.MAX_BYTES + 1)
        text = uploaded.decode("utf-8-sig", "replace")
    return Entered(
        saved=_text(form, "saved"),
        text=text,
        name=_text(form, "name"),
        extra_time=_text(form, "extra_time") == "yes",
        days=_text(form, "days").strip(),
    )


async def _plan(entered: Entered, parts: Parts) -> Plan | None:
    given = entered.text.strip()
    if bool(given) == bool(entered.saved):
        entered.errors["plan"] = "two_plans" if given else "no_plan"
        return None
    try:
        if entered.saved:
            return await parts.store.plan(entered.saved)
        return await asyncio.to_thread(interviews.read_plan, entered.text)
    except UnknownPlan:
        entered.errors["plan"] = "unknown_plan"
    except planfile.PlanError as error:
        entered.errors["plan"] = "bad_plan"
        entered.complaints = error.complaints[:MOST_COMPLAINTS]
    return None


def _days(entered: Entered) -> float | None:
    try:
        days = float(entered.days)
    except ValueError:
        days = 0.0
    if 0 < days <= interviews.MOST_DAYS:
        return days
    entered.errors["days"] = "bad_days"
    return None


async def _form(request: Request, parts: Parts, entered: Entered, *, status: int = 200) -> Response:
    return page(
        request,
        "new.html",
        status=status,
        entered=entered,
        plans=await parts.store.plans(),
        name_length=NAME_LENGTH,
        most_days=int(interviews.MOST_DAYS),
    )


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _status(given: str) -> Status | None:
    for one in get_args(Status):
        if one == given:
            found: Status = one
            return found
    return None
