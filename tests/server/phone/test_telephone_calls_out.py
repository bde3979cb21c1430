"""Calls to candidates through the real gateway and PBX: who takes them, who does not, and what is
written of each.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import time as day_time

import pytest
import pytest_asyncio
from standing_office import Standing, caller, standing
from telephone_calls import agrees, hears, loud_s
from voices import voice

from agent.events import CallJoined, ConsentRecorded, Disclosed, Event, Incident, LineSpoken
from server.phone import dialler, reception
from server.phone import line as lines
from server.phone.outbound import RETRY_S, Policy
from server.phone.softphone import answering
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.phone import Answering
from server.rehearsal.phone.ground import until, why_not
from server.store import CallOut, CallOutcome
from tests.session.short_plans import short_plan

pytestmark = [pytest.mark.phone, pytest.mark.asyncio(loop_scope="module")]

PLAN = short_plan({"think_time_s": 3})
ANNA = "+4930555001"
WAITS = ("waiting", "calling")
ALWAYS = Policy(prefixes=("+49",), opens=day_time.min, closes=day_time.max)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standing]:
    if reason := why_not("janus", "kamailio"):
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialler, "LOOK_S", 0.1)
        async with standing(tmp_path_factory.mktemp("out"), ALWAYS) as made:
            yield made


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "ANSWER_S", 0.8)


@dataclass
class Called:
    """A call that was asked for, and the interview's record."""

    it: Standing
    interview_id: str
    call: CallOut

    async def outcome(self) -> CallOutcome:
        """How it ended, once it has."""
        async with asyncio.timeout(60):
            while (found := await self._found()).outcome in WAITS:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found.outcome

    async def _found(self) -> CallOut:
        return next(one for one in await self.calls() if one.call_id == self.call.call_id)

    async def logged(self, kind: type[Event]) -> None:
        async with asyncio.timeout(30):
            while not any(isinstance(one, kind) for one in await self.log()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def again_after_s(self) -> float:
        """How long after its end it is tried again."""
        async with asyncio.timeout(30):
            while len(calls := await self.calls()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        made, again = sorted(calls, key=lambda one: one.attempt)
        assert made.began_at is not None and made.seconds is not None
        assert again.attempt == 2 and again.outcome == "waiting"
        return again.not_before - made.began_at - made.seconds

    async def calls(self) -> list[CallOut]:
        return await self.it.office.at.store.calls(self.interview_id)

    async def log(self) -> list[Event]:
        return [one.event for one in await self.it.office.at.store.events(self.interview_id)]

    async def cancel(self) -> None:
        """Nobody is called again by this test."""
        await self.it.office.at.store.cancel_calls(self.interview_id)


async def ask_for(it: Standing, number: str = ANNA) -> Called:
    ada = await it.office.at.store.create_interview(PLAN, candidate_name="Ada", rehearsal=True)
    made = CallOut(uuid.uuid4().hex, ada.interview_id, number, "UTC", time.time(), 1)
    await it.office.at.store.add_call(made)
    return Called(it, ada.interview_id, made)


async def test_whoever_takes_it_and_agrees_has_the_interview(
    it: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "ANSWER_S", 7.0)  # each question is heard out here
    async with caller("anna", register=True) as anna:
        called = await ask_for(it)
        call = await anna.incoming()
        await call.answer()
        await hears(call, 0.0, 1.0)
        begun = [one for one in await called.log() if isinstance(one, Disclosed | LineSpoken)]
        assert not begun, "nothing of an interview is said before somebody agreed"
        await call.press("1")  # it is me
        await agrees(call, "1", "1")
        await called.logged(CallJoined)
        await call.hang_up()
        assert await called.outcome() == "answered"
    [consent] = [one for one in await called.log() if isinstance(one, ConsentRecorded)]
    assert (consent.interview, consent.recording, consent.method) == (True, True, "key")


async def test_a_voicemail_hears_neutral_words_and_it_is_tried_again(it: Standing) -> None:
    heard: list[float] = []

    async def takes(call: PhoneCall) -> None:
        await answering.voicemail(0.0, voice(5, 0.5), 60.0)(call)
        heard.append(loud_s(call))

    async with caller("anna", register=True, answering=takes):
        called = await ask_for(it)
        assert await called.outcome() == "voicemail"
        await called.logged(Incident)
        await until(lambda: heard)
    assert heard[0] > 2.0, "the two sentences and the goodbye"
    [incident] = [one for one in await called.log() if isinstance(one, Incident)]
    assert incident.kind == "phone_voicemail"
    assert await called.again_after_s() == pytest.approx(RETRY_S["voicemail"], abs=2)
    await called.cancel()


@pytest.mark.parametrize(
    ("does", "outcome"),
    [
        (answering.declining(486, "Busy Here"), "busy"),
        (answering.declining(603, "Decline"), "declined"),
        (answering.declining(500, "Broken"), "failed"),
        (answering.never, "no_answer"),
    ],
    ids=["busy", "declined", "broken", "no answer"],
)
async def test_a_call_that_nobody_takes_is_written_and_tried_again_by_its_kind(
    it: Standing, does: Answering, outcome: CallOutcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    if outcome == "no_answer":  # whoever does answer has all the time that it takes
        monkeypatch.setattr(lines, "RING_S", 2.0)
    async with caller("anna", register=True, answering=does):
        called = await ask_for(it)
        assert await called.outcome() == outcome
        await called.logged(Incident)
    [incident] = [one for one in await called.log() if isinstance(one, Incident)]
    assert incident.kind == f"phone_{outcome}"
    if outcome in RETRY_S:
        assert await called.again_after_s() == pytest.approx(RETRY_S[outcome], abs=2)
    await called.cancel()


async def test_whoever_hangs_up_in_the_greeting_has_declined(it: Standing) -> None:
    """The first sentence says that they may."""
    async with caller("anna", register=True) as anna:
        called = await ask_for(it)
        call = await anna.incoming()
        await call.answer()
        await hears(call, 0.0, 0.5)
        await call.hang_up()
        assert await called.outcome() == "declined"
    assert [one.outcome for one in await called.calls()] == ["declined"]


async def test_a_call_that_rings_is_hung_up_when_it_is_cancelled(it: Standing) -> None:
    async with caller("anna", register=True) as anna:
        called = await ask_for(it)
        call = await anna.incoming()
        await called.cancel()
        await call.ended()
        assert await called.outcome() == "cancelled"
    assert [one.outcome for one in await called.calls()] == ["cancelled"]


async def test_a_telephone_that_is_off_has_not_answered(it: Standing) -> None:
    called = await ask_for(it)
    assert await called.outcome() == "no_answer"  # 480 of the registrar's
    await called.cancel()
