"""Two telephones that call each other over loopback, with no registrar between."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from voices import arrived, came_round, voice

from server.phone.softphone import answering
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.endpoint import Timers
from server.phone.softphone.errors import CallEnded, NoCommonCodec, NoReply, Refused
from server.phone.softphone.impairment import Impairment
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Answering, Phone
from server.rehearsal.phone.ground import until

pytestmark = pytest.mark.media

HERE = "127.0.0.1"
SENTENCE = voice(1, 0.6)


def bens(options: Options | None = None, does: Answering | None = None) -> Phone:
    return Phone(HERE, HERE, "ben", "", register=False, options=options, answering=does)


def annas(ben: Phone, options: Options | None = None) -> Phone:
    """Ben's telephone is where her requests go."""
    to = f"{HERE}:{ben.address[1]}"
    timers = Timers(t1=0.05)
    return Phone(HERE, to, "anna", "", register=False, options=options, timers=timers)


@asynccontextmanager
async def called(
    ours: Options | None = None, theirs: Options | None = None
) -> AsyncIterator[tuple[PhoneCall, PhoneCall]]:
    """Anna's and Ben's ends of a call that is up."""
    async with bens(theirs) as ben, annas(ben, ours) as anna:
        dialling = asyncio.create_task(anna.call("ben"))
        ringing = await ben.incoming()
        await ringing.answer()
        yield await dialling, ringing


async def arrives(said: np.ndarray, to: PhoneCall) -> None:
    await until(lambda: arrived(said, to) == 1.0, what=lambda: f"{arrived(said, to):.2f} of it")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Options(), Options()),
        (Options(codecs=("PCMA/8000",)), Options()),
        (Options(static_lines=False), Options(codecs=("PCMA/8000", "PCMU/8000"))),
        (Options(offerless=True), Options()),
        (Options(srtp=True), Options(srtp=True)),
        (Options(srtp=True), Options()),
        (Options(sending=Impairment(delay_s=0.1, jitter_s=0.05, reorder=0.2)), Options()),
    ],
    ids=["plain", "A-law", "static", "offerless", "SRTP", "SRTP if asked", "a bad line"],
)
async def test_both_hear_each_other_and_each_others_digits(ours: Options, theirs: Options) -> None:
    async with called(ours, theirs) as (anna, ben):
        other = voice(2, 0.6)
        anna.play(SENTENCE)
        ben.play(other)
        await asyncio.gather(anna.press("12#"), ben.press("*0"))
        await asyncio.gather(anna.say_done(), ben.say_done())
        await until(lambda: (anna.digits, ben.digits) == ("*0", "12#"))
        await arrives(SENTENCE, ben)
        await arrives(other, anna)
        assert arrived(other, ben) == arrived(SENTENCE, anna) == 0.0


async def test_digits_by_info_come_in_both_forms() -> None:
    async with called() as (anna, ben):
        await anna.press("1*", gap_s=0.0, method="info")
        await anna.press("0#", gap_s=0.0, method="info-plain")
        assert ben.digits == "1*0#"
        with pytest.raises(ValueError, match="no keys: X"):
            await anna.press("1x")


async def test_no_digits_in_rtp_where_the_other_side_takes_none() -> None:
    async with called(theirs=Options(event_type=None)) as (anna, _):
        with pytest.raises(NoCommonCodec):
            await anna.press("1")


async def test_a_hold_is_silence_or_music_and_speech_goes_on_behind_it() -> None:
    async with called() as (anna, ben):
        await anna.hold()
        assert ben.held
        anna.play(SENTENCE)
        held_at = len(anna.sent_frames)
        music = voice(7, 0.5)
        await anna.hold(music)
        assert ben.held
        await until(lambda: came_round(music, ben))
        assert arrived(SENTENCE, ben) == 0.0
        await anna.resume()
        assert not ben.held
        await arrives(SENTENCE, ben)
        assert len(anna.sent_frames) > held_at


async def test_codec_and_port_change_in_mid_call() -> None:
    async with called() as (anna, ben):
        await anna.say(SENTENCE)
        await arrives(SENTENCE, ben)
        await anna.change(("PCMA/8000",), new_port=True)
        other = voice(8, 0.5)
        anna.play(other)
        ben.play(voice(9, 0.5))
        await arrives(other, ben)
        await arrives(voice(9, 0.5), anna)
        assert {one.packet.payload_type for one in ben.heard_frames} == {0, 8}


