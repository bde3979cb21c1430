"""The candidate's pages, each under the link of the invite: consent, the call, and what is left of
it.

The token stands in the path. So every page works without a script and without a cookie, two
interviews can lie in two tabs, and any device that opens the link is the same candidate. Every
answer is `no-store`, and no address of ours is told to anybody else (`Referrer-Policy`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import PlainTextResponse, Response

from agent.additions import corrections
from agent.events import AnswerCorrected
from agent.transcript import to_text, transcript, transcript_of
from server.api import errors
from server.api.errors import ApiError
from server.api.limits import MAX_TYPED
from server.api.models import as_seen
from server.api.parts import Parts, WithParts
from server.api.ports import NotLive
from server.consents import decline_ai, record_consent, record_extra_time
from server.pages import candidate_view
from server.pages.candidate_view import MAX_CORRECTION
from server.pages.forms import same_origin
from server.pages.visit import Mine, Visit
from server.pages.written import WrittenLegs

router = APIRouter(prefix="/call/{token}", include_in_schema=False)
FORM = [Depends(same_origin)]
MOST_CORRECTIONS = 500
"""Of one interview, all revisions of them together: a log has its bounds."""


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
        return candidate_view.ended(request, mine, parts)
    if not mine.agreed or (step == "consent" and not mine.begun):
        return candidate_view.welcome(request, mine, parts)
    return candidate_view.room(request, mine, parts, mode=mode)


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
        return candidate_view.welcome(request, mine, parts, status=422, given=given)
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
    return await _by_form(request, mine, parts, lambda: by_form.join(mine.record.interview_id))


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
        return candidate_view.room(request, mine, parts, status=422, wrong="too_long", draft=text)
    return await _by_form(
        request, mine, parts, lambda: by_form.typed(mine.record.interview_id, text), draft=text
    )


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
    return await _by_form(
        request, mine, parts, lambda: by_form.request(mine.record.interview_id, wanted)
    )


@router.post("/end", dependencies=FORM)
async def end(request: Request, mine: Mine, parts: WithParts, by_form: Legs) -> Response:
    """End for good; the form asked whether it is meant."""
    return await _by_form(request, mine, parts, lambda: by_form.hang_up(mine.record.interview_id))


async def _by_form(
    request: Request,
    mine: Visit,
    parts: Parts,
    act: Callable[[], Awaitable[None]],
    draft: str = "",
) -> Response:
    try:
        if not mine.begun:
            await parts.check_space()
        await act()
    except errors.HANDLED as error:
        refusal = errors.of(error)
        if refusal.code == "ended" and draft:
            return candidate_view.ended(request, mine, parts, status=409, unsent=draft)
        if refusal.code in ("ended", "not_consented"):  # its own page says what is so
            return mine.back()
        return candidate_view.room(
            request, mine, parts, status=refusal.http_status, wrong=refusal.code, draft=draft
        )
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
