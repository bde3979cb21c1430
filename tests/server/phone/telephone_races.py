"""A telephone and a browser that join one interview at the same moment, and what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiortc.exceptions import InvalidStateError
from live_calls import Caller
from telephone_calls import VALID_S, Office, hears

from agent.events import CallJoined, CallLeft, LineSpoken, QuestionAsked
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.phone import Phone
from server.rehearsal.phone.ground import until
from server.store import StoredEvent
from tests.session.short_plans import short_plan

PLAN = short_plan({"think_time_s": 60}, total_time_s=3600)
OFFSETS_S = (-0.3, 0.5)
"""By how much the browser may come later than the last digit of the PIN, which takes a moment."""


@dataclass(frozen=True)
class Race:
    offset_s: float
    last: str
    """The channel that joined last, and so has the interview."""
    apart_s: float
    """Between the two joins."""


class Rivals:
    """One candidate with an open page and a telephone; agreed to everything before."""

    def __init__(self, it: Office, phone: Phone, chance: random.Random) -> None:
        self._it, self._phone, self._chance = it, phone, chance

    async def races(self, count: int) -> list[Race]:
        """So many for one interview; raises `AssertionError` where it is not one interviewer's."""
        interview_id = await self._it.at.invite(PLAN)
        pin = await self._it.pins.issue(interview_id, VALID_S)
        async with Caller(self._it.at, PLAN, interview_id) as ada:
            held = [await self._race(ada, pin) for _ in range(count)]
            await self._looked_back(ada, count)
        return held

    async def _race(self, ada: Caller, pin: str) -> Race:
        before, read = len(await ada.all(CallJoined)), len(ada.read)
        call = await self._phone.call("viva")
        await hears(call, 0.0)
        await call.press(pin[:-1])
        since, offset_s = asyncio.get_running_loop().time(), self._chance.uniform(*OFFSETS_S)
        await asyncio.gather(
            _after(max(0.0, -offset_s), call.press(pin[-1])),
            _after(max(0.0, offset_s), _joins(ada)),
        )
        await ada.event(CallJoined, before + 2)
        await ada.event(CallLeft, before + 1)
        first, last = (await ada.all(CallJoined))[before:]
        assert {first.channel, last.channel} == {"phone", "web"}, await ada.story()
        assert last.epoch > first.epoch
        await ada.told(read, type="notice", code="replaced", epoch=first.epoch)
        await (_hung_up if first.channel == "phone" else _alone)(call, ada, since)
        await _leaves(ada, call, last, before + 2)
        return Race(offset_s, last.channel, last.at - first.at)

    async def _looked_back(self, ada: Caller, count: int) -> None:
        """What the log of all of them says."""
        story = await ada.story()
        left = [one.reason for one in await ada.all(CallLeft)]
        assert left.count("replaced") == count and len(left) == 2 * count, story
        assert len(await ada.all(QuestionAsked, question_id="first")) <= 1, story
        greetings = [one for one in await ada.all(LineSpoken, kind="greeting") if one.text]
        assert len(greetings) <= 1, story
        await until(lambda: self._it.at.host.live == 0)
        assert one_writer_at_a_time(await self._it.at.store.events(ada.interview_id)), story


def one_writer_at_a_time(log: Sequence[StoredEvent]) -> bool:
    """Each leg's epoch begins with its joining, and none writes after the next has begun."""
    epochs = [stored.epoch for stored in log]
    joined = [one.event.epoch for one in log if isinstance(one.event, CallJoined)]
    return epochs == sorted(epochs) and joined == sorted(set(joined))


async def _hung_up(call: PhoneCall, ada: Caller, since: float) -> None:
    """The telephone is told where the interview goes on, and is over."""
    await hears(call, since, 0.3)
    await asyncio.wait_for(call.ended(), 30)
    assert call.ended_by == "them"


async def _alone(call: PhoneCall, ada: Caller, since: float) -> None:
    """The telephone hears the interviewer, and the browser nobody any more."""
    assert ada.client is not None
    await hears(call, since, 0.5)
    alone = asyncio.get_running_loop().time()
    await asyncio.sleep(0.5)  # so long a second voice would be heard
    # What a loop that was held up hands over late is no voice.
    later = sum(end - max(begin, alone) for begin, end in ada.client.loud() if end > alone)
    assert later < 0.25, "two interviewers speak"
    assert call.state == "up"


async def _after(seconds: float, what: object) -> None:
    await asyncio.sleep(seconds)
    await what  # type: ignore[misc]  # a coroutine


async def _joins(ada: Caller) -> None:
    """A page that the telephone overtakes is never connected."""
    with suppress(TimeoutError, InvalidStateError, ConnectionError):
        await ada.join()


async def _leaves(ada: Caller, call: PhoneCall, last: CallJoined, lefts: int) -> None:
    if last.channel == "phone":
        await call.hang_up()
    else:
        await ada.drop()
    await ada.event(CallLeft, lefts)
