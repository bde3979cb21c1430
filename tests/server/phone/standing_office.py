"""An office that stays open for all the tests of a module: network, PBX, gateway and host are one
for them, and each test has an interview of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from extensions import EXTENSIONS, NUMBERS
from live_calls import Caller
from telephone_calls import Office, hears, office

from agent.events import CallJoined
from agent.plan import Plan
from asr import rehearsal
from asr.engine import Engine
from server.phone.outbound import Policy
from server.phone.softphone.call import Method, PhoneCall
from server.phone.softphone.endpoint import Timers
from server.phone.softphone.phone import Phone
from server.rehearsal import model
from server.rehearsal.faults import NONE
from server.rehearsal.phone.ground import CALLERS, Ground, until
from server.rehearsal.phone.registrar import Registrar

LINES = 4
PLACES = 40
"""Whoever has left keeps a place for a while, and each test leaves somebody."""


@dataclass
class Standing:
    office: Office
    ground: Ground
    pbx: Registrar

    @property
    def lines(self) -> int:
        """How many calls are on."""
        return self.office.board.state.calls

    async def agreed(self, plan: Plan) -> tuple[Caller, str]:
        """Somebody who has agreed on the page, and their PIN: it leads straight on."""
        interview_id = await self.office.at.invite(plan)
        pin = await self.office.pins.issue(interview_id, 3600.0)
        return Caller(self.office.at, plan, interview_id), pin

    async def free(self) -> None:
        """Every line is."""
        await until(lambda: self.lines == 0, what=lambda: str(self.office.board.state))


@asynccontextmanager
async def standing(folder: Path, policy: Policy | None = None) -> AsyncIterator[Standing]:
    """The PBX asks nobody for a password, so that sipp can call."""
    floor_s = rehearsal.FLOOR_S
    with (
        Ground(folder) as ground,
        model.serving(NONE) as url,
        Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=floor_s) as engine,
    ):
        pbx = Registrar(ground, EXTENSIONS, NUMBERS, challenge_calls=False)
        await pbx.start()
        try:
            rendered = folder / "rendered"
            async with office(
                folder, rendered, url, engine, lines=LINES, places=PLACES, policy=policy
            ) as it:
                yield Standing(it, ground, pbx)
        finally:
            pbx.stop()


def caller(user: str = "anna", *, register: bool = False, **more: object) -> Phone:
    """A telephone; only one that is to be called has to be registered."""
    made = {"timers": Timers(t1=0.1), "register": register} | more
    return Phone(CALLERS, Registrar.address, user, EXTENSIONS[user], **made)  # type: ignore[arg-type]  # passed on


async def enters(call: PhoneCall, pin: str, method: Method = "rfc4733") -> None:
    """The PIN, into the words that ask for it."""
    await hears(call, 0.0, 0.3)
    await call.press(pin, gap_s=0.06, method=method, down_s=0.06)


async def reaches(ada: Caller, call: PhoneCall, pin: str, n: int = 1) -> None:
    """The PIN leads to the interview."""
    await enters(call, pin)
    await ada.event(CallJoined, n, channel="phone")
