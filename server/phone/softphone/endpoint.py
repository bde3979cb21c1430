"""SIP's transactions over UDP (RFC 3261, 17): what is sent is sent again until it is answered, and
what comes again is answered again. Knows no calls.

Responses go to where the request came from (`rport`, RFC 3581). Whatever is no SIP is counted and
dropped. Tables are bounded: a flood pushes out the oldest entries, which then are strangers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from server.phone.softphone.errors import Malformed, NoReply
from server.phone.softphone.message import Request, Response, parse, response_to

Address = tuple[str, int]
MAGIC = "z9hG4bK"
"""Begins the branch of everybody who follows RFC 3261."""
MAX_REMEMBERED = 512


@dataclass(frozen=True)
class Timers:
    """Seconds; RFC 3261's defaults."""

    t1: float = 0.5
    """About a round trip."""
    t2: float = 4.0
    """The longest pause between two repetitions."""

    @property
    def patience(self) -> float:
        """64 T1: when nobody is there."""
        return 64 * self.t1

    def pauses(self, capped: bool) -> Iterator[float]:
        """Between repetitions, up to 64 T1 in all. An INVITE's double without T2's cap."""
        pause, left = self.t1, self.patience
        while left > 0:
            yield min(pause, left)
            left -= pause
            pause = min(2 * pause, self.t2) if capped else 2 * pause


@dataclass
class Asked:
    """A request that came, and its last answer."""

    request: Request
    source: Address
    answer: Response | None = None
    acknowledged: asyncio.Event | None = None
    """Of a final answer to an INVITE."""


class _Client:
    """A request of ours that waits for its answer."""

    def __init__(self, heard: Callable[[Response], None]) -> None:
        self.heard = heard
        self.answered = asyncio.Event()
        """By anything, provisional answers too."""
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def take(self, response: Response) -> None:
        self.answered.set()
        if response.code < 200:
            self.heard(response)
        elif not self.final.done():
            self.final.set_result(response)


