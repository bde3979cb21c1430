"""How long a form waits for the reply to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

from server.api.ports import Host
from server.bus import Bus
from server.pages.written import WrittenLegs

LINE = {"type": "caption", "speaker": "interviewer", "text": "Why?", "final": True}
WAITS = {"type": "state", "state": "listening"}
WRITTEN = {"type": "committed", "event": "line_spoken", "seq": 1}


class TellingHost:
    """Tells what a test has it tell; its interview is live."""

    def __init__(self) -> None:
        self._bus = Bus()

    def tell(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self._bus.publish("i", message)

    async def typed(self, interview_id: str, text: str) -> None: ...

    def subscribe(self, interview_id: str) -> AsyncIterator[dict[str, Any]]:
        return self._bus.subscribe(interview_id)


async def answered(host: TellingHost, *messages: dict[str, Any]) -> asyncio.Task[None]:
    """A form that was sent, after these messages."""
    form = asyncio.create_task(WrittenLegs(cast(Host, host)).typed("i", "Because."))
    await asyncio.sleep(0.01)
    host.tell(*messages)
    await asyncio.sleep(0.01)
    return form


async def test_a_form_waits_until_the_page_can_show_what_was_said() -> None:
    host = TellingHost()
    form = await answered(host, LINE, LINE, WAITS, WRITTEN)
    assert not form.done(), "one of the two lines is not written yet"
    host.tell(WRITTEN)
    await asyncio.wait_for(form, 1)


async def test_a_form_waits_until_the_interviewer_waits() -> None:
    host = TellingHost()
    form = await answered(host, WAITS, {"type": "state", "state": "thinking"}, LINE, WRITTEN)
    assert not form.done()
    host.tell(WAITS)
    await asyncio.wait_for(form, 1)


async def test_nothing_is_waited_for_after_the_end() -> None:
    form = await answered(TellingHost(), {"type": "state", "state": "ended"})
    await asyncio.wait_for(form, 1)
