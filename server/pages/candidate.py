"""The candidate's pages, each under the link of the invite: consent, the call, and what is left of
it.

The token stands in the path. So every page works without a script and without a cookie, two
interviews can lie in two tabs, and any device that opens the link is the same candidate. Every
answer is `no-store`, and no address of ours is told to anybody else (`Referrer-Policy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response

import prompts
import web
from agent.additions import corrections
from agent.events import AnswerCorrected, Event
from agent.interview import Interview
from agent.plan import Plan
from agent.transcript import Utterance, to_text, transcript, transcript_of
from server import logs
from server.api import errors
from server.api.candidate import call_info
from server.api.errors import ApiError
from server.api.limits import MAX_TYPED
from server.api.models import as_seen
from server.api.parts import Parts, WithParts, address_of
from server.api.ports import NotLive
from server.consents import (
    decline_ai,
    last_consent,
    record_consent,
    record_extra_time,
    wants_extra_time,
)
from server.pages.forms import same_origin
from server.pages.rendering import render
from server.pages.written import WrittenLegs
from server.store import InterviewRecord

router = APIRouter(prefix="/call/{token}", include_in_schema=False)
FORM = [Depends(same_origin)]
MAX_CORRECTION = 4000
MOST_CORRECTIONS = 500
"""Of one interview, all revisions of them together: a log has its bounds."""


@dataclass(frozen=True)
class Visit:
    """Whose link it is, and how far the interview has come."""

    token: str
    record: InterviewRecord
    plan: Plan
    events: list[Event]

    @property
    def begun(self) -> bool:
        return self.record.status in ("live", "away")

    @property
    def agreed(self) -> bool:
        told = last_consent(self.events)
        return told is not None and told.interview

    def interview(self) -> Interview:
        return Interview(self.plan, prompts.lines(self.plan.language), self.events)

    def back(self, query: str = "") -> RedirectResponse:
        """To the page, after a form."""
        return RedirectResponse(f"/call/{self.token}{query}", 303)


async def visit(request: Request, token: str, parts: WithParts) -> Visit:
    """Raises an `InviteError`, whose page tells nothing of any interview."""
    invite = await parts.invites.open(token, address_of(request))
    logs.set_interview(invite.interview_id)
    record = await parts.store.interview(invite.interview_id)
    request.state.language = record.language
    plan = await parts.store.plan(record.plan_hash)
    events = [stored.event for stored in await parts.store.events(record.interview_id)]
    return Visit(token, record, plan, events)


Mine = Annotated[Visit, Depends(visit)]


def legs(request: Request) -> WrittenLegs:
    found = request.app.state.written_legs
    assert isinstance(found, WrittenLegs)
    return found


Legs = Annotated[WrittenLegs, Depends(legs)]


@router.get("")
async def read(
    request: Request, mine: Mine, parts: WithParts, step: str = "", mode: str = ""
) -> Response:
    """The page that fits what the interview has come to."""
    if mine.record.status == "ended":
        return _ended(request, mine, parts)
    if not mine.agreed or (step == "consent" and not mine.begun):
        return _welcome(request, mine, parts)
    return _room(request, mine, parts, mode=mode)


@router.post("/consent", dependencies=FORM)
async def consent(
    request: Request,
    mine: Mine,
    parts: WithParts,
    version: Annotated[str, Form(max_length=100)],
    interview: Annotated[bool, Form()] = False,
    recording: Annotated[bool, Form()] = False,
    extra_time: Annotated[bool, Form()] = False,
    mode: Annotated[Literal["voice", "text"], Form()] = "voice",
) -> Response:
    """Two separate answers; only the first is needed."""
    if not interview:
        given = {"recording": recording, "extra_time": extra_time, "mode": mode}
        return _welcome(request, mine, parts, status=422, given=given)
    await record_consent(
        parts.store,
        mine.record,
        mine.plan,
        mine.events,
        interview=True,
        recording=recording,
        version=version,
        at=parts.clock(),
    )
    if extra_time:
        await record_extra_time(parts.store, mine.record, mine.events, parts.clock())
    return mine.back("?mode=text" if mode == "text" else "")


@router.post("/person", dependencies=FORM)
async def person(mine: Mine, parts: WithParts) -> Response:
    """A person instead of the AI; a call that goes on says so itself and ends."""
    try:
        await parts.host.request(mine.record.interview_id, "person")
    except NotLive:
        await decline_ai(parts.store, mine.record, mine.plan, parts.clock())
    return mine.back()


# --- the call by forms, where no script runs ------------------------------------------------------
@router.post("/begin", dependencies=FORM)
async def begin(request: Request, mine: Mine, parts: WithParts, by_form: Legs) -> Response:
    """Begin in writing, or go on with it."""
    return await _by_form(request, mine, parts, by_form.join(mine.record.interview_id))


@router.post("/answer", dependencies=FORM)
async def answer(
    request: Request,
    mine: Mine,
    parts: WithParts,
    by_form: Legs,
    text: Annotated[str, Form(max_length=1 << 20)] = "",
) -> Response:
    """A typed answer; one that cannot be taken comes back in its box."""
    text = as_seen(text).strip()
    if not text:
        return mine.back("#captions")
    if len(text) > MAX_TYPED:
        return _room(request, mine, parts, status=422, wrong="too_long", draft=text)
    typing = by_form.typed(mine.record.interview_id, text)
    return await _by_form(request, mine, parts, typing, draft=text)


@router.post("/request", dependencies=FORM)
async def ask(
    request: Request,
    mine: Mine,
    parts: WithParts,
    by_form: Legs,
    wanted: Annotated[
        Literal["skip", "repeat", "person", "pause", "extra_time"], Form(alias="request")
    ],
) -> Response:
    """A button."""
    asking = by_form.request(mine.record.interview_id, wanted)
    return await _by_form(request, mine, parts, asking)


@router.post("/end", dependencies=FORM)
async def end(request: Request, mine: Mine, parts: WithParts, by_form: Legs) -> Response:
    """End for good; the form asked whether it is meant."""
    return await _by_form(request, mine, parts, by_form.hang_up(mine.record.interview_id))


async def _by_form(
    request: Request, mine: Visit, parts: Parts, doing: Any, draft: str = ""
) -> Response:
    try:
        if not mine.begun:
            await parts.check_space()
        await doing
    except errors.HANDLED as error:
        refusal = errors.of(error)
        if refusal.code in ("ended", "not_consented"):  # its own page says what is so
            return mine.back()
        return _room(
            request, mine, parts, status=refusal.http_status, wrong=refusal.code, draft=draft
        )
    finally:
        doing.close()  # where the disk was too full to begin it never ran
    return mine.back("#answer")


# --- afterwards -----------------------------------------------------------------------------------
@router.post("/corrections", dependencies=FORM)
async def correct(request: Request, mine: Mine, parts: WithParts) -> Response:
    """The candidate's own wording beside what was heard; what did not change is not written."""
    if mine.record.status != "ended":
        raise ApiError(409, "not_ended", "Corrections can be made when the interview is over.")
    form = await request.form(max_fields=1000)
    known = corrections(mine.events)
    new = []
    for said in transcript_of(mine.events):
        given = form.get(f"correction-{said.id}")
        if said.speaker != "candidate" or not isinstance(given, str):
            continue
        text = as_seen(given).strip()
        if len(text) > MAX_CORRECTION:
            raise ApiError(422, "invalid", f"A correction has at most {MAX_CORRECTION} letters.")
        text = "" if text == said.text else text
        if text != known.get(said.id, ""):
            new.append(AnswerCorrected(at=parts.clock(), utterance_id=said.id, text=text))
    made = sum(isinstance(event, AnswerCorrected) for event in mine.events)
    if made + len(new) > MOST_CORRECTIONS:
        raise ApiError(422, "invalid", f"At most {MOST_CORRECTIONS} corrections can be made.")
    if new:
        await parts.store.append(mine.record.interview_id, None, new)
    return mine.back("?saved=1#transcript")


