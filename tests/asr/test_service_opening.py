"""Sockets that are no connections to the service yet, or never will be: whose give way."""

import asyncio
import contextlib
from contextlib import AsyncExitStack

import pytest

from tests.asr.services import ScriptedEngine, admitted, get, served


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


async def test_a_flood_of_sockets_without_a_token_keeps_no_client_and_no_health_check_out(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.service.server.MAX_CONNECTIONS", 2)
    monkeypatch.setattr("asr.service.server.MAX_OPENING", 8)
    monkeypatch.setattr("asr.service.server.OPEN_S", 3600)
    request = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    async with served(engine) as (service, url), AsyncExitStack() as flood:
        for number in range(50):  # nothing said, a request without end, an answer not taken
            said = (b"", request, request + b"\r\n")[number % 3]
            await _hold(flood, url, said)
            if number % 10 == 9:
                assert (await asyncio.to_thread(get, f"{url}/healthz"))[0] == 200
        async with admitted(url), admitted(url):
            assert len(service._running) == 2


async def test_of_sockets_that_say_nothing_the_oldest_gives_way(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.service.server.MAX_OPENING", 2)
    monkeypatch.setattr("asr.service.server.OPEN_S", 3600)
    async with served(engine) as (_, url), AsyncExitStack() as flood:
        _, first = await _hold(flood, url)
        await _hold(flood, url)
        await _hold(flood, url)
        await _closed(first)


async def test_a_flood_closes_its_own_sockets_before_those_of_others(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.service.server.MAX_OPENING", 3)
    monkeypatch.setattr("asr.service.server.OPEN_S", 3600)
    async with served(engine) as (_, url), AsyncExitStack() as flood:
        slow, answer = await _hold(flood, url, here="127.0.0.2")
        for _ in range(20):
            await _hold(flood, url)
        slow.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        async with asyncio.timeout(30):
            assert b" 200 " in await answer.readline()


async def test_a_socket_that_says_nothing_is_closed_soon(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr.service.server.OPEN_S", 0.05)
    async with served(engine) as (_, url), AsyncExitStack() as held:
        _, reader = await _hold(held, url, b"GET / HTTP/1.1\r\n")
        await _closed(reader)


async def _closed(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""


async def _hold(
    flood: AsyncExitStack, url: str, said: bytes = b"", *, here: str = "127.0.0.1"
) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    """A socket that stays open on our side."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(here, 0))
    flood.callback(writer.close)
    writer.write(said)
    return writer, reader
