"""Transactions over loopback, with a network that loses what a test wants lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from server.phone.softphone.account import Account
from server.phone.softphone.endpoint import Address, Asked, Endpoint, Timers, cancel_of
from server.phone.softphone.errors import NoReply
from server.phone.softphone.message import Request, response_to
from server.rehearsal.phone.ground import until

QUICK = Timers(t1=0.02, t2=0.08)


class Side:
    """An endpoint that notes what it is asked, and what it sends."""

    def __init__(self, answers: Callable[[Side, Asked], None] = lambda side, asked: None) -> None:
        self.asked: list[Asked] = []
        self.sent: list[bytes] = []
        self.lost: dict[str, int] = {}
        """So many of the next datagrams that begin so are lost."""
        self._answers = answers
        self.endpoint = Endpoint(self._requested, QUICK)

    def _requested(self, asked: Asked) -> None:
        self.asked.append(asked)
        self._answers(self, asked)

    def spoil(self) -> None:
        send = self.endpoint._send

        def lossy(data: bytes, to: Address) -> None:
            self.sent.append(data)
            begin = next((one for one in self.lost if data.startswith(one.encode())), None)
            if begin is None:
                send(data, to)
            else:
                self.lost[begin] -= 1
                self.lost = {one: left for one, left in self.lost.items() if left}

        self.endpoint._send = lossy  # type: ignore[method-assign]

    def begun(self, with_: str) -> int:
        return sum(one.startswith(with_.encode()) for one in self.sent)


@asynccontextmanager
async def pair(answers: Callable[[Side, Asked], None]) -> AsyncIterator[tuple[Side, Side]]:
    loop = asyncio.get_running_loop()
    sides = Side(), Side(answers)
    for side in sides:
        await loop.create_datagram_endpoint(
            lambda side=side: side.endpoint,  # type: ignore[misc]
            local_addr=("127.0.0.1", 0),
        )
        side.spoil()
    try:
        yield sides
    finally:
        for side in sides:
            await side.endpoint.close()


def request(side: Side, method: str, number: int = 1) -> Request:
    made = Request(method=method, uri="sip:ben@127.0.0.1")
    for name, value in (("From", "<sip:a@x>;tag=a"), ("To", "<sip:b@x>"), ("Call-ID", "one")):
        made.add(name, value)
    made.add("CSeq", f"{number} {method}")
    side.endpoint.prepare(made)
    return made


def answering(code: int, reason: str) -> Callable[[Side, Asked], None]:
    def answer(side: Side, asked: Asked) -> None:
        if asked.request.method != "ACK":
            side.endpoint.respond(asked, code, reason, tag="b")

    return answer


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE"])
async def test_what_is_lost_is_sent_again_and_answered_once(method: str) -> None:
    async with pair(answering(486, "Busy Here")) as (us, them):
        us.lost = {"": 2}
        them.lost = {"": 2}
        response = await us.endpoint.ask(request(us, method), them.endpoint.here)
        assert response.code == 486
        assert [one.request.method for one in them.asked][:1] == [method]
        assert sum(one.request.method == method for one in them.asked) == 1
        assert us.begun(method) >= 3


async def test_a_refusal_is_acknowledged_as_often_as_it_comes() -> None:
    async with pair(answering(603, "Decline")) as (us, them):
        invite = request(us, "INVITE")
        us.lost = {"ACK": 2}
        assert (await us.endpoint.ask(invite, them.endpoint.here)).code == 603
        await until(lambda: any(one.request.method == "ACK" for one in them.asked))
        acknowledged = them.asked[0].acknowledged
        assert acknowledged is not None and acknowledged.is_set()
        assert them.begun("SIP/2.0 603") >= 2
        ack = next(one.request for one in them.asked if one.request.method == "ACK")
        assert ack.branch == invite.branch and ack.cseq == (1, "ACK")


async def test_a_success_is_acknowledged_again_when_it_comes_again() -> None:
    async with pair(answering(200, "OK")) as (us, them):
        invite = request(us, "INVITE")
        await us.endpoint.ask(invite, them.endpoint.here)
        us.lost = {"ACK": 1}
        ack = request(us, "ACK")
        us.endpoint.acknowledge(ack, them.endpoint.here, invite.branch)
        await until(lambda: any(one.request.method == "ACK" for one in them.asked))
        assert us.begun("ACK") >= 2


async def test_nobody_there_is_no_reply_after_64_t1() -> None:
    async with pair(lambda side, asked: None) as (us, them):
        with pytest.raises(NoReply):
            await us.endpoint.ask(request(us, "OPTIONS"), them.endpoint.here)
        assert us.begun("OPTIONS") > 5


def test_pauses_double_up_to_t2_and_come_to_64_t1() -> None:
    pauses = list(Timers().pauses(capped=True))
    assert pauses[:5] == [0.5, 1.0, 2.0, 4.0, 4.0] and sum(pauses) == pytest.approx(32)
    assert list(Timers().pauses(capped=False)) == [0.5, 1, 2, 4, 8, 16, 0.5]


async def test_a_ringing_invite_is_not_sent_again_and_can_be_cancelled() -> None:
    def answer(side: Side, asked: Asked) -> None:
        match asked.request.method:
            case "INVITE":
                side.endpoint.respond(asked, 180, "Ringing", tag="b")
            case "CANCEL":
                side.endpoint.respond(asked, 200, "OK")
                side.endpoint.respond(side.asked[0], 487, "Request Terminated", tag="b")

    heard: list[int] = []
    async with pair(answer) as (us, them):
        invite = request(us, "INVITE")
        asking = asyncio.create_task(
            us.endpoint.ask(invite, them.endpoint.here, lambda one: heard.append(one.code))
        )
        await until(lambda: bool(heard))
        sent = us.begun("INVITE")
        cancelled = await us.endpoint.ask(cancel_of(invite), them.endpoint.here)
        assert (cancelled.code, (await asking).code, heard) == (200, 487, [180])
        assert us.begun("INVITE") == sent


async def test_garbage_is_counted_and_harms_nothing() -> None:
    async with pair(answering(200, "OK")) as (us, them):
        noise = [b"\xff\x00garbage", b"SIP/2.0 200 OK\r\n\r\n", b"\r\n\r\n", b"A" * 60_000]
        stray = response_to(request(us, "INVITE"), 200, "Nobody asked").written()
        for data in (*noise, stray):
            us.endpoint._send(data, them.endpoint.here)
        assert (await us.endpoint.ask(request(us, "OPTIONS"), them.endpoint.here)).code == 200
        assert them.endpoint.garbage == 3  # line ends alone keep a way open


async def test_who_has_vanished_neither_hears_nor_speaks() -> None:
    async with pair(answering(200, "OK")) as (us, them):
        them.endpoint.silent = True
        with pytest.raises(NoReply):
            await us.endpoint.ask(request(us, "OPTIONS"), them.endpoint.here)
        assert not them.asked and not them.sent


async def test_a_password_that_belongs_to_another_user_is_answered_in_their_name() -> None:
    def asks_who(side: Side, asked: Asked) -> None:
        known = bool(asked.request.get("authorization"))
        reply = response_to(asked.request, 200 if known else 401, "", "b")
        if not known:
            reply.add("WWW-Authenticate", 'Digest realm="pbx", nonce="n"')
        side.endpoint.reply(asked, reply)

    async with pair(asks_who) as (us, them):
        where = them.endpoint.here
        account = Account("201", "word", "pbx", where, us.endpoint, login="trunk-7")
        numbers = iter((1, 2))
        said = await account.ask(lambda: request(us, "REGISTER", next(numbers)), where)
    assert said.code == 200
    proof = them.asked[-1].request.get("authorization")
    assert 'username="trunk-7"' in proof and account.contact.startswith("<sip:201@")
