"""Credentials for relays, and calls by way of a real one (coturn)."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from aioice import stun
from aioice.turn import create_turn_endpoint
from pydantic import SecretStr

from server import doctor, wiring
from server.media.client import CallClient
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.media.turn import (
    VALID_S,
    allocate,
    browser_ice_servers,
    turn_credentials,
)
from server.settings import Settings
from tests.server.media.relays import SECRET, Relay, coturn, free_port

URLS = "turn:turn.example.org:3478,turns:turn.example.org:443?transport=tcp"


# --- credentials: pure ----------------------------------------------------------------------------
def test_the_credentials_are_those_of_the_turn_rest_api() -> None:
    # printf 1700000000:viva | openssl dgst -sha1 -hmac s3cret -binary | base64
    expected = ("1700000000:viva", "7cXXYtWYJ0wNF0Rn7Qg8L+8FYXY=")
    assert turn_credentials("s3cret", "viva", 1_700_000_000.9) == expected


def test_browsers_are_told_of_no_server_unless_one_is_set(settings: Settings) -> None:
    assert browser_ice_servers(settings, 0.0) == []


def test_browsers_get_every_address_with_credentials_that_end() -> None:
    chosen = Settings.model_validate(
        {"stun": "stun.example.org:3478", "turn_url": URLS, "turn_secret": SECRET}
    )
    stun_server, turn_server = browser_ice_servers(chosen, 1000.0)
    username, credential = turn_credentials(SECRET, "candidate", 1000.0 + VALID_S)
    assert stun_server == {"urls": ["stun:stun.example.org:3478"]}
    assert turn_server == {
        "urls": URLS.split(","),
        "username": username,
        "credential": credential,
    }
    assert SECRET not in str(turn_server) and SECRET not in repr(chosen)


def test_a_fixed_password_is_told_as_it_is() -> None:
    chosen = Settings.model_validate(
        {"turn_url": "turn:turn.example.org", "turn_user": "viva", "turn_password": "pw"}
    )
    [server] = browser_ice_servers(chosen, 0.0)
    assert (server["username"], server["credential"]) == ("viva", "pw")
    assert "pw" not in repr(wiring.ice_settings(chosen))


# --- a real relay ---------------------------------------------------------------------------------
Starting = Callable[..., Awaitable[Relay]]


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Starting]:
    """Starts coturn on loopback with the configuration that we ship: `relay(**settings)`."""
    if not shutil.which("turnserver"):
        pytest.skip("coturn is not installed")
    async with AsyncExitStack() as stack:

        async def start(**given: str) -> Relay:
            return await stack.enter_async_context(coturn(tmp_path, given))

        yield start


async def called(candidate: IceSettings, server: IceSettings) -> tuple[set[str], bool]:
    """A call: the kinds of candidates that were offered, and whether the server heard a tone."""
    client = CallClient(candidate)
    peer: Peer | None = None
    try:
        offer = await client.offer()
        peer, answer = await Peer.answer(offer, "offer", ice=server, codecs=("opus",))
        heard: list[float] = []
        peer.on_heard(lambda pcm, rate, at: heard.append(float(np.abs(pcm).max(initial=0))))
        await client.accept(answer)
        await client.connected()
        tone = 8000 * np.sin(np.arange(48000) * 2 * np.pi * 440 / 48000)
        await client.say(tone.astype(np.int16))
        await asyncio.sleep(0.3)
        kinds = {line.split()[7] for line in offer.splitlines() if "a=candidate:" in line}
        return kinds, max(heard, default=0.0) > 4000
    finally:
        await client.close()
        if peer is not None:
            await peer.close()


@pytest.mark.media
async def test_a_candidate_behind_a_firewall_is_heard_by_way_of_the_relay(relay: Starting) -> None:
    running = await relay()
    assert await called(running.only, IceSettings()) == ({"relay"}, True)


@pytest.mark.media
async def test_both_sides_may_have_nothing_but_the_relay(relay: Starting) -> None:
    running = await relay()
    assert await called(running.only, running.only) == ({"relay"}, True)


@pytest.mark.media
async def test_a_fixed_user_name_does_as_well(relay: Starting) -> None:
    running = await relay(turn_user="viva", turn_password="password")
    assert await called(running.only, IceSettings()) == ({"relay"}, True)


@pytest.mark.media
async def test_the_relay_is_reached_by_tcp_where_udp_is_closed(relay: Starting) -> None:
    running = await relay()
    by_tcp = running.settings.model_copy(update={"turn_url": f"{running.url}?transport=tcp"})
    only = replace(wiring.ice_settings(by_tcp), relay_only=True)
    assert await called(only, IceSettings()) == ({"relay"}, True)


@pytest.mark.media
async def test_the_relay_takes_no_credentials_that_have_ended(relay: Starting) -> None:
    running = await relay()
    good = turn_credentials(SECRET, "viva", time.time() + 60)
    host, port = await allocate(running.url, good, 5)
    assert host == "127.0.0.1" and 49152 <= port <= 49999
    for secret, until in ((SECRET, time.time() - 60), ("another", time.time() + 60)):
        with pytest.raises(stun.TransactionFailed, match="401"):
            await allocate(running.url, turn_credentials(secret, "viva", until), 5)


@pytest.mark.media
async def test_the_relay_reaches_nobody_but_viva(relay: Starting) -> None:
    """As configured by the file that we ship: leaked credentials open no network."""
    running = await relay()
    host, port = running.url.split(":")[1:]
    user, password = turn_credentials(SECRET, "viva", time.time() + 60)
    transport, _ = await create_turn_endpoint(
        asyncio.DatagramProtocol, (host, int(port)), user, password
    )
    inner = transport._TurnTransport__inner_protocol  # type: ignore[attr-defined]
    await inner.channel_bind(0x4000, ("127.0.0.1", 9))
    for elsewhere in ("10.0.0.1", "192.0.2.1", "127.0.0.2"):
        with pytest.raises(stun.TransactionFailed, match="403"):
            await inner.channel_bind(0x4001, (elsewhere, 9))
    await inner.delete()


@pytest.mark.media
async def test_the_doctor_borrows_an_address_from_the_relay(relay: Starting) -> None:
    running = await relay()
    [found] = [one async for one in doctor._turn(running.settings)]
    assert found.state == "ok" and "lends addresses, such as 127.0.0.1:" in found.text
    wrong = running.settings.model_copy(update={"turn_secret": SecretStr("another")})
    [found] = [one async for one in doctor._turn(wrong)]
    assert found.state == "bad" and "VIVA_TURN_SECRET" in found.to_do


@pytest.mark.media
async def test_the_doctor_says_which_relay_does_not_answer(settings: Settings) -> None:
    given = {
        "turn_url": f"turn:127.0.0.1:{free_port()}?transport=tcp",
        "turn_secret": SecretStr("s"),
    }
    [found] = [one async for one in doctor._turn(settings.model_copy(update=given))]
    assert found.state == "bad" and f"{given['turn_url']} does not answer" in found.text
