"""Interviews over the real telephone network of `ground.py`: a real registrar, a real Janus, the
real host; the caller is our SIP telephone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from live_calls import Caller, Exchange, exchange, sound
from scipy.signal import resample_poly

from agent.plan import Plan
from asr.engine import Engine
from server.equipment import Equipment
from server.host import CallHost, Companion
from server.media.ice import IceSettings
from server.phone.accounts import Account
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import OwnJanus
from server.phone.outbound import Policy
from server.phone.pins import Pins
from server.phone.resolver import resolve
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.phone import Phone
from server.phone.switchboard import BoardSettings, Switchboard
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, until
from server.store import Store

KEY = b"a key of the tests"
REGISTRAR = f"{PBX}:5060"
VALID_S = 3600.0
PAUSE_S = 1.2
"""Longer than between two lines of the reception."""


@dataclass
class Office:
    """A host that can be called, and what it has written."""

    at: Exchange
    pins: Pins
    boards: list[Switchboard]

    @property
    def board(self) -> Switchboard:
        return self.boards[-1]

    async def invite(self, plan: Plan) -> tuple[Caller, str]:
        """Somebody who has agreed to nothing yet, and their PIN."""
        record = await self.at.store.create_interview(plan, candidate_name="Ada", rehearsal=True)
        pin = await self.pins.issue(record.interview_id, VALID_S)
        return Caller(self.at, plan, record.interview_id), pin

    async def registered(self) -> None:
        await until(
            lambda: all(one.state == "registered" for one in self.board.state.accounts.values()),
            within_s=20,
            what=lambda: str(self.board.state),
        )


@asynccontextmanager
async def office(
    folder: Path,
    rendered: Path,
    model_url: str,
    engine: Engine,
    *,
    lines: int = 4,
    places: int = 4,
    policy: Policy | None = None,
) -> AsyncIterator[Office]:
    boards: list[Switchboard] = []

    def companion(store: Store) -> Callable[[CallHost, Equipment], Companion]:
        def make(host: CallHost, equipment: Equipment) -> Companion:
            async def towards() -> list[str]:
                return await resolve(PBX)

            gateway = OwnJanus(folder / "janus", (21000, 21399), address=VIVA, towards=towards)
            account = Account("main", "viva", PBX, password="viva-word")
            bridge = JanusBridge([account], gateway, lines=lines)
            settings = BoardSettings(
                "main", ice=IceSettings(media_ip=VIVA), policy=policy or Policy()
            )
            boards.append(Switchboard(bridge, store, Pins(store, KEY), host, equipment, settings))
            return boards[-1]

        return make

    async with exchange(
        folder, rendered, model_url, engine, places=places, companion=companion
    ) as at:
        made = Office(at, Pins(at.store, KEY), boards)
        await made.registered()
        yield made


def phone(user: str = "anna", **more: object) -> Phone:
    """One of the PBX's telephones."""
    return Phone(CALLERS, REGISTRAR, user, f"{user}-word", **more)  # type: ignore[arg-type]  # passed on


def narrow(words: str) -> np.ndarray:
    """Words as a telephone sends them: 8 kHz."""
    slow = resample_poly(sound(words).astype(np.float64), 1, 2)
    pcm: np.ndarray = np.clip(slow, -32768, 32767).astype(np.int16)
    return pcm


async def agrees(call: PhoneCall, *keys: str) -> None:
    """To each question of the reception, once it was heard: a yes before that does not count."""
    for key in keys:
        await hears(call, asyncio.get_running_loop().time(), 0.2)
        await silent(call, PAUSE_S)
        await call.press(key)


async def hears(call: PhoneCall, since: float, seconds: float = 0.5, within_s: float = 30) -> None:
    """So much of our voice has come to the caller since then."""
    await until(lambda: loud_s(call, since) >= seconds, within_s, what=lambda: "nothing was heard")


def loud_s(call: PhoneCall, since: float = 0.0) -> float:
    frames = call.heard(since)
    whole = frames[: len(frames) // 160 * 160].reshape(-1, 160)
    return float((np.abs(whole).max(axis=1, initial=0) > 500).sum() * 0.02)


async def silent(call: PhoneCall, for_s: float = 0.8, within_s: float = 60) -> None:
    """Our voice has paused for so long, after having been heard."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within_s):
        while loud_s(call, loop.time() - for_s) > 0.1 or loud_s(call) < 0.3:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
