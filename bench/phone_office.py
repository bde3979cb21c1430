"""A real server with a telephone, its PBX and callers, in a network of its own; for benchmarks.

kamailio, Janus and `viva serve --phone` are processes of their own; the callers are our telephone.
"""

from __future__ import annotations

import asyncio
import math
import re
import secrets
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from agent.plan import Plan
from server.media.resample import Resampler
from server.phone.softphone.call import PhoneCall
from server.phone.softphone.listening import SAMPLE_RATE
from server.phone.softphone.options import Options
from server.phone.softphone.phone import Phone
from server.rehearsal import faults, model, voicebox
from server.rehearsal.client import Invitation, Operator
from server.rehearsal.phone.caller import Caller, PhoneClient
from server.rehearsal.phone.ground import CALLERS, PBX, VIVA, Ground
from server.rehearsal.phone.registrar import Registrar
from server.rehearsal.phone_kills import short_plan
from server.rehearsal.processes import ServerProcess, free_port
from server.rehearsal.run import settings
from server.rehearsal.script import Voice
from server.rehearsal.sound import Samples

SERVER, CANDIDATE = "viva", "candidate"
QUESTIONS = ("warm_up", "experience", "weakness", "start")
"""So many that no benchmark comes to the end of its interview."""
PATIENT = (120.0, 240.0, 360.0)
"""A silence ladder that no benchmark reaches."""
LOOK_S = 0.1
WITHIN_S = 90.0


def patient_plan() -> Plan:
    """A few questions, and all the time in the world to answer them."""
    plan = short_plan(QUESTIONS)
    policy = plan.policy.model_copy(update={"silence_ladder_s": PATIENT})
    return plan.model_copy(update={"policy": policy})


@dataclass
class Office:
    ground: Ground
    server: ServerProcess
    operator: Operator
    phone: Phone
    """The candidates'; it holds many calls at once."""
    folder: Path
    """The server's data."""

    async def invite(self) -> Invitation:
        return await self.operator.invite(patient_plan(), "Synthetic Candidate")

    async def join(self, invitation: Invitation) -> PhoneClient:
        """A call up to the interview's first words. Raises `OSError`."""
        return await Caller(self.phone, SERVER, invitation.pin, recording=False).connect()

    async def asked(self, interview_id: str) -> None:
        """Until the first question was said."""
        await self.event(interview_id, "line_spoken", kind="question", question_id=QUESTIONS[0])

    async def event(
        self, interview_id: str, what: str, /, *, after: int = 0, **facts: object
    ) -> dict[str, Any]:
        """The first such event behind the one of this number, once it is durable. Raises
        `TimeoutError`."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for entry in await self.operator.events(interview_id):
                    event: dict[str, Any] = entry["event"]
                    fits = event["type"] == what and facts.items() <= event.items()
                    if fits and entry["seq"] > after:
                        return event
                await asyncio.sleep(LOOK_S)

    async def last(self, interview_id: str) -> int:
        """The number of the newest event."""
        return int((await self.operator.events(interview_id))[-1]["seq"])

    @property
    def janus_pid(self) -> int:
        return int((self.folder / "janus" / "janus.pid").read_text(encoding="ascii"))

    def memory_mb(self) -> float:
        """Resident, of server and gateway together."""
        assert self.server.pid is not None, "it runs"
        return sum(resident_mb(pid) for pid in (self.server.pid, self.janus_pid))


@asynccontextmanager
async def office(
    folder: Path, *, lines: int, places: int = 4, challenge_calls: bool = True
) -> AsyncIterator[Office]:
    """`lines`: calls at once; `places`: interviews at once. `challenge_calls`: whether the PBX asks
    a caller for a password."""
    words = {name: secrets.token_hex(12) for name in (SERVER, CANDIDATE)}
    (folder / "network").mkdir()
    async with AsyncExitStack() as stack:
        ground = stack.enter_context(Ground(folder / "network"))
        registrar = Registrar(ground, words, challenge_calls=challenge_calls)
        await registrar.start()
        stack.callback(registrar.stop)
        options = Options(codecs=("PCMU/8000",))
        phone = Phone(CALLERS, registrar.address, CANDIDATE, words[CANDIDATE], options=options)
        await stack.enter_async_context(phone)
        url, key = stack.enter_context(model.serving(faults.NONE)), secrets.token_urlsafe(24)
        chosen = settings(folder, key, url, model.NAME) | {
            "VIVA_MAX_INTERVIEWS": str(places),
            "VIVA_PHONE": "true",
            "VIVA_PHONE_REGISTRAR": registrar.address,
            "VIVA_PHONE_USER": SERVER,
            "VIVA_PHONE_PASSWORD": words[SERVER],
            "VIVA_PHONE_ADDRESS": VIVA,
            "VIVA_PHONE_NUMBER": SERVER,
            "VIVA_PHONE_CALLS": str(lines),
            "VIVA_TRUSTED_HOSTS": PBX,
        }
        server = ServerProcess(chosen, free_port(), folder / "server.log")
        stack.push_async_callback(server.stop)
        await server.start()
        operator = await stack.enter_async_context(Operator(server.base_url, key))
        yield Office(ground, server, operator, phone, folder)


@cache
def spoken(words: str) -> Samples:
    """By the rehearsal's voice, as a telephone sends it; made beforehand, it disturbs nobody."""
    sound = voicebox.rendered(words, Voice())
    return Resampler(voicebox.RATE, SAMPLE_RATE).push(sound)


def resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) / 1024 if found else 0.0


def gaps_ms(call: PhoneCall, since: float, until: float) -> list[float]:
    """Between the arrivals of two packets of sound, in these monotonic seconds."""
    times = [frame.at for frame in call.heard_frames if since <= frame.at <= until]
    return [1000 * (after - before) for before, after in pairwise(times)]


def rank(values: Iterable[float], share: float) -> float:
    """Nearest rank; NaN of nothing."""
    known = sorted(values)
    return known[max(0, math.ceil(share * len(known)) - 1)] if known else math.nan


def spread_ms(gaps: Sequence[float]) -> dict[str, float]:
    return {
        "packets": len(gaps) + 1,
        **{f"p{100 * share:g}": round(rank(gaps, share), 1) for share in (0.5, 0.95, 0.99)},
        "max": round(max(gaps, default=math.nan), 1),
    }


def loud_s(call: PhoneCall, since: float) -> float:
    """So much of a voice has come to the caller since then."""
    frames = call.heard(since)
    whole = frames[: len(frames) // 160 * 160].reshape(-1, 160)
    return float((np.abs(whole.astype(np.int32)).max(axis=1, initial=0) > 500).sum() * 0.02)


async def for_s(seconds: float) -> tuple[float, float]:
    """A stretch of time, by the clock of `gaps_ms`."""
    began = time.monotonic()
    await asyncio.sleep(seconds)
    return began, time.monotonic()
