"""Whole interviews by telephone: kamailio, Janus, the host and our telephone, all of them real."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from telephone_calls import agrees, narrow, office, phone, silent

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
from server.rehearsal.phone.registrar import Registrar
from tests.asr.speech import errors
from tests.session.short_plans import short_plan

pytestmark = [pytest.mark.phone, pytest.mark.usefixtures("telephone_programs")]

PLAN = short_plan({"think_time_s": 3})
PYTHON = "I used Python and testing every day."
BANK = "In my last job I built a payment system for a bank."


async def test_an_interview_by_telephone_from_the_pin_to_the_end(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    async with office(tmp_path, rendered, model_url, engine) as it:
        ada, pin = await it.invite(PLAN)
        async with ada, phone() as anna:
            call = await anna.call("viva")
            await silent(call)
            await call.press(f"{pin}#")
            await agrees(call, "12")
            await ada.asked("first")
            await call.say(narrow(PYTHON))
            await ada.asked("second")
            await call.say(narrow(BANK))
            await call.press("#")
            ended: InterviewEnded = await ada.event(InterviewEnded)
            await asyncio.wait_for(call.ended(), 30)
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


async def test_a_caller_who_dropped_calls_again_and_goes_on_at_the_same_question(
    pbx: Registrar, tmp_path: Path, rendered: Path, model_url: str, engine: Engine
) -> None:
    async with office(tmp_path, rendered, model_url, engine) as it:
        ada, pin = await it.invite(PLAN)
        async with ada, phone() as anna:
            call = await anna.call("viva")
            await silent(call)
            await call.press(pin)
            await agrees(call)
            await ada.asked("first")
            await call.hang_up()
            await ada.event(CallLeft, reason="hung_up")
            again = await anna.call("viva")
            await silent(again)
            await again.press(pin)
            await ada.event(LineSpoken, kind="welcome_back")
            await ada.event(LineSpoken, kind="repeat")
            await again.say(narrow(PYTHON))
            await ada.asked("second")
            # The rest in a browser: one lease, and the telephone is told.
            await ada.join()
            await ada.event(LineSpoken, 2, kind="welcome_back")
            await asyncio.wait_for(again.ended(), 30)
            await ada.say(BANK)
            await ada.event(InterviewEnded)
        assert [e.question_id for e in await ada.all(QuestionAsked)] == ["first", "second"]
        assert len(await ada.all(LineSpoken, kind="greeting")) == 1
        assert len(await ada.all(ConsentRecorded)) == 1
        assert [one.channel for one in await ada.all(CallJoined)] == ["phone", "phone", "web"]
        assert [one.reason for one in await ada.all(CallLeft)][:2] == ["hung_up", "replaced"]
