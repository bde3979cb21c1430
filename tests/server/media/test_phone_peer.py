"""Calls to and from a phone's gateway: its codecs, digits, hold, and our own offers."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from aiortc.rtp import RtpPacket
from aiortc.sdp import SessionDescription

from server.media.codecs import COMFORT_NOISE, PHONE_CODECS
from server.media.errors import BadOffer, MediaError, NoCodec
from server.media.outgoing import FRAME, SAMPLE_RATE
from server.media.peer import Peer

pytestmark = pytest.mark.media


@dataclass
class Line:
    """Two peers, one as the gateway's leg, and what our side heard."""

    gateway: Peer
    ours: Peer
    sound: list[np.ndarray] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ours.on_heard(lambda pcm, rate, at: self.sound.append(pcm))
        self.ours.on_digit(lambda digit, at: self.digits.append(digit))

    @property
    def loudness(self) -> int:
        return max((int(np.abs(pcm.astype(int)).max(initial=0)) for pcm in self.sound), default=0)


class Numbered:
    """The gateway's packets on their way out, numbered anew so that others fit between them."""

    def __init__(self, peer: Peer) -> None:
        self._sender = peer._transceiver.sender
        self._transport = self._sender.transport
        self._send = self._transport._send_rtp
        self._seq = 60000
        self.timestamp = 0
        self._transport._send_rtp = self._number

    async def _number(self, data: bytes) -> None:
        if data[1] & 0x7F in range(64, 96):  # RTCP
            return await self._send(data)
        packet = RtpPacket.parse(data)
        self.timestamp = packet.timestamp
        return await self._out(packet)

    async def press(self, event: int, kind: int) -> None:
        """A key: five packets while it is down, three to say that it is up."""
        begin = self.timestamp
        for n in range(1, 9):
            payload = bytes([event, 0x80 if n > 5 else 0]) + (min(n, 6) * 160).to_bytes(2, "big")
            await self.add(kind, payload, begin)

    async def add(self, kind: int, payload: bytes, timestamp: int | None = None) -> None:
        await self._out(
            RtpPacket(
                payload_type=kind,
                timestamp=self.timestamp if timestamp is None else timestamp,
                ssrc=self._sender._ssrc,
                payload=payload,
            )
        )

    async def _out(self, packet: RtpPacket) -> None:
        packet.sequence_number = self._seq = (self._seq + 1) & 0xFFFF
        await self._send(packet.serialize())


def tone(at: float) -> np.ndarray:
    begin = round(at * SAMPLE_RATE)
    return (9000 * np.sin((begin + np.arange(FRAME)) * 2 * np.pi * 440 / SAMPLE_RATE)).astype(
        np.int16
    )