async def test_silence_suppression_sends_nothing_where_nothing_is_said() -> None:
    async with called() as (anna, ben):
        anna.mute()
        await anna.say(SENTENCE)
        await arrives(SENTENCE, ben)
        before = len(anna.sent_frames)
        heard = len(ben.sent_frames)
        await until(lambda: len(ben.sent_frames) > heard + 10)
        assert len(anna.sent_frames) == before


async def test_either_side_hangs_up_and_what_comes_later_is_refused() -> None:
    async with called() as (anna, ben):
        await ben.hang_up()
        await until(lambda: anna.state == "ended")
        assert (anna.ended_by, ben.ended_by) == ("them", "us")
        for late in (anna.press("1"), anna.hold(), ben.answer()):
            with pytest.raises(CallEnded):
                await late
        await anna.hang_up()  # nothing


@pytest.mark.parametrize(
    ("does", "code"),
    [
        (answering.declining(486, "Busy Here"), 486),
        (answering.declining(603, "Decline"), 603),
    ],
)
async def test_a_declined_call_says_so(does: Answering, code: int) -> None:
    async with bens(does=does) as ben, annas(ben) as anna:
        with pytest.raises(Refused) as refused:
            await anna.call("ben")
        assert refused.value.code == code
        assert not anna.calls and not ben.calls


async def test_no_common_codec_is_488_and_an_answer_without_one_ends_the_call() -> None:
    strange = Options(codecs=("G729/8000",))
    async with bens(does=answering.after(0)) as ben, annas(ben, strange) as anna:
        with pytest.raises(Refused) as refused:
            await anna.call("ben")
        assert refused.value.code == 488
        with pytest.raises(NoCommonCodec):
            await anna.call("ben", Options(codecs=("G729/8000",), offerless=True))
        await until(lambda: not ben.calls)


async def test_a_caller_gives_up_by_cancel_of_the_task_or_after_a_time() -> None:
    async with bens() as ben, annas(ben) as anna:
        dialling = asyncio.create_task(anna.call("ben"))
        ringing = await ben.incoming()
        dialling.cancel()
        await until(lambda: ringing.state == "ended")
        assert (ringing.code, ringing.ended_by) == (487, "them")
        with pytest.raises(NoReply):
            await anna.call("ben", ring_s=0.1)
        second = await ben.incoming()
        await until(lambda: second.state == "ended")
        await until(lambda: not anna.calls)


async def test_who_vanishes_says_nothing_any_more() -> None:
    async with called() as (anna, ben):
        await until(lambda: bool(anna.heard_frames))
        ben.vanish()
        sent = len(ben.sent_frames)
        await anna.hang_up()  # nobody answers its BYE, and after 64 T1 it is content with that
        assert (anna.ended_by, ben.ended_by) == ("us", "us")
        assert len(ben.sent_frames) <= sent + 1  # its thread may have been at it


async def test_a_voicemail_greets_records_and_hangs_up() -> None:
    greeting = voice(5, 0.5)
    does = answering.voicemail(0.05, greeting, 0.3)
    async with bens(does=does) as ben, annas(ben) as anna:
        call = await anna.call("ben")
        await until(lambda: call.state == "ended")
        assert call.ended_by == "them"
        assert arrived(greeting, call) == 1.0


async def test_garbage_at_both_ports_harms_no_call() -> None:
    async with called() as (anna, ben):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for port in (ben.talk.media.port, anna.talk.media.port):
                for noise in (b"", b"\x80", b"\x80\x7f" + bytes(200), b"INVITE", b"\xff" * 1400):
                    stranger.sendto(noise, (HERE, port))
        await until(lambda: ben.talk.media.garbage >= 5)
        anna.play(SENTENCE)
        await arrives(SENTENCE, ben)


async def test_frames_carry_the_times_at_which_they_left_and_came() -> None:
    async with called() as (anna, ben):
        await anna.say(SENTENCE)
        await arrives(SENTENCE, ben)
        heard = ben.heard_frames  # before what was sent: both go on in threads of their own
        left = {one.packet.sequence: one.at for one in anna.sent_frames}
        delays = [one.at - left[one.packet.sequence] for one in heard]
        assert delays and min(delays) > -0.001  # the clocks are read one after the other
