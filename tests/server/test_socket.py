"""The candidate's WebSocket over a real connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from fake_host import FakeHost, Invited, Inviting
from fastapi import FastAPI
from websockets import ClientConnection, ConnectionClosed, InvalidStatus, Origin
from websockets import connect as ws_connect

from server.api import socket
from server.invites import GUESSES
from server.store import Store

CONSENT = {"interview": True, "recording": False, "version": "1"}


@asynccontextmanager
async def opened(
    url: str, token: str, mode: str = "text", origin: str | None = None
) -> AsyncIterator[ClientConnection]:
    given = Origin(origin) if origin else None
    async with ws_connect(f"ws://{url}/api/call/socket", origin=given) as ws:
        await ws.send(json.dumps({"type": "hello", "token": token, "mode": mode}))
        yield ws


async def received(ws: ClientConnection) -> dict[str, object]:
    async with asyncio.timeout(5):
        message = json.loads(await ws.recv())
    assert isinstance(message, dict)
    return message


async def code_of(ws: ClientConnection) -> int | None:
    """The close code, after whatever still comes."""
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            while True:  # a client that does not read would not see the close
                await ws.recv()
    return ws.close_code


@pytest.fixture
async def ada(url: str, web: httpx.AsyncClient, invite: Inviting) -> Invited:
    """A candidate who agreed to be interviewed."""
    invited = await invite("Ada")
    await web.post("/api/call/consent", json=CONSENT, headers=invited.headers)
    return invited


async def test_a_whole_text_conversation(
    url: str, ada: Invited, host: FakeHost, store: Store
) -> None:
    async with opened(url, ada.token) as ws:
        assert await received(ws) == {"type": "state", "state": "listening"}
        await ws.send('{"type": "typed", "text": "  I built <b>things</b>  "}')
        caption = await received(ws)
        assert caption["text"] == "I built <b>things</b>"
        await ws.send('{"type": "request", "request": "repeat"}')
        await ws.send('{"type": "hang_up"}')
        assert await received(ws) == {"type": "state", "state": "ended"}
        assert await code_of(ws) == 1000
    assert host.said == [("typed", "I built <b>things</b>"), ("request", "repeat")]
    assert (await store.interview(ada.interview_id)).status == "ended"
    async with opened(url, ada.token) as ws:
        assert await received(ws) == {"type": "state", "state": "ended"}
        assert await code_of(ws) == 1000


async def test_a_ping_is_answered_and_typing_is_told_to_the_call(
    url: str, ada: Invited, host: FakeHost
) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        await ws.send('{"type": "typing"}')
        await ws.send('{"type": "ping"}')
        assert await received(ws) == {"type": "pong"}
    assert host.said == [("typing", "")]


async def test_a_voice_socket_hears_of_a_call_that_begins_later(
    url: str, ada: Invited, web: httpx.AsyncClient
) -> None:
    async with opened(url, ada.token, "voice") as ws:
        await ws.send('{"type": "typed", "text": "too early"}')
        assert (await received(ws))["code"] == "not_live"
        offer = {"sdp": "v=0", "type": "offer"}
        await web.post("/api/call/offer", json=offer, headers=ada.headers)
        assert await received(ws) == {"type": "state", "state": "listening"}


async def test_closing_the_socket_of_a_text_call_frees_its_place(
    url: str, ada: Invited, host: FakeHost, store: Store
) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        assert list(host.epochs) == [ada.interview_id]
    async with asyncio.timeout(5):
        while host.epochs:  # noqa: ASYNC110 — the server notices in its own time
            await asyncio.sleep(0.01)
    assert (await store.interview(ada.interview_id)).status != "ended"
    async with opened(url, ada.token) as ws:
        await received(ws)  # the state before the rejoin
        await received(ws)
        assert list(host.epochs) == [ada.interview_id]


async def test_a_typed_answer_of_100_kb_is_refused_with_the_limit_and_the_socket_stays(
    url: str, ada: Invited, host: FakeHost
) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        await ws.send(json.dumps({"type": "typed", "text": "字" * 34_000}))
        notice = await received(ws)
        assert (notice["code"], notice["limit"]) == ("too_long", 8000)
        assert "8000" in str(notice["text"])
        assert host.said == []
        await ws.send(json.dumps({"type": "typed", "text": "x" * 8000}))
        assert (await received(ws))["type"] == "caption"
        assert host.said == [("typed", "x" * 8000)]


async def test_a_frame_far_over_every_limit_closes_the_socket(url: str, ada: Invited) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        await ws.send("x" * ((1 << 20) + 1))
        assert await code_of(ws) == 1009


async def test_messages_that_are_none_are_refused_one_by_one(
    url: str, ada: Invited, host: FakeHost
) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        for bad in (
            "{",
            "[]",
            '{"type": "end"}',
            '{"type": "typed"}',
            '{"type": "typed", "text": 5}',
            '{"type": "request", "request": "sudo"}',
            '{"type": "typed", "text": "a", "speaker": "interviewer"}',
            b"\x00\x01",
        ):
            await ws.send(bad)
            assert (await received(ws))["code"] == "bad_message"
        await ws.send('{"type": "typed", "text": "fine"}')
        assert (await received(ws))["type"] == "caption"
    assert host.said == [("typed", "fine")]


async def test_a_flood_is_refused_and_then_closed(url: str, ada: Invited, host: FakeHost) -> None:
    async with opened(url, ada.token) as ws:
        await received(ws)
        try:
            for _ in range(200):
                await ws.send('{"type": "request", "request": "repeat"}')
        except ConnectionClosed:
            pass  # sooner than the flood was out
        assert await code_of(ws) == socket.FLOODED
    assert len(host.said) < 2 * socket.BURST


async def test_the_newest_window_stays_and_the_older_one_is_told(url: str, ada: Invited) -> None:
    async with opened(url, ada.token) as first:
        await received(first)
        async with opened(url, ada.token) as second:
            await received(second)
            told = await received(first)
            while told.get("type") != "notice":
                told = await received(first)
            assert told["code"] == "replaced"
            assert await code_of(first) == socket.REPLACED
            await second.send('{"type": "typed", "text": "here"}')
            heard = await received(second)
            while heard["type"] != "caption":
                heard = await received(second)
            assert heard["text"] == "here"


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_page_from_elsewhere_is_refused_before_the_handshake_ends(
    url: str, ada: Invited, origin: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(url, ada.token, origin=origin):
            pass
    assert refused.value.response.status_code == 403
    async with opened(url, ada.token, origin=f"http://{url}") as ws:
        assert (await received(ws))["type"] == "state"


async def test_wrong_tokens_and_no_consent_are_told_and_closed(url: str, invite: Inviting) -> None:
    async with opened(url, "x" * 43) as ws:
        assert (await received(ws))["code"] == "unknown_invite"
        assert await code_of(ws) == socket.REFUSED
    stranger = await invite()
    async with opened(url, stranger.token) as ws:
        assert (await received(ws))["code"] == "not_consented"
        assert await code_of(ws) == socket.REFUSED


async def test_a_full_house_is_told_with_when_to_try_again(
    url: str, ada: Invited, web: httpx.AsyncClient, invite: Inviting, host: FakeHost
) -> None:
    host.epochs |= {"a": 1, "b": 1}
    async with opened(url, ada.token) as ws:
        told = await received(ws)
        assert (told["code"], told["status"]) == ("busy", "waiting")
        assert told["retry_after_s"]


async def test_guessing_over_the_socket_is_slowed_down_too(url: str, ada: Invited) -> None:
    codes = []
    for n in range(GUESSES + 2):
        async with opened(url, f"guess {n}") as ws:
            codes.append((await received(ws))["code"])
    assert codes == ["unknown_invite"] * GUESSES + ["too_many_guesses"] * 2


async def test_who_says_nothing_is_not_kept_waiting_for(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "HELLO_WITHIN_S", 0.05)
    async with ws_connect(f"ws://{url}/api/call/socket") as ws:
        assert await code_of(ws) == socket.BAD_HELLO


async def test_a_first_message_that_is_no_hello_is_refused(url: str, ada: Invited) -> None:
    for first in ("hello", '{"type": "typed", "text": "x"}', '{"type": "hello"}'):
        async with ws_connect(f"ws://{url}/api/call/socket") as ws:
            await ws.send(first)
            assert (await received(ws))["code"] == "bad_message"
            assert await code_of(ws) == socket.REFUSED


async def test_a_host_that_fails_is_told_and_logged(
    url: str, ada: Invited, app: FastAPI, host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(interview_id: str) -> int:
        raise RuntimeError("no ears")

    host.open_text = broken  # type: ignore[method-assign]
    async with opened(url, ada.token) as ws:
        assert (await received(ws))["code"] == "failed"
        assert await code_of(ws) == socket.FAILED
    assert "no ears" in caplog.text
