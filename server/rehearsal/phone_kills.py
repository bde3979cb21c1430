"""SIGKILLs in the middle of telephone interviews: of the gateway, or of the server.

    python -m server.rehearsal.phone_kills --kills 60

As `server.rehearsal.kills`, by telephone: the caller hears that the line is dead, calls again, keys
the PIN and goes on. The gateway is not started again here: the server has to do that. Root only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Literal, get_args

from rich.console import Console

from agent.plan import Plan
from server.rehearsal import kills
from server.rehearsal.candidate import Candidate
from server.rehearsal.client import Guest, Invitation, Operator
from server.rehearsal.floor import Floor
from server.rehearsal.kills import Killer, Survived, Victim
from server.rehearsal.legs import Connect, SpokenLeg
from server.rehearsal.notebook import Notebook
from server.rehearsal.phone.caller import Caller
from server.rehearsal.phone.ground import until, why_not
from server.rehearsal.phone.stage import SERVER, Stage, stage
from server.rehearsal.processes import ServerProcess
from server.rehearsal.run import shipped_plan
from server.rehearsal.survival import Moment

Who = Literal["janus", "server"]
RING_S = 5.0
"""A call into a gateway that is gone is not answered; a person redials before SIP gives it up."""
DEAD_S = 2.0
"""Without a packet for so long, the caller knows that nobody is there."""
LOOK_S = 0.1
AGAIN_S = 60.0
"""From a kill until the server has its gateway and its registration again: up to half a minute is
the back-off after a row of kills."""
QUESTIONS = ("experience", "start")
PER_INTERVIEW: tuple[Moment, ...] = (
    *("candidate_speaks", "question", "reception", "greeting", "deciding", "closing"),
    *("candidate_speaks", "question", "reception", "grading"),
)
PASSES = 0.3
"""The share of moments that are let pass, as long as another question comes."""


def short_plan(questions: Sequence[str] = QUESTIONS) -> Plan:
    """The shipped plan with these questions only."""
    whole = shipped_plan("rehearsal_en.yaml").model_dump(mode="json", exclude_unset=True)
    for stage_ in whole["stages"]:
        kept = [one for one in stage_.get("questions", ()) if one["id"] in questions]
        stage_["questions"] = kept
    whole["stages"] = [one for one in whole["stages"] if one["questions"] or one["id"] == "closing"]
    judged = {name for one in whole["stages"] for q in one["questions"] for name in _rubrics(q)}
    whole["rubrics"] = [one for one in whole["rubrics"] if one["id"] in judged]
    known = {one["dimension"] for one in whole["rubrics"]}
    weightless = dict.fromkeys({"problem_solving", "clarity", "logic"} - known, 0)
    return Plan.model_validate(whole | {"plan_id": "short", "dimension_weights": weightless})


def _rubrics(question: dict[str, list[str]]) -> list[str]:
    return question.get("rubric_ids", [])


# --- who is killed ------------------------------------------------------------------------------


class GatewayOf:
    """The Janus of a server: killed, and waited for until the server has it again."""

    name = "janus"

    def __init__(self, folder: Path) -> None:
        """`folder`: the server's data."""
        self._pid, self._state = folder / "janus" / "janus.pid", folder / "janus" / "state.json"
        self._killed = 0

    async def kill(self) -> None:
        self._killed = int(self._pid.read_text(encoding="ascii"))
        os.kill(self._killed, signal.SIGKILL)

    async def start(self) -> None:
        """It is the server that starts it. Raises `TimeoutError`."""
        await until(self._back, AGAIN_S, "the gateway is not registered again")

    def forget(self) -> None:
        """What an earlier server knew of it says nothing any more."""
        self._state.unlink(missing_ok=True)

    def _back(self) -> bool:
        try:
            again = int(self._pid.read_text(encoding="ascii")) != self._killed
            accounts = json.loads(self._state.read_text(encoding="utf-8"))["accounts"]
        except (OSError, ValueError):  # just being made
            return False
        return again and all(one["state"] == "registered" for one in accounts.values())


class ServerAndGateway:
    """A server, which takes its gateway with it; waited for until it is registered again."""

    name = "server"

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self._server, self._gateway = server, GatewayOf(folder)

    async def kill(self) -> None:
        await self._server.kill()
        self._gateway.forget()

    async def start(self) -> None:
        await self._server.start()
        await self._gateway.start()


class InTurn:
    """One victim, then the next, and again."""

    def __init__(self, victims: Sequence[Victim]) -> None:
        self._victims = cycle(victims)
        self._now = next(self._victims)

    @property
    def name(self) -> str:
        return self._now.name

    async def kill(self) -> None:
        await self._now.kill()

    async def start(self) -> None:
        killed, self._now = self._now, next(self._victims)
        await killed.start()


