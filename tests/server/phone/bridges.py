"""The bridge over a real Janus, and callers for it; the fixtures are the tests' own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiortc import RTCPeerConnection, RTCSessionDescription
from calls_in import Desk

from server.phone.accounts import Account
from server.phone.bridge import BridgeCall, HungUp
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import OwnJanus
from server.phone.janus.sip import Srtp
from server.phone.resolver import resolve
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, Ground, Running, until

Lookup = Callable[[str], Awaitable[list[str]]]


def account(password: str = "viva-word", host: str = PBX) -> Account:
    return Account("main", "viva", host, password=password, ttl_s=10)


@asynccontextmanager
async def bridge(
    folder: Path,
    desk: Desk,
    of: Account,
    *,
    lines: int = 2,
    lookup: Lookup = resolve,
    srtp: Srtp = "off",
) -> AsyncIterator[JanusBridge]:
    own = OwnJanus(folder / "janus", (22000, 22099), address=VIVA, towards=lambda: lookup(of.host))
    made = JanusBridge([of], own, lines=lines, lookup=lookup, srtp=srtp)
    made.on_call(desk)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def registered(folder: Path, desk: Desk, *, lines: int = 2) -> AsyncIterator[JanusBridge]:
    async with bridge(folder, desk, account(), lines=lines) as made:
        await ready(made, lines)
        yield made


async def ready(made: JanusBridge, lines: int = 2) -> None:
    await until(lambda: standing(made) == "registered", what=lambda: str(made.state))
    await until(lambda: made.free_lines == lines, what=lambda: f"{made.free_lines} are free")


def standing(made: JanusBridge) -> str:
    return made.accounts["main"].state


def call_viva(ground: Ground, scenario: str, *, ip: str = CALLERS, port: int = 5070) -> Running:
    return ground.sipp(scenario, f"{PBX}:5060", "-s", "viva", ip=ip, port=port)


async def comes_in(desk: Desk, count: int = 1) -> BridgeCall:
    await until(lambda: len(desk.calls) >= count)
    return desk.calls[count - 1]


async def ends(desk: Desk, nth: int = 0) -> HungUp:
    await until(lambda: desk.events[nth] and isinstance(desk.events[nth][-1], HungUp))
    last = desk.events[nth][-1]
    assert isinstance(last, HungUp)
    return last


@asynccontextmanager
async def answer(call: BridgeCall) -> AsyncIterator[RTCPeerConnection]:
    """Take a call by WebRTC, as the transport does."""
    assert call.offer is not None
    peer = RTCPeerConnection()
    try:
        await peer.setRemoteDescription(RTCSessionDescription(call.offer, "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        await call.answer(peer.localDescription.sdp)
        yield peer
    finally:
        await peer.close()


def janus_pid(folder: Path) -> int:
    return int((folder / "janus" / "janus.pid").read_text())


async def answers_options(sender: str, port: int) -> bool:
    """Whether Janus answers somebody who writes from this address; OPTIONS is answered to all."""
    question = (
        f"OPTIONS sip:viva@{VIVA} SIP/2.0\r\nVia: SIP/2.0/UDP {sender};branch=z9hG4bKx;rport\r\n"
        f"From: <sip:x@{sender}>;tag=1\r\nTo: <sip:viva@{VIVA}>\r\nCall-ID: x-{sender}\r\n"
        "CSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((sender, 0))
        asking.setblocking(False)
        await loop.sock_sendto(asking, question.encode(), (VIVA, port))
        try:
            async with asyncio.timeout(30 if sender == PBX else 1):
                return (await loop.sock_recv(asking, 65535)).startswith(b"SIP/2.0 ")
        except TimeoutError:
            return False
