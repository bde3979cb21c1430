"""Lines on which digits are pressed while both sides speak: telephones, a registrar, Janus, and our
own line up to where an interview would get the key and the sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from telephone_calls import REGISTRAR
from voices import voice

from bench.phone_ends import answered
from server.call import LeaveReason, OnLeft
from server.media.g711 import MU_LAW
from server.media.outgoing import FRAME as OUR_FRAME
from server.media.peer import Peer
from server.phone import reception
from server.phone.accounts import Account as SipAccount
from server.phone.bridge import BridgeCall
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import OwnJanus
from server.phone.line import Line
from server.phone.softphone.call import Method, PhoneCall
from server.phone.softphone.impairment import Impairment
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.phone.softphone.speaking import FRAME
from server.phone.sound import PhoneSound
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, until

Pcm = np.ndarray
KEYS = "0123456789*#"
ACCOUNT = SipAccount("main", "viva", PBX, password="viva-word")
SETTLE_S = 1.0
"""After the last key: what is still on its way comes."""


class Straight:
    """A reception that asks for nothing."""

    def on(self, what: reception.Input, at: float) -> list[reception.Action]:
        return [reception.Join()] if isinstance(what, reception.Connected) else []


@dataclass
class Interview:
    """A leg that keeps what it gets, and speaks all the time."""

    peer: Peer
    on_left: OnLeft
    keys: str = ""
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    """Each stretch of sound as it was decoded, and how many samples came before it."""
    samples: int = 0
    live: bool = True

    def __post_init__(self) -> None:
        sound = PhoneSound()
        chance = np.random.default_rng(1)
        our_words = chance.integers(-5000, 5000, OUR_FRAME).astype(np.int16)

        def noted(pcm: Pcm, rate: int, at: float) -> tuple[Pcm, int, float]:
            self.frames.append((self.samples, pcm.tobytes()))
            self.samples += len(pcm)
            return sound.filter(pcm, rate, at)

        self.peer.through(noted)
        self.peer.track.on_frame = sound.played
        self.peer.track.source = lambda at: np.roll(our_words, round(at * 50) * 7)

    async def pressed(self, key: str) -> None:
        self.keys += key

    def leave(self, reason: LeaveReason) -> None:
        self.live = False
        self.on_left(reason)


class Host:
    """Host, equipment and records of a line that goes straight to its interview."""

    recogniser = property(lambda self: self)
    model = "none"

    def __init__(self) -> None:
        self.interviews: list[Interview] = []
        self._running: list[asyncio.Task[Any]] = []

    def called(self, call: BridgeCall) -> None:
        self._running.append(asyncio.create_task(self._take(call)))

    async def ended(self) -> None:
        await asyncio.gather(*self._running)

    def reception_voice(self, *_: object) -> Host:
        return self

    async def recognise(self, *_: object, **__: object) -> object:
        raise AssertionError("nobody is to be understood")

    async def keep_place(self, interview_id: str) -> None: ...

    async def join_line(self, interview_id: str, peer: Peer, on_left: OnLeft) -> Interview:
        self.interviews.append(Interview(peer, on_left))
        return self.interviews[-1]

    async def _take(self, call: BridgeCall) -> None:
        peer = await answered(call)
        mine = cast(Any, self)
        await Line(call, peer, cast(Any, Straight()), mine, mine, mine, language="en").run()


@dataclass
class Talk:
    """A call on which keys are pressed, from both of its ends."""

    caller: PhoneCall
    ours: Interview
    keys: str = ""
    """What was pressed."""

    async def press(self, keys: str, method: Method, seed: int) -> None:
        """While the caller speaks without pause, up to the last key and beyond."""
        self.caller.play(voice(seed, 0.3 * len(keys) + 4))
        await self.caller.press(keys, gap_s=0.1, method=method, down_s=0.1)
        self.keys += keys
        await until(lambda: len(self.ours.keys) >= len(self.keys), 20, lambda: self.ours.keys)
        await asyncio.sleep(SETTLE_S)  # a key that comes twice comes then
        self.caller.hush()
        came = self.ours.samples
        await until(lambda: self.ours.samples > came + 8000)  # behind the last words

    def account(self) -> Account:
        """Of the sound both ways."""
        sent = [one for one in self.caller.sent_frames if one.pcm.any()]
        place = {MU_LAW.decode(one.packet.payload).tobytes(): one.packet.timestamp for one in sent}
        found = [(at, place[raw]) for at, raw in self.ours.frames if raw in place]
        order = [timestamp for _, timestamp in found]
        shifts = [at - (timestamp - order[0]) for at, timestamp in found]
        back = self.caller.statistics
        stamps = [one.packet.timestamp for one in self.caller.heard_frames]
        return Account(
            said=len(sent),
            heard=len(found),
            in_order=order == sorted(set(order)),
            shift_s=(max(shifts) - min(shifts)) / 8000,
            back=back.packets,
            back_lost=back.lost,
            back_span=(max(stamps) - min(stamps)) // FRAME + 1,
        )


@dataclass
class Account:
    """In frames of 20 ms."""

    said: int
    heard: int
    """Of those that the caller said, with every sample as it was."""
    in_order: bool
    """Each of them once, and where it belongs."""
    shift_s: float
    """The most that sound was moved in our time, against where it was in the caller's."""
    back: int
    """Our own, at the caller."""
    back_lost: int
    back_span: int
    """How many there are from the first to the last, by their timestamps."""


@asynccontextmanager
async def talks(folder: Path, count: int, loss: float) -> AsyncIterator[list[Talk]]:
    """So many calls at once, each way with this share of its packets lost."""
    host, line = Host(), Impairment(loss)
    options = Options(("PCMU/8000",), sending=line, hearing=line)
    async with gateway(folder, host, count), anna(options) as phone:
        made = []
        for nth in range(count):
            call = await phone.call("viva")
            await until(lambda nth=nth: len(host.interviews) > nth, what="no interview began")  # type: ignore[misc]
            made.append(Talk(call, host.interviews[nth]))
        yield made
        await asyncio.gather(*(one.caller.hang_up() for one in made))
        await host.ended()


def anna(options: Options) -> Phone:
    return Phone(CALLERS, REGISTRAR, "anna", "anna-word", seed=5, options=options)


@asynccontextmanager
async def gateway(folder: Path, host: Host, lines: int) -> AsyncIterator[None]:
    async def towards() -> list[str]:
        return [PBX]

    own = OwnJanus(folder / "janus", (21000, 21399), address=VIVA, towards=towards)
    bridge = JanusBridge([ACCOUNT], own, lines=lines)
    bridge.on_call(host.called)
    await bridge.start()
    try:
        await until(lambda: bridge.free_lines == lines, what=lambda: str(bridge.state))
        yield
    finally:
        await bridge.stop()