class CallKiller(Killer):
    """Knows the moments of a telephone call."""

    def __init__(
        self,
        victim: Victim,
        moments: Sequence[Moment],
        chance: random.Random,
        calling: Callable[[], bool],
        last_question: str,
    ) -> None:
        """`calling`: whether a call of the candidate's is up."""
        super().__init__(victim, moments, chance)
        self._calling, self._last_question = calling, last_question

    def _now(self, candidate: Candidate) -> Moment | None:
        if candidate.doing.phase == "away":
            return "reception" if self._calling() else None
        return super()._now(candidate)

    def speaks(self, floor: Floor) -> Moment:
        return "greeting" if floor.question_id is None else "question"

    def _passes(self, moment: Moment) -> bool:
        assert self._candidate is not None, "watch() first"
        comes_again = moment in ("question", "candidate_speaks", "deciding")
        more = self._candidate.floor.question_id != self._last_question
        return comes_again and more and self._chance.random() < PASSES


# --- how the candidate is there -------------------------------------------------------------------


class ByTelephone(kills.Way):
    unnoticed_s = DEAD_S + 1.0

    def __init__(
        self, telephones: Stage, victims: Sequence[Who], questions: Sequence[str] = QUESTIONS
    ) -> None:
        self.settings = telephones.settings
        self._telephones, self._victims, self._questions = telephones, victims, questions

    def plan(self) -> Plan:
        return short_plan(self._questions)

    def killer(
        self, server: ServerProcess, moments: Sequence[Moment], chance: random.Random, folder: Path
    ) -> Killer:
        known: dict[Who, Victim] = {
            "janus": GatewayOf(folder),
            "server": ServerAndGateway(server, folder),
        }
        victim = InTurn([known[one] for one in self._victims])
        return CallKiller(victim, moments, chance, self._calling, self._questions[-1])

    async def connect(
        self, guest: Guest, operator: Operator, invitation: Invitation, pages: Notebook
    ) -> Connect:
        phone = self._telephones.phone
        caller = Caller(phone, SERVER, invitation.pin, recording=False)

        async def connect() -> SpokenLeg:
            # A consent keyed into a line that had just died was heard by nobody.
            log = await operator.events(invitation.interview_id)
            caller.agreed = any(one["event"]["type"] == "consent_recorded" for one in log)
            async with asyncio.timeout(RING_S):
                leg = await caller.dial()
            pages.write({"at": time.time(), "type": "answered"})
            try:
                return await caller.through_reception(leg)
            finally:
                pages.write({"at": time.time(), "type": "came_through"})

        return connect

    def _calling(self) -> bool:
        return any(call.state == "up" for call in self._telephones.phone.calls)

    async def beside(self, candidate: Candidate) -> None:
        """Hang up a line that is dead: whose gateway died, there comes no BYE."""
        while True:
            await asyncio.sleep(LOOK_S)
            for call in self._telephones.phone.calls:
                last = max([call.up_at, *(frame.at for frame in call.heard_frames[-1:])])
                if call.state == "up" and time.monotonic() - last > DEAD_S:
                    call.vanish()
                    candidate.lost()


def deal(count: int) -> list[list[Moment]]:
    """The moments of each interview."""
    whole = len(PER_INTERVIEW)
    return [list(PER_INTERVIEW[: min(whole, count - n)]) for n in range(0, count, whole)]


async def series(
    count: int,
    seed: int,
    console: Console,
    victims: Sequence[Who] = get_args(Who),
    questions: Sequence[str] = QUESTIONS,
    keep: Path | None = None,
) -> list[Survived]:
    """So many kills, of one victim or of several in turn."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        async with stage(Path(folder)) as telephones:
            for number, moments in enumerate(deal(count), seed + 1):
                # Whoever was second in one interview is first in the next.
                order = victims if number % 2 else victims[::-1]
                way = ByTelephone(telephones, order, questions)
                kept = keep / str(number) if keep else None
                found.append(await kills.interview(moments, number, kept, way))
                told = json.dumps(figures(found[-1:]))
                console.print(f"interview {number}: {told}", markup=False, soft_wrap=True)
    return found


def figures(held: Sequence[Survived]) -> dict[str, object]:
    """The series in one JSON object."""
    who = Counter(kill.victim for one in held for kill in one.kills)
    return kills.figures(held) | {"name": "phone_kills", "victims": dict(who)}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m server.rehearsal.phone_kills")
    parser.add_argument("--victim", choices=get_args(Who), help="by default both, in turn")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder for every interview's data")
    options = parser.parse_args()
    if reason := why_not("janus", "kamailio"):
        print(reason)
        return 2
    console, victims = Console(), [options.victim] if options.victim else get_args(Who)
    held = asyncio.run(series(options.kills, options.seed, console, victims, keep=options.keep))
    console.print(kills.table(held))
    for text in kills.failed(held):
        console.print(f"FAILED  {text}", markup=False)
    print(json.dumps(figures(held)))
    return 1 if kills.failed(held) else 0


if __name__ == "__main__":
    sys.exit(main())