class Endpoint(asyncio.DatagramProtocol):
    """One UDP socket. `on_request` gets each new request once, ACK included; it must not raise."""

    def __init__(self, on_request: Callable[[Asked], None], timers: Timers) -> None:
        self.silent = False
        """Vanished: nothing is sent, nothing heard."""
        self.garbage = 0
        """Datagrams that were no SIP message."""
        self.here: Address = ("", 0)
        self._on_request = on_request
        self.timers = timers
        self._transport: asyncio.DatagramTransport | None = None
        self._clients: dict[tuple[str, str], _Client] = {}
        self._asked: OrderedDict[tuple[str, str, str], Asked] = OrderedDict()
        self._unacknowledged: OrderedDict[tuple[str, int], Asked] = OrderedDict()
        self._acks: OrderedDict[str, tuple[bytes, Address]] = OrderedDict()
        self._lost = asyncio.Event()
        self._repeating: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.here = transport.get_extra_info("sockname")[:2]

    def connection_lost(self, error: Exception | None) -> None:
        self._lost.set()

    def datagram_received(self, data: bytes, source: Address) -> None:
        if self.silent or not data.strip():
            return  # four bytes of line ends are a keep-alive
        try:
            message = parse(data)
        except Malformed:
            self.garbage += 1
            return
        if isinstance(message, Request):
            self._requested(message, source[:2])
        else:
            self._answered(message)

    def error_received(self, error: Exception) -> None:
        """An ICMP error: repetitions and their end deal with it."""

    async def close(self) -> None:
        for task in self._repeating:
            task.cancel()
        await asyncio.gather(*self._repeating, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            await self._lost.wait()

    # Asking.

    def prepare(self, request: Request) -> str:
        """Gives a request its own Via; returns its branch."""
        branch = MAGIC + secrets.token_hex(8)
        host, port = self.here
        request.fields[:0] = [
            ("Via", f"SIP/2.0/UDP {host}:{port};branch={branch};rport"),
            ("Max-Forwards", "70"),
        ]
        return branch

    async def ask(
        self,
        request: Request,
        to: Address,
        heard: Callable[[Response], None] = lambda _: None,
    ) -> Response:
        """The final answer to a prepared request. A refused INVITE is acknowledged here, an
        accepted one by the caller. Raises `NoReply`.
        """
        key = request.branch, request.method
        client = self._clients[key] = _Client(heard)
        try:
            await self._until_answered(request, to, client)
            response = await client.final
        finally:
            del self._clients[key]
        if request.method == "INVITE" and response.code >= 300:
            self.acknowledge(_refusal_ack(request, response), to)
        return response

    def acknowledge(self, ack: Request, to: Address, of_branch: str = "") -> None:
        """Sends it, and again whenever the answer to the INVITE of this branch comes again."""
        _keep(self._acks, of_branch or ack.branch, (ack.written(), to))
        self._send(ack.written(), to)

    async def _until_answered(self, request: Request, to: Address, client: _Client) -> None:
        invites = request.method == "INVITE"
        data = request.written()
        for pause in self.timers.pauses(capped=not invites):
            self._send(data, to)
            waits = client.answered.wait() if invites else asyncio.shield(client.final)
            try:
                async with asyncio.timeout(pause):
                    await waits
                    return
            except TimeoutError:
                continue
        raise NoReply(f"{to[0]}:{to[1]} does not answer {request.method}")

    def _answered(self, response: Response) -> None:
        branch, (_, method) = response.branch, response.cseq
        client = self._clients.get((branch, method))
        if client is not None:
            client.take(response)
        elif method == "INVITE" and response.code >= 200 and branch in self._acks:
            self._send(*self._acks[branch])

    # Being asked.

    def respond(self, asked: Asked, code: int, reason: str, tag: str = "") -> None:
        self.reply(asked, response_to(asked.request, code, reason, tag))

    def reply(self, asked: Asked, response: Response) -> None:
        """A final answer to an INVITE is repeated until it is acknowledged."""
        asked.answer = response
        self._send(response.written(), asked.source)
        if asked.request.method == "INVITE" and response.code >= 200:
            asked.acknowledged = asyncio.Event()
            number, _ = asked.request.cseq
            _keep(self._unacknowledged, (asked.request.call_id, number), asked)
            task = asyncio.create_task(self._repeat(asked, response))
            self._repeating.add(task)
            task.add_done_callback(self._repeating.discard)

    async def _repeat(self, asked: Asked, response: Response) -> None:
        assert asked.acknowledged is not None
        for pause in self.timers.pauses(capped=True):
            try:
                async with asyncio.timeout(pause):
                    await asked.acknowledged.wait()
                    return
            except TimeoutError:
                self._send(response.written(), asked.source)

    def _requested(self, request: Request, source: Address) -> None:
        number, method = request.cseq
        if method == "ACK":
            waiting = self._unacknowledged.get((request.call_id, number))
            if waiting is not None and waiting.acknowledged is not None:
                waiting.acknowledged.set()
            self._on_request(Asked(request, source))
            return
        key = request.branch, _sent_by(request), method
        before = self._asked.get(key)
        if before is None:
            asked = Asked(request, source)
            _keep(self._asked, key, asked)
            self._on_request(asked)
        elif before.answer is not None:
            self._send(before.answer.written(), source)

    def _send(self, data: bytes, to: Address) -> None:
        if self._transport is not None and not self.silent and not self._transport.is_closing():
            self._transport.sendto(data, to)


def cancel_of(invite: Request) -> Request:
    """CANCEL repeats the INVITE's branch, number and way."""
    return _sibling(invite, "CANCEL", invite.get("to"))


def _refusal_ack(invite: Request, response: Response) -> Request:
    return _sibling(invite, "ACK", response.get("to"))


def _sibling(invite: Request, method: str, to: str) -> Request:
    made = Request(method=method, uri=invite.uri)
    made.add("Via", invite.listed("via")[0])
    made.add("Max-Forwards", "70")
    made.add("Route", *invite.every("route"))
    made.add("From", invite.get("from"))
    made.add("To", to)
    made.add("Call-ID", invite.call_id)
    made.add("CSeq", f"{invite.cseq[0]} {method}")
    return made


def _sent_by(request: Request) -> str:
    via = next(iter(request.listed("via")), "")
    return via.partition(";")[0].rpartition(" ")[2]


def _keep(table: OrderedDict, key: object, value: object) -> None:
    table[key] = value
    if len(table) > MAX_REMEMBERED:
        table.popitem(last=False)
