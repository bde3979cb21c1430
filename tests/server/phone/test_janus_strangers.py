"""Callers whose headers are hostile, strangers at the SIP port, and gateways and registrars that
are slow, gone, or somebody else's: the bridge with a real Janus.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
import pytest_asyncio
from bridges import (
    account,
    answer,
    answers_options,
    bridge,
    call_viva,
    comes_in,
    ends,
    ready,
    standing,
)
from calls_in import Desk, answered, refused

from server.phone.accounts import Account
from server.phone.bridge import GatewayLost, Party
from server.phone.janus import config, program
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import TRIES
from server.phone.janus.socket import JanusSocket
from server.phone.janus.wiring import ACCOUNT, janus_bridge
from server.rehearsal.phone.ground import PBX, STRANGER, VIVA, Ground, Running, until, why_not
from server.rehearsal.phone.registrar import Registrar
from server.settings import load

pytestmark = [pytest.mark.phone, pytest.mark.asyncio(loop_scope="module")]
MARKUP = '"<script>alert(1)</script>" <sip:%3Cb%3Eanna%0d%0a@pbx.test>'
LONG = "".join(f"X-Filler-{n}: {'x' * 1000}\n" for n in range(58))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    if reason := why_not("janus", "kamailio", "sipp"):
        pytest.skip(reason)
    with Ground(tmp_path_factory.mktemp("strangers")) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pbx(ground: Ground) -> AsyncIterator[Registrar]:
    made = Registrar(
        ground,
        dict.fromkeys(("viva", "strict", "slow", "theirs"), "viva-word"),
        challenge_calls=False,
    )
    await made.start()
    yield made
    made.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> Desk:
    return Desk()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(ground: Ground, pbx: Registrar, desk: Desk) -> AsyncIterator[JanusBridge]:
    async with bridge(ground.folder, desk, account()) as made:
        await ready(made)
        yield made


def extension(user: str) -> Account:
    """Another than the one that is registered for all tests."""
    return replace(account(), user=user)


@pytest.mark.parametrize(
    ("caller", "more", "known_as"),
    [
        (MARKUP, "", Party("banna", "pbx.test", "scriptalert(1)/script")),
        (
            '"Anonymous" <sip:anonymous@anonymous.invalid>',
            "",
            Party("", "anonymous.invalid", "Anonymous"),
        ),
        ("<sip:+4930555001@pbx.test>", LONG, Party("+4930555001", "pbx.test")),
    ],
    ids=["markup", "anonymous", "60 kB of headers"],
)
async def test_whoever_calls_is_known_by_plain_and_short_text(
    up: JanusBridge, desk: Desk, ground: Ground, caller: str, more: str, known_as: Party
) -> None:
    before = len(desk.calls)
    calling = call_viva(ground, refused(486, caller=caller, more=more))
    call = await comes_in(desk, before + 1)
    await call.decline(486)
    assert await calling.ended() == 0, calling.said
    assert call.caller == known_as


async def test_a_caller_without_a_user_is_refused_by_the_gateway_and_the_next_one_comes_in(
    up: JanusBridge, desk: Desk, ground: Ground
) -> None:
    before = len(desk.calls)
    nobody = call_viva(ground, refused(400, caller="<sip:pbx.test>"))
    assert await nobody.ended() == 0, nobody.said
    calling = call_viva(ground, refused(486))
    await (await comes_in(desk, before + 1)).decline(486)
    assert await calling.ended() == 0, calling.said


async def test_a_strangers_call_past_the_pbx_rings_nowhere(
    up: JanusBridge, desk: Desk, ground: Ground
) -> None:
    before, (port,) = len(desk.calls), up.state.sip_ports
    patience = ("-timeout", "2s", "-timeout_error")
    stranger = ground.sipp(refused(486), f"{VIVA}:{port}", "-s", "viva", *patience, ip=STRANGER)
    assert await stranger.ended() != 0
    assert len(desk.calls) == before and up.free_lines == 2


async def test_a_second_masters_port_is_kept_from_strangers_too(
    up: JanusBridge, ground: Ground
) -> None:
    (before,) = up.state.sip_ports
    await up._of["main"]._begin_again()  # as where the plugin knows the master no more
    await ready(up)
    (port,) = {*up.state.sip_ports} - {before}  # which takes its leave of the registrar yet
    assert up.state.guarded
    assert await answers_options(PBX, port)
    assert not await answers_options(STRANGER, port)


async def test_who_has_no_encryption_where_it_is_demanded_is_refused_with_488(
    ground: Ground, pbx: Registrar, up: JanusBridge
) -> None:
    desk = Desk()
    async with bridge(ground.folder / "strict", desk, extension("strict"), srtp="required") as made:
        await ready(made)
        plain = ground.sipp(refused(488), pbx.address, "-s", "strict")
        async with answer(await comes_in(desk)):
            assert await plain.ended() == 0, plain.said
            assert (await ends(desk)).code == 488


async def test_a_slow_registrar_is_waited_for(ground: Ground, pbx: Registrar) -> None:
    assert pbx.running is not None
    pbx.running.freeze()
    async with bridge(ground.folder / "slow", Desk(), extension("slow")) as made:
        await until(lambda: standing(made) == "registering")
        pbx.running.thaw()
        await ready(made)


async def test_a_janus_of_somebody_elses_is_used_and_found_again_after_it_died(
    ground: Ground, pbx: Registrar
) -> None:
    folder = ground.folder / "theirs"
    theirs = config.Gateway(folder, VIVA, (23000, 23099))
    command = config.write(program.find(), theirs)
    chosen = load(
        data_dir=ground.folder / "data",
        phone=True,
        phone_registrar=PBX,
        phone_user="theirs",
        phone_password="viva-word",
        phone_calls=2,
        phone_janus=str(theirs.socket),
        phone_janus_secret=theirs.secret,
    )
    running = await listens(ground, command, theirs)
    desk, made = Desk(), janus_bridge(chosen)
    made.on_call(desk)
    await made.start()
    try:
        for life in (1, 2):
            await until(lambda: made.free_lines == 2, what=lambda: str(made.state))
            assert made.accounts[ACCOUNT].state == "registered" and made.state.guarded
            caller = ground.sipp(answered(), pbx.address, "-s", "theirs", port=5070 + life)
            async with answer(await comes_in(desk, life)):
                if life == 1:
                    running.kill()
                    await ends(desk)
                    await until(lambda: made.state.state == "down")
                    running = await listens(ground, command, theirs)
                else:
                    await desk.calls[1].hang_up()
                    assert await caller.ended() == 0, caller.said
    finally:
        await made.stop()


async def listens(ground: Ground, command: list[str], theirs: config.Gateway) -> Running:
    """Janus now and then closes its socket at once: see `server.phone.janus.gateway.TRIES`."""
    for _ in range(TRIES):
        theirs.socket.unlink(missing_ok=True)
        running = ground.start("env", "-C", str(theirs.folder), *command)
        with contextlib.suppress(GatewayLost, TimeoutError):
            await until(theirs.socket.is_socket, 10)
            asking = await JanusSocket.connect(theirs.socket, theirs.secret, lambda message: None)
            with contextlib.closing(asking):
                await asking.request({"janus": "info"})
            return running
        running.kill()
    raise AssertionError(running.said)
