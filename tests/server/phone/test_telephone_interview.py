"""Whole interviews by telephone: kamailio, Janus, the host and our telephone, all of them real."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from live_calls import Caller
from telephone_calls import Office, agrees, hears, narrow, office, phone
from telephone_reports import covered, judged, reports, unlike

from agent.events import (
    CallJoined,
    CallLeft,
    ConsentRecorded,
    Disclosed,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
)
from asr.engine import Engine
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.phone import Phone
from server.rehearsal.phone.registrar import Registrar
from tests.asr.speech import errors
from tests.session.short_plans import short_plan

pytestmark = [pytest.mark.phone, pytest.mark.usefixtures("telephone_programs")]

PLAN = judged(short_plan({"think_time_s": 3}))
PYTHON = "I used Python and testing every day."
BANK = "In my last job I built a payment system for a bank."


async def in_a_browser(it: Office) -> str:
    """The same interview with the same answers, by WebRTC; its id."""
    eve = Caller(it.at, PLAN, await it.at.invite(PLAN))
    async with eve:
        await eve.join()
        for question, answer in (("first", PYTHON), ("second", BANK)):
            await eve.asked(question)
            await eve.say(answer)
        await eve.event(InterviewEnded)
    return eve.interview_id


async def test_an_interview_by_telephone_has_the_report_that_a_browsers_has(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    """From the PIN to a BYE while the report is being made."""
    async with (
        office(tmp_path, rendered, model_url, engine) as it,
        reports(it, model_url, engine) as made,
    ):
        ada, pin = await it.invite(PLAN)
        async with ada, phone() as anna:
            call = await anna.call("viva")
            await hears(call, 0.0, 0.3)
            await call.press(f"{pin}#")
            await agrees(call, "1", "2")
            beside = asyncio.create_task(in_a_browser(it))
            await ada.asked("first")
            await call.say(narrow(PYTHON))
            await ada.asked("second")
            eve = await beside
            assert await made.runner.make_one()
            made.gate.open.clear()
            made.gate.begun.clear()
            await call.say(narrow(BANK))
            await call.press("#")
            ended: InterviewEnded = await ada.event(InterviewEnded)
            making = asyncio.create_task(made.runner.make_one())
            await asyncio.wait_for(made.gate.begun.wait(), 30)
            await call.hang_up()
            assert call.state == "ended" and not making.done()
            made.gate.open.set()
            assert await making
        assert ended.reason == "completed"
        [consent] = await ada.all(ConsentRecorded)
        assert (consent.interview, consent.recording) == (True, False)
        assert (consent.method, consent.recording_method) == ("key", "key")
        assert [one.method for one in await ada.all(Disclosed)] == ["spoken"]
        assert [one.channel for one in await ada.all(CallJoined)] == ["phone"]
        assert len(await ada.all(LineSpoken, kind="keys")) == 1
        answers = await ada.answers()
        assert errors(PYTHON, " ".join(answers["first"])) <= 2, answers
        assert errors(BANK, " ".join(answers["second"])) <= 2, answers
        by_phone, by_browser = await made.of(ada.interview_id), await made.of(eve)
        assert (by_phone["channels"], by_browser["channels"]) == (["phone"], ["web"])
        assert by_phone["status"] == by_browser["status"] == "complete"
        assert covered(by_phone) == covered(by_browser)
        assert unlike(by_phone, by_browser) == set()


async def test_a_caller_who_dropped_twice_goes_on_at_the_same_question_and_then_in_a_browser(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    async with (
        office(tmp_path, rendered, model_url, engine) as it,
        reports(it, model_url, engine) as made,
    ):
        ada, pin = await it.invite(PLAN)
        async with ada, phone() as anna:
            call = await anna.call("viva")
            await hears(call, 0.0, 0.3)
            await call.press(pin)
            await agrees(call, "1", "1")
            await ada.asked("first")
            call.vanish()
            await ada.event(CallLeft, reason="dropped")
            again = await comes_back(anna, ada, pin, 1, "first")
            await again.say(narrow(PYTHON))
            await ada.asked("second")
            await again.hang_up()
            await ada.event(CallLeft, reason="hung_up")
            last = await comes_back(anna, ada, pin, 2, "second")
            # The rest in a browser: one lease, and the telephone is told.
            await ada.join()
            await ada.event(LineSpoken, 3, kind="welcome_back")
            await asyncio.wait_for(last.ended(), 30)
            await ada.say(BANK)
            await ada.event(InterviewEnded)
        assert [e.question_id for e in await ada.all(QuestionAsked)] == ["first", "second"]
        assert len(await ada.all(LineSpoken, kind="greeting")) == 1
        assert len(await ada.all(ConsentRecorded)) == len(await ada.all(Disclosed)) == 1
        assert [one.channel for one in await ada.all(CallJoined)] == ["phone"] * 3 + ["web"]
        left = [one.reason for one in await ada.all(CallLeft)]
        assert left[:3] == ["dropped", "hung_up", "replaced"]
        assert await made.runner.make_one()
        report = await made.of(ada.interview_id)
        assert (report["status"], report["channels"]) == ("complete", ["phone", "web"])
        coverage = report["conduct"]["coverage"]
        assert coverage["asked"] == coverage["must_ask_total"] == 2


async def comes_back(anna: Phone, ada: Caller, pin: str, n: int, question: str) -> PhoneCall:
    """For the n-th time, to the question that was open."""
    call = await anna.call("viva")
    await hears(call, 0.0, 0.3)
    await call.press(pin)
    await ada.event(LineSpoken, n, kind="welcome_back")
    repeated: LineSpoken = await ada.event(LineSpoken, n, kind="repeat")
    assert repeated.question_id == question
    return call
