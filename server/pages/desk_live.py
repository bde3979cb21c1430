"""An interview that goes on, for the desk's page: its captions and state as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from starlette.types import Send

from server.api.parts import Parts, WithParts
from server.pages.desk import signed_in, token_of
from server.pages.desk_interview import talk

router = APIRouter(prefix="/desk", include_in_schema=False, dependencies=[Depends(signed_in)])
STILL_HERE_S = 15.0
"""So often a line is sent when nothing happens: proxies close what is silent, and a listener who
is gone, or signed out, is noticed."""
SHOWN = ("state", "caption")


class Stream(StreamingResponse):
    """Closes what it streams when the browser is gone, and does not leave that to chance."""

    async def stream_response(self, send: Send) -> None:
        assert isinstance(self.body_iterator, AsyncIterator)
        async with aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


@router.get("/interviews/{interview_id}/live")
async def live(request: Request, interview_id: str, parts: WithParts) -> Stream:
    """First the transcript so far, then what is said; it ends with the interview."""
    await parts.store.interview(interview_id)
    told = _told(parts, interview_id, token_of(request))
    # nginx would hold it back until there is enough of it.
    return Stream(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _told(parts: Parts, interview_id: str, token: str) -> AsyncIterator[str]:
    messages = parts.host.subscribe(interview_id)
    coming = asyncio.ensure_future(anext(messages))
    try:
        await asyncio.sleep(
            0
        )  # subscribed before the transcript is read: nothing is missed between
        record = await parts.store.interview(interview_id)
        events = [one.event for one in await parts.store.events(interview_id)]
        said = [one.model_dump(include={"id", "speaker", "text", "t0"}) for one in talk(events)]
        yield _event("transcript", {"status": record.status, "utterances": said})
        if record.status == "ended":
            return
        while True:
            done, _ = await asyncio.wait({coming}, timeout=STILL_HERE_S)
            if not done:
                if await parts.logins.find(token, touch=False) is None:
                    return
                yield ": still here\n\n"
                continue
            message = coming.result()
            if message["type"] in SHOWN:
                yield _event(message["type"], message)
            if message.get("state") == "ended":
                return
            coming = asyncio.ensure_future(anext(messages))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