async def until(condition: Callable[[], object], within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - the condition is the other side's
            await asyncio.sleep(0.01)


Call = Callable[..., Awaitable[Line]]


@pytest.fixture
async def call_in() -> AsyncIterator[Call]:
    """The gateway calls us; no task of the two may be left."""
    before, made = asyncio.all_tasks(), []

    async def make(codec: str = "PCMU") -> Line:
        gateway, offer = await Peer.offer(codecs=(codec,))
        made.append(gateway)
        ours, answer = await Peer.answer(offer, codecs=PHONE_CODECS, events=True)
        made.append(ours)
        await gateway.accept(answer)
        await until(lambda: gateway.connected and ours.connected)
        return Line(gateway, ours)

    yield make
    for peer in made:
        await peer.close()
    await until(lambda: asyncio.all_tasks() - before <= {asyncio.current_task()})


@pytest.mark.parametrize("codec", PHONE_CODECS)
async def test_both_sides_are_heard_in_each_codec(call_in: Call, codec: str) -> None:
    line = await call_in(codec)
    back: list[np.ndarray] = []
    line.gateway.on_heard(lambda pcm, rate, at: back.append(pcm))
    line.gateway.track.source = line.ours.track.source = tone
    await until(lambda: line.loudness > 8000 and max(map(np.max, back), default=0) > 8000)
    assert line.ours.codec == line.gateway.codec == codec.lower()
    assert line.loudness < 12000  # Opus overshoots where a tone begins
    assert line.ours.hearing.packets_lost == line.ours.hearing.packets_bad == 0


@pytest.mark.parametrize(("codec", "kind"), [("PCMU", 101), ("G722", 101), ("opus", 102)])
async def test_digits_inside_speech_are_told_and_the_speech_is_whole(
    call_in: Call, codec: str, kind: int
) -> None:
    line = await call_in(codec)
    numbered = Numbered(line.gateway)
    line.gateway.track.source = tone
    await until(lambda: line.ours.hearing.packets_arrived > 10)
    for event in (1, 1, 9, 10, 11):
        released = numbered.timestamp + 1000
        await numbered.press(event, kind)
        await until(lambda released=released: numbered.timestamp > released)
    await until(lambda: len(line.digits) >= 5)  # what was sent last is still on its way
    assert line.digits == ["1", "1", "9", "*", "#"]
    hearing = line.ours.hearing
    assert hearing.packets_lost == hearing.packets_bad == 0
    assert hearing.seconds_concealed == 0


async def test_comfort_noise_is_neither_sound_nor_loss(call_in: Call) -> None:
    line = await call_in("PCMA")
    numbered = Numbered(line.gateway)
    await until(lambda: line.ours.hearing.packets_arrived > 5)
    before = line.ours.hearing
    for _ in range(5):
        await numbered.add(COMFORT_NOISE, b"\x40")
    await until(lambda: line.ours.hearing.packets_arrived >= before.packets_arrived + 15)
    assert line.ours.hearing.packets_lost == line.ours.hearing.packets_bad == 0
    assert line.loudness == 8  # A-law has no zero
    assert COMFORT_NOISE not in {codec.payloadType for codec in _answered(line.ours)}


def _answered(peer: Peer) -> list:
    return SessionDescription.parse(peer.local_sdp).media[0].rtp.codecs


async def test_music_on_hold_is_not_heard(call_in: Call) -> None:
    line = await call_in()
    numbered = Numbered(line.gateway)
    line.gateway.track.source = tone
    await until(lambda: line.loudness > 8000)
    line.ours.hold(True)
    line.sound.clear()
    await numbered.press(5, 101)
    await until(lambda: len(line.sound) > 10)
    assert line.loudness == 0
    assert line.digits == []
    line.ours.hold(False)
    await until(lambda: line.loudness > 8000)


async def test_what_is_heard_goes_through_a_filter_and_past_one_that_fails(call_in: Call) -> None:
    line = await call_in()
    rates: list[int] = []
    line.ours.on_heard(lambda pcm, rate, at: rates.append(rate))
    line.ours.through(lambda pcm, rate, at: (np.repeat(pcm, 2), 2 * rate, at))
    await until(lambda: 16000 in rates)

    def failing(pcm: np.ndarray, rate: int, at: float) -> tuple[np.ndarray, int, float]:
        raise TypeError("the owner's own mistake")

    line.ours.through(failing)
    rates.clear()
    await until(lambda: 8000 in rates)


async def test_what_is_sent_is_shown_with_its_time(call_in: Call) -> None:
    line = await call_in()
    shown: list[tuple[float, int]] = []
    line.ours.track.source = tone
    line.ours.track.on_frame = lambda pcm, at: shown.append((at, int(np.abs(pcm).max())))
    await until(lambda: len(shown) > 10)
    assert all(peak > 8000 for _, peak in shown)
    steps = [later[0] - earlier[0] for earlier, later in itertools.pairwise(shown)]
    # Each when it was due; a loop that was held up for long takes its count up anew.
    assert min(steps) == pytest.approx(0.02)


async def test_our_offer_names_the_codecs_of_this_call_alone() -> None:
    peer, offer = await Peer.offer(codecs=("PCMA", "opus"))
    [audio] = [line for line in offer.splitlines() if line.startswith("m=audio")]
    assert audio.split()[3:] == ["8", "96", "101", "102"]
    assert "a=rtpmap:101 telephone-event/8000" in offer
    assert "a=rtpmap:102 telephone-event/48000" in offer
    assert "PCMU" not in offer and "G722" not in offer
    await peer.close()
    peer, offer = await Peer.offer(codecs=("PCMU",), events=False)
    assert "telephone-event" not in offer
    await peer.close()


async def test_the_other_side_chooses_by_the_first_that_it_names() -> None:
    ours, offer = await Peer.offer()
    theirs, answer = await Peer.answer(offer, codecs=("PCMA",), events=True)
    both = answer.replace(" 8 101", " 8 0 101").replace(
        "a=rtpmap:8 PCMA/8000\r\n", "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
    )
    assert both != answer
    await ours.accept(both)
    assert ours.codec == "pcma"
    await ours.close()
    await theirs.close()


@pytest.mark.parametrize("broken", ["", "no SDP", "port", "codec", "fingerprint"])
async def test_an_answer_that_cannot_be_used_is_named_and_leaves_nothing(broken: str) -> None:
    ours, offer = await Peer.offer(codecs=("PCMU",))
    theirs, answer = await Peer.answer(offer, codecs=("PCMU",))
    bad = {
        "": "",
        "no SDP": "hello",
        "port": "m=audio 0".join(_cut(answer)),
        "codec": answer.replace("PCMU", "iLBC"),
        "fingerprint": "\r\n".join(x for x in answer.splitlines() if "fingerprint" not in x),
    }[broken]
    with pytest.raises(NoCodec if broken in ("port", "codec") else BadOffer):
        await ours.accept(bad)
    assert ours.closed
    await theirs.close()


def _cut(sdp: str) -> tuple[str, str]:
    head, rest = sdp.split("m=audio ", 1)
    return head, " " + rest.split(" ", 1)[1]


async def test_an_offer_rings_for_as_long_as_it_likes_and_can_be_dropped() -> None:
    peer, _ = await Peer.offer(connect_s=0.2)
    await asyncio.sleep(0.6)
    assert not peer.closed
    await peer.close()
    with pytest.raises(MediaError):
        await peer.accept("v=0")
