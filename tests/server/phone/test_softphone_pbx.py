"""Telephones of ours at a real registrar: kamailio asks for passwords and stands in the way of all
that is said.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from extensions import EXTENSIONS
from voices import arrived, voice

from server.phone.softphone import answering
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.endpoint import Timers
from server.phone.softphone.errors import NoReply, NotRegistered, Refused
from server.phone.softphone.impairment import Impairment
from server.phone.softphone.message import Response
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.rehearsal.phone.ground import CALLERS, Ground, until
from server.rehearsal.phone.registrar import Registrar

pytestmark = pytest.mark.phone

KEYS = "123456789*0#" * 4


def telephone(pbx: Registrar, user: str, word: str = "", **more: object) -> Phone:
    word = word or EXTENSIONS[user]
    return Phone(CALLERS, pbx.address, user, word, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def called(
    pbx: Registrar, options: Options | None = None
) -> AsyncIterator[tuple[PhoneCall, PhoneCall]]:
    """Anna's and Ben's ends of a call that is up."""
    async with telephone(pbx, "anna") as anna, telephone(pbx, "ben", seed=2) as ben:
        dialling = asyncio.create_task(anna.call("ben", options))
        ringing = await ben.incoming()
        await ringing.answer()
        yield await dialling, ringing


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
async def test_digits_during_speech_of_both_arrive_once_each_whatever_is_lost(
    pbx: Registrar, loss: float
) -> None:
    line = Impairment(loss=loss, jitter_s=0.01 if loss else 0.0)
    async with called(pbx, Options(sending=line, hearing=line)) as (anna, ben):
        said, answered = voice(1, 6.0), voice(2, 6.0)
        anna.play(said)
        ben.play(answered)
        await asyncio.gather(
            anna.press(KEYS, gap_s=0.08, down_s=0.06), ben.press(KEYS, gap_s=0.08, down_s=0.06)
        )
        await asyncio.gather(anna.say_done(), ben.say_done())
        await until(lambda: (anna.digits, ben.digits) == (KEYS, KEYS), what=lambda: ben.digits)
        if loss == 0:
            await until(lambda: arrived(said, ben) == arrived(answered, anna) == 1.0)
        else:
            # Anna's line loses in both directions: what came is in order, and most of it came.
            most = 1 - 3 * loss - 0.02
            await until(lambda: arrived(said, ben) > most and arrived(answered, anna) > most)
            assert most < arrived(said, ben) < 1
            assert most < arrived(answered, anna) < 1


async def test_digits_by_info_pass_the_registrar(pbx: Registrar) -> None:
    async with called(pbx) as (anna, ben):
        await anna.press(KEYS, gap_s=0.0, method="info")
        assert ben.digits == KEYS


async def test_hold_and_back_and_bye_by_the_callee(pbx: Registrar) -> None:
    async with called(pbx) as (anna, ben):
        await anna.hold(voice(5, 0.4))
        assert ben.held
        await anna.resume()
        await ben.hold()
        assert anna.held
        await ben.resume()
        assert not anna.held
        sentence = voice(6, 0.5)
        anna.play(sentence)
        await until(lambda: arrived(sentence, ben) == 1.0)
        await ben.hang_up()
        await until(lambda: anna.state == "ended")
        assert anna.ended_by == "them"


async def test_a_caller_who_gives_up_lets_the_other_telephone_fall_silent(pbx: Registrar) -> None:
    ringing = asyncio.Event()

    def heard(response: Response) -> None:
        if response.code == 180:
            ringing.set()

    async with telephone(pbx, "anna") as anna, telephone(pbx, "ben") as ben:
        dialling = asyncio.create_task(anna.call("ben", heard=heard))
        theirs = await ben.incoming()
        await ringing.wait()
        dialling.cancel()
        await until(lambda: theirs.state == "ended")
        assert (theirs.code, theirs.ended_by) == (487, "them")


async def test_what_stands_against_a_call_is_told_by_its_code(pbx: Registrar) -> None:
    busy = answering.declining(486, "Busy Here")
    async with (
        telephone(pbx, "anna", answering=answering.never) as anna,
        telephone(pbx, "ben", answering=busy) as ben,
    ):
        codes = {}
        for to in ("ben", "cara", "nobody"):
            with pytest.raises(Refused) as refused:
                await anna.call(to)
            codes[to] = refused.value.code
        assert codes == {"ben": 486, "cara": 480, "nobody": 404}
        with pytest.raises(NoReply):
            await ben.call("+4930555001", ring_s=0.3)  # Anna's number, and she lets it ring


async def test_a_wrong_password_or_an_account_that_is_none_is_refused_at_once(
    pbx: Registrar,
) -> None:
    for user, word in (("anna", "wrong"), ("nobody", "any")):
        with pytest.raises(NotRegistered) as refused:
            async with telephone(pbx, user, word):
                raise AssertionError("it was registered")
        assert refused.value.code == 401
    async with telephone(pbx, "anna", "wrong", register=False) as anna:
        with pytest.raises(Refused) as refused_call:
            await anna.call("ben")
    assert refused_call.value.code == 407


async def test_a_hash_is_as_good_as_the_password_it_was_made_of(pbx: Registrar) -> None:
    realm = pbx.address.partition(":")[0]
    hashed = hashlib.md5(f"anna:{realm}:{EXTENSIONS['anna']}".encode()).hexdigest()
    async with telephone(pbx, "anna", f"ha1:{hashed}") as anna:
        assert anna.registered
        with pytest.raises(Refused) as nobody:  # and the call was let through by it
            await anna.call("nobody")
    assert nobody.value.code == 404


async def test_a_silent_registrar_is_no_reply_and_one_that_forgot_is_told_again(
    pbx: Registrar,
) -> None:
    assert pbx.running is not None
    pbx.running.freeze()
    with pytest.raises(NoReply):
        async with telephone(pbx, "anna", timers=Timers(t1=0.02)):
            raise AssertionError("it was registered")
    pbx.running.thaw()
    async with telephone(pbx, "anna") as anna, telephone(pbx, "ben", expires_s=2) as ben:
        await pbx.restart()
        call = None
        while call is None:
            dialling = asyncio.create_task(anna.call("ben"))
            arriving = asyncio.create_task(ben.incoming())
            await asyncio.wait({dialling, arriving}, return_when=asyncio.FIRST_COMPLETED)
            if arriving.done():
                await arriving.result().answer()
                call = await dialling
            else:
                assert isinstance(dialling.exception(), Refused)  # 480: not known yet
                arriving.cancel()
        assert ben.registered and call.state == "up"


async def test_who_vanishes_is_still_called_for_and_another_telephone_takes_its_place(
    pbx: Registrar,
) -> None:
    async with telephone(pbx, "anna", timers=Timers(t1=0.05)) as anna:
        async with telephone(pbx, "ben") as gone:
            dialling = asyncio.create_task(anna.call("ben"))
            await (await gone.incoming()).answer()
            call = await dialling
            await until(lambda: bool(call.heard_frames))
            gone.vanish()
        assert call.state == "up"  # nobody said goodbye
        async with telephone(pbx, "ben", answering=answering.after(0)):
            again = await anna.call("ben")
            await until(lambda: bool(again.heard_frames))


async def test_calls_work_where_the_registrar_steps_aside_after_the_first_request(
    ground: Ground, pbx: Registrar
) -> None:
    pbx.stop()
    aside = Registrar(ground, EXTENSIONS, record_route=False)
    await aside.start()
    async with called(aside) as (anna, ben):
        await anna.hold()
        assert ben.held
        await ben.hang_up()
        await until(lambda: anna.state == "ended")
