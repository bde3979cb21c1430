"""Whose link was opened: what every page of a candidate's begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse

import prompts
from agent.events import Event
from agent.interview import Interview
from agent.plan import Plan
from server import logs
from server.api.parts import WithParts, address_of
from server.consents import last_consent
from server.store import InterviewRecord


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
