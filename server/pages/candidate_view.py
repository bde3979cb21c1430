"""What stands on the candidate's three pages: before the call, in it, and after it."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import Response

import web
from agent.additions import corrections
from agent.plan import Plan
from agent.transcript import transcript_of
from server.api.candidate import call_info
from server.api.parts import Parts
from server.consents import last_consent, wants_extra_time
from server.pages.rendering import render
from server.pages.visit import Visit

MAX_CORRECTION = 4000


def welcome(
    request: Request,
    mine: Visit,
    parts: Parts,
    *,
    status: int = 200,
    given: dict[str, Any] | None = None,
) -> Response:
    """Who and what this is, and what is asked to be agreed to; `given` is what a form lacked
    agreement with."""
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


def room(
    request: Request,
    mine: Visit,
    parts: Parts,
    *,
    status: int = 200,
    mode: str = "",
    wrong: str = "",
    draft: str = "",
) -> Response:
    """The check and the call; `wrong` is the code of what kept the `draft` from being taken."""
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


def ended(
    request: Request, mine: Visit, parts: Parts, *, status: int = 200, unsent: str = ""
) -> Response:
    """What happens next, and the transcript with its corrections; `unsent` came too late."""
    return render(
        request,
        "candidate/ended.html",
        mine.plan.language,
        status=status,
        unsent=unsent,
        token=mine.token,
        info=call_info(mine.record, mine.plan, mine.events, parts),
        reason=mine.record.end_reason,
        said=transcript_of(mine.events),
        corrections=corrections(mine.events),
        saved=request.query_params.get("saved") == "1",
        max_correction=MAX_CORRECTION,
        kept_for=_kept_for(mine.plan),
    )


def _has_practice(plan: Plan) -> bool:
    return any(plan.practice_questions())


def _kept_for(plan: Plan) -> str:
    days = plan.policy.retention_days
    key = "common.one_day" if days == 1 else "common.many_days"
    return web.say(plan.language, key, n=days)
