"""What a telephone does with calls that come: habits to choose from, for `Phone(answering=…)`."""

from __future__ import annotations

import asyncio

from server.phone.softphone.call import PhoneCall
from server.phone.softphone.listening import Pcm
from server.phone.softphone.phone import Answering


def after(seconds: float) -> Answering:
    """Takes the call after so long, says nothing, and leaves the hanging up to the other side."""

    async def answer(call: PhoneCall) -> None:
        await _while_there(call, seconds)
        await call.answer()

    return answer


def declining(code: int, reason: str) -> Answering:
    """At once: 486 is busy, 603 declined."""

    async def decline(call: PhoneCall) -> None:
        await call.decline(code, reason)

    return decline


async def never(call: PhoneCall) -> None:
    """Lets it ring until the caller gives up."""
    await call.ended()


def voicemail(ring_s: float, greeting: Pcm, records_s: float) -> Answering:
    """Takes the call, says its greeting (with its tone), records so long, and hangs up."""

    async def take(call: PhoneCall) -> None:
        await _while_there(call, ring_s)
        await call.answer()
        await call.say(greeting)
        await _while_there(call, records_s)
        await call.hang_up()

    return take


async def _while_there(call: PhoneCall, seconds: float) -> None:
    """So long, or until the caller has gone."""
    try:
        async with asyncio.timeout(seconds):
            await call.ended()
    except TimeoutError:
        return
