"""What callers, their telephones and their lines do wrong, against the real gateway and host: each
reaches an interview, is refused by a code of SIP's, or loses nothing but the call.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from calls_in import SDP, answered
from full_disk import full
from live_calls import BANK, PYTHON
from standing_office import Standing, caller, enters, reaches, standing
from telephone_calls import agrees, hears, narrow, silent
from voices import voice

from agent.events import (
    CallJoined,
    CallLeft,
    ConsentRecorded,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
    RequestMade,
)
from server.phone import line as lines
from server.phone import reception, switchboard
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.errors import Refused
from server.phone.softphone.options import Options
from server.phone.softphone.rtp import Packet
from server.phone.watchdog import LineWatch
from server.rehearsal.phone.ground import STRANGER, until, why_not
from tests.asr.speech import errors
from tests.session.short_plans import short_plan

pytestmark = [pytest.mark.phone, pytest.mark.asyncio(loop_scope="module")]

FLOOD = 60
PLAN = short_plan({"think_time_s": 3})
DTLS = SDP.replace("RTP/AVP 0 101", "UDP/TLS/RTP/SAVP 0 101") + (
    "a=setup:actpass\na=fingerprint:sha-256 " + ":".join(["AB"] * 32) + "\n"
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standing]:
    if reason := why_not("janus", "kamailio", "sipp"):
        pytest.skip(reason)
    async with standing(tmp_path_factory.mktemp("odd")) as made:
        yield made


@pytest.mark.parametrize(
    "options",
    [
        Options(codecs=("PCMA/8000", "G729/8000"), static_lines=False),
        Options(offerless=True),
        Options(srtp=True),
    ],
    ids=["static", "offerless", "SRTP"],
)
async def test_telephones_of_all_kinds_reach_their_interview(
    it: Standing, options: Options
) -> None:
    ada, pin = await it.agreed(PLAN)
    async with ada, caller(options=options) as anna:
        call = await anna.call("viva")
        await reaches(ada, call, pin)
        await ada.event(LineSpoken, kind="greeting")
        await call.hang_up()
        await ada.event(CallLeft, reason="hung_up")
    await it.free()


async def test_the_host_tells_how_the_telephone_does(it: Standing) -> None:
    state = it.office.at.host.phone
    assert state is not None and (state.state, state.calls, state.guarded) == ("up", 0, True)
    assert state.accounts["main"].state == "registered"


async def test_what_no_codec_fits_is_refused_with_488(it: Standing) -> None:
    async with caller(options=Options(codecs=("G729/8000",))) as anna:
        with pytest.raises(Refused) as refusal:
            await anna.call("viva")
        assert refusal.value.code == 488
    await it.free()


@pytest.mark.parametrize("ends", ["caller", "callee"])
async def test_a_telephone_that_wants_dtls_has_a_call_without_sound(
    it: Standing, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """Janus takes the call, refuses its sound, and tells us neither. Such telephones hang up; on
    one that does not we do, since nobody answers what nobody hears."""
    monkeypatch.setattr(reception, "ANSWER_S", 0.3)
    monkeypatch.setattr(reception, "ASKS", 1)
    scenario = answered(body=DTLS, ends=ends)
    encrypted = it.ground.sipp(scenario, it.pbx.address, "-s", "viva")
    assert await encrypted.ended() == 0, encrypted.said
    await it.free()


async def test_a_hold_without_an_end_ends_the_call_and_the_next_one_goes_on(
    it: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "AWAY_S", 1.0)
    ada, pin = await it.agreed(PLAN)
    async with ada, caller() as anna:
        call = await anna.call("viva")
        await reaches(ada, call, pin)
        await ada.event(LineSpoken, kind="greeting")
        await call.hold(voice(3, 1.0))
        await ada.event(CallLeft, reason="dropped")
        await asyncio.wait_for(call.ended(), 20)
        assert call.ended_by == "them"
        again = await anna.call("viva")
        await reaches(ada, again, pin, 2)
        await ada.event(LineSpoken, kind="welcome_back")
        await again.hang_up()
    assert len(await ada.all(LineSpoken, kind="greeting")) == 1
    await it.free()


async def test_an_interview_outlasts_what_lines_gateways_and_disks_do(it: Standing) -> None:
    """One call: rubbish and another source of sound, another codec, a flood of keys, a full disk,
    and a caller who hangs up at the last words."""
    ada, pin = await it.agreed(PLAN)
    async with ada, caller(options=Options(codecs=("PCMU/8000",))) as anna:
        call = await anna.call("viva")
        await reaches(ada, call, pin)
        await ada.asked("first")
        noise_at_both_ends(call)
        await call.say(narrow(PYTHON))
        await call.press("#")
        await ada.asked("second")
        with pytest.raises(TimeoutError):  # the gateway can neither take nor refuse it
            await asyncio.wait_for(call.change(("PCMA/8000",)), 1)
        await call.press("*" * FLOOD, gap_s=0.02, down_s=0.04)
        await silent(call)
        async with full(it.office.at.store, await it.office.at.invite(PLAN)):
            await call.say(narrow(BANK))
            await call.press("#")
            await asyncio.sleep(1.0)  # for as long as the disk is full nothing is written
            assert BANK.split()[-1].strip(".") not in str((await ada.answers()).get("second"))
        await hears(call, asyncio.get_running_loop().time(), 0.3)  # the last words, or a filler
        await call.hang_up()
        await ada.event(CallLeft)
    assert 0 < len(await ada.all(RequestMade)) < FLOOD
    answers = await ada.answers()
    assert errors(PYTHON, " ".join(answers["first"])) <= 2, answers
    assert errors(BANK, " ".join(answers["second"])) <= 2, answers
    await it.free()


def noise_at_both_ends(call: PhoneCall) -> None:
    """RTP of a stranger, rubbish from the telephone itself, and then a stream of another SSRC, as
    a PBX sends it behind an announcement of its own."""
    media = call.talk.media
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind((STRANGER, 0))
        for n in range(300):
            assert media.remote is not None
            loud = Packet(0, n, 160 * n, 0xBAD, bytes(range(160)))
            stranger.sendto(loud.packed(), media.remote)
    for noise in (b"", b"\x80", b"\x80\x7f" + bytes(200), b"INVITE", b"\xff" * 1400):
        media.send(noise)
    media.restart(99)


async def test_a_telephone_that_sends_nothing_is_waited_for_and_may_come_back(
    it: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = functools.partial(LineWatch, steady_s=1.0, pausing_s=3.0)
    monkeypatch.setattr(switchboard, "LineWatch", watch)
    ada, pin = await it.agreed(PLAN)
    async with ada, caller() as anna:
        dialling = asyncio.create_task(anna.call("viva"))
        call = await dialling
        call.mute()
        await enters(call, pin, "info")
        await ada.event(CallJoined, channel="phone")
        await ada.event(CallLeft, reason="dropped")
        call.mute(False)
        await ada.event(CallJoined, 2, channel="phone")
        await call.hang_up()
        await ada.event(CallLeft, reason="hung_up")
    await it.free()


async def test_who_calls_twice_at_once_has_one_interview_on_the_newer_telephone(
    it: Standing,
) -> None:
    ada, pin = await it.agreed(PLAN)
    async with ada, caller() as anna, caller("ben", seed=5) as ben:
        first, second = await asyncio.gather(anna.call("viva"), ben.call("viva"))
        await asyncio.gather(enters(first, pin), enters(second, pin))
        await ada.event(CallJoined, 2, channel="phone")
        await ada.event(CallLeft, reason="replaced")
        await until(lambda: "ended" in (first.state, second.state))
        older, newer = (first, second) if first.state == "ended" else (second, first)
        assert older.ended_by == "them" and newer.state == "up"
        await newer.press("*")
        await ada.event(QuestionAsked, question_id="first")
        await newer.hang_up()
        redialled = await anna.call("viva")  # within a second
        await reaches(ada, redialled, pin, 3)
        await redialled.hang_up()
    greetings = [one for one in await ada.all(LineSpoken, kind="greeting") if one.text]
    assert len(greetings) == 1, "the older leg's was cut off before a word, or it had it all"
    assert [one.question_id for one in await ada.all(QuestionAsked)] == ["first"]
    await it.free()


async def test_a_full_disk_takes_no_consent_and_says_so_kindly(it: Standing) -> None:
    ada, pin = await it.office.invite(PLAN)
    store = it.office.at.store
    async with ada, caller() as anna:
        call = await anna.call("viva")
        await enters(call, pin)
        await agrees(call, "1")
        await hears(call, asyncio.get_running_loop().time(), 0.2)
        await silent(call, 1.2)
        async with full(store, await it.office.at.invite(PLAN)):
            await call.press("2")
            await asyncio.wait_for(call.ended(), 40)
        assert call.ended_by == "them"
        assert not await ada.all(ConsentRecorded)
    await it.free()


async def test_who_hangs_up_at_the_last_words_has_a_report_all_the_same(it: Standing) -> None:
    ada, pin = await it.agreed(PLAN)
    async with ada, caller() as anna:
        call = await anna.call("viva")
        await reaches(ada, call, pin)
        await ada.event(LineSpoken, kind="greeting")
        await call.press("00", gap_s=0.3)  # a person, please: the interview ends with some words
        await ada.event(RequestMade)
        await silent(call, 0.2)
        await hears(call, asyncio.get_running_loop().time(), 0.3)
        await call.hang_up()
        ended: InterviewEnded = await ada.event(InterviewEnded)
        await until(lambda: ada.interview_id in it.office.at.ended)
    assert ended.reason == "declined_ai"
    assert it.office.at.ended.count(ada.interview_id) == 1
    await it.free()