@router.get("/transcript.txt")
async def own_copy(mine: Mine) -> Response:
    """The candidate's copy, to keep."""
    told = transcript(mine.events)
    text = to_text(told, mine.plan, corrections(mine.events))
    name = "interview-transcript.txt"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return PlainTextResponse(text, headers=headers)


# --- the three pages ------------------------------------------------------------------------------
def _welcome(
    request: Request,
    mine: Visit,
    parts: Parts,
    *,
    status: int = 200,
    given: dict[str, Any] | None = None,
) -> Response:
    told = last_consent(mine.events)
    before = {
        "recording": bool(told and told.recording),
        "extra_time": wants_extra_time(mine.events),
        "mode": "voice",
    }
    return render(
        request,
        "candidate/welcome.html",
        mine.plan.language,
        status=status,
        token=mine.token,
        info=call_info(mine.record, mine.plan, mine.events, parts),
        given=given or before,
        interview=bool(told and told.interview and given is None),
        missing=given is not None,
        practice=_has_practice(mine.plan),
        kept_for=_kept_for(mine.plan),
        factor=mine.plan.policy.extra_time_factor,
        granted=mine.record.time_factor > 1.0,
    )


def _room(
    request: Request,
    mine: Visit,
    parts: Parts,
    *,
    status: int = 200,
    mode: str = "",
    wrong: str = "",
    draft: str = "",
) -> Response:
    held = mine.interview()
    question, questions = held.progress()
    stage = held.stage
    known = web.section(mine.plan.language, "call")
    state = "paused" if held.paused or mine.record.status == "away" else "listening"
    return render(
        request,
        "candidate/room.html",
        mine.plan.language,
        status=status,
        token=mine.token,
        info=call_info(mine.record, mine.plan, mine.events, parts),
        begun=mine.begun,
        mode="text" if mode == "text" else "voice",
        state=state,
        stage=stage.title if stage else "",
        practising=stage is not None and stage.kind == "practice",
        practice=_has_practice(mine.plan),
        question=question,
        questions=questions,
        minutes_left=round(held.time_left(parts.clock()) / 60),
        said=transcript_of(mine.events),
        wrong=known.get(f"wrong.{wrong}", known["wrong.failed"]) if wrong else "",
        draft=draft,
        words=known,
    )


def _ended(request: Request, mine: Visit, parts: Parts) -> Response:
    said: tuple[Utterance, ...] = transcript_of(mine.events)
    return render(
        request,
        "candidate/ended.html",
        mine.plan.language,
        token=mine.token,
        info=call_info(mine.record, mine.plan, mine.events, parts),
        reason=mine.record.end_reason,
        said=said,
        corrections=corrections(mine.events),
        saved=request.query_params.get("saved") == "1",
        max_correction=MAX_CORRECTION,
        kept_for=_kept_for(mine.plan),
    )


def _has_practice(plan: Plan) -> bool:
    return any(stage.kind == "practice" and stage.questions for stage in plan.stages)


def _kept_for(plan: Plan) -> str:
    days = plan.policy.retention_days
    key = "common.one_day" if days == 1 else "common.many_days"
    return web.say(plan.language, key, n=days)
