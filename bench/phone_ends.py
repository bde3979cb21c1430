"""The two ends of a call whose delay is measured (`bench.phone_delay`)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from bench.phone_frames import FRAME, RATE, Pattern, Pcm
from server.media.codecs import PHONE_CODECS
from server.media.g711 import MU_LAW
from server.media.ice import IceSettings
from server.media.peer import Peer
from server.media.receiver import RtpPacket
from server.phone.accounts import Account
from server.phone.bridge import BridgeCall
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import OwnJanus
from server.phone.sdp import repair
from server.phone.sound import PhoneSound
from server.phone.watchdog import LineWatch
from server.rehearsal.phone.ground import PBX, VIVA, until

EXTENSIONS = {"viva": "viva-word", "anna": "anna-word", "ben": "ben-word"}
HANDLE = "_handle_rtp_packet"
"""Where aiortc gives a receiver its packets."""


class Ear:
    """Our end of a call: notes each frame as it comes out behind the telephone's filter."""

    def __init__(self, peer: Peer, seed: int) -> None:
        self.peer, self.pattern = peer, Pattern(seed)
        self.heard: list[tuple[float, bytes]] = []
        self.filter_s = 0.0
        """What the filter adds by design."""
        self._sound = PhoneSound()
        self._raw = b""
        self._loop = asyncio.get_running_loop()
        peer.through(self._filtered)
        peer.on_heard(lambda pcm, rate, at: self.heard.append((self._loop.time(), self._raw)))
        peer.track.on_frame = self._sound.played
        peer.track.source = self.pattern.frame

    def _filtered(self, pcm: Pcm, rate: int, at: float) -> tuple[Pcm, int, float]:
        self._raw = pcm.tobytes()
        sound, sound_rate, sound_at = self._sound.filter(pcm, rate, at)
        self.filter_s = at - sound_at
        return sound, sound_rate, sound_at


async def answered(call: BridgeCall) -> Peer:
    """As the switchboard takes a call."""
    assert call.offer is not None
    peer, sdp = await Peer.answer(
        repair(call.offer),
        ice=IceSettings(media_ip=VIVA),
        codecs=PHONE_CODECS,
        liveness=LineWatch(),
        events=True,
    )
    await call.answer(sdp)
    return peer


@asynccontextmanager
async def gateway(
    folder: Path, lines: int
) -> AsyncIterator[Callable[[], asyncio.Future[BridgeCall]]]:
    """A Janus that is registered; gives what waits for the next call."""

    async def towards() -> list[str]:
        return [PBX]

    janus = OwnJanus(folder / "janus", (21000, 21399), address=VIVA, towards=towards)
    account = Account("main", "viva", PBX, password=EXTENSIONS["viva"])
    bridge = JanusBridge([account], janus, lines=lines)
    waiting: list[asyncio.Future[BridgeCall]] = []
    bridge.on_call(lambda call: waiting.pop(0).set_result(call))

    def next_call() -> asyncio.Future[BridgeCall]:
        waiting.append(asyncio.get_running_loop().create_future())
        return waiting[-1]

    await bridge.start()
    try:
        await until(lambda: bridge.accounts["main"].state == "registered", what="not registered")
        await until(lambda: bridge.free_lines == lines, what="no line is free")
        yield next_call
    finally:
        await bridge.stop()


class Prepared:
    """An encoder that has its packets already: each is known by its bytes."""

    clock_rate = RATE

    def __init__(self, pcm: Pcm, now: Callable[[], float]) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self._frames = iter(np.split(pcm, len(pcm) // FRAME))
        self._now = now

    def encode(self, pcm: Pcm) -> bytes:
        frame = next(self._frames, np.zeros(FRAME, np.int16))
        self.sent.append((self._now(), frame.tobytes()))
        return MU_LAW.encode(frame)


def lossy(
    receiver: object,
    loss: float,
    chance: random.Random,
    note: Callable[[RtpPacket], None] = lambda packet: None,
) -> None:
    """Lose this share of what a receiver of aiortc's gets; `note` is told of the rest."""
    deliver = getattr(receiver, HANDLE)

    async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
        if chance.random() >= loss:
            note(packet)
            await deliver(packet, arrival_time_ms=arrival_time_ms)

    setattr(receiver, HANDLE, handle)
