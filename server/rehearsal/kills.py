"""SIGKILLs of the server in the middle of interviews: what was committed must still be there.

    python -m server.rehearsal.kills --kills 60

Several kills fall into one interview: the server is started again, the candidate rejoins and goes
on. The stand-in model takes its time, so that a decision or a grading is there to be hit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table

import prompts
from agent.plan import Plan
from server.rehearsal import check, evidence, faults, model, notebook, survival
from server.rehearsal.candidate import Candidate
from server.rehearsal.candidates import built_in
from server.rehearsal.client import Guest, Invitation, Operator
from server.rehearsal.floor import Floor
from server.rehearsal.legs import Connect, in_browser
from server.rehearsal.processes import ServerProcess, free_port
from server.rehearsal.run import settings, shipped_plan
from server.rehearsal.script import Performance, Script, Turn
from server.rehearsal.survival import MOMENTS, Kill, Losses, Moment
from server.rehearsal.voicebox import Voicebox

DECISION_S = 3.0
"""Longer than the silence that ends a turn: a shorter decision is made before the turn is over."""
GRADING_S = 1.0
"""For one question's grading; the last one's is held up, so that there is a grading to be hit: the
others are graded while the interview goes on."""
PASSES: dict[Moment, float] = {"agent_speaks": 0.6, "candidate_speaks": 0.6, "deciding": 0.3}
"""The share of moments that are let pass, so that kills do not all come at the first ones."""
LONGEST_S: dict[Moment, float] = {"deciding": 0.3, "closing": 2.0, "reception": 6.0}
"""How far into a moment a kill may come, where that is not a second and a half."""
REPORT_WITHIN_S = 90.0
HELD_WITHIN_S = 900.0
TICK_S = 0.01
NEVER_S = 3600.0
PER_INTERVIEW: dict[Moment, int] = {
    "agent_speaks": 3,
    "candidate_speaks": 3,
    "deciding": 2,
    "closing": 2,
    "grading": 2,
}
RULES: tuple[check.Rule, ...] = (
    check.questions_come_in_the_plans_words_and_order,
    check.the_interview_is_complete,
    check.one_greeting,
    check.no_question_is_said_for_nothing,
    check.the_interviewer_says_nothing_of_its_own,
    check.the_report_is_valid,
    check.one_final_report,
    check.every_quote_stands,
    check.the_chain_holds,
)
"""What must hold however often the server was killed."""


@dataclass(frozen=True)
class Survived:
    """One interview and its kills."""

    kills: tuple[Kill, ...]
    hits: tuple[Kill, ...]
    """Those of which notes and log show that they came at their moment."""
    planned: int
    losses: Losses
    faults: tuple[str, ...]
    rejoins: int
    wall_s: float


class Victim(Protocol):
    """A `ServerProcess`, or what else dies and comes again."""

    @property
    def name(self) -> str: ...
    async def kill(self) -> None: ...
    async def start(self) -> None:
        """Until it is there again."""


class Killer:
    """Waits for the moments it was given, in any order that comes, and kills at each."""

    def __init__(self, victim: Victim, moments: Sequence[Moment], chance: random.Random) -> None:
        self.kills: list[Kill] = []
        self.left = Counter(moments)
        self._victim = victim
        self._chance = chance
        self._candidate: Candidate | None = None
        self._settled = False
        self._armed: tuple[Moment, float] | None = None

    def watch(self, candidate: Candidate) -> None:
        self._candidate = candidate

    def feed(self, message: dict[str, Any]) -> None:
        """A message of the control channel."""
        if message.get("type") == "committed":
            if message.get("event") == "turn_settled":
                self._settled = True
            elif message.get("event") == "move_heard":
                self._settled = False

    async def during(self) -> None:
        """Kill while the interview goes on, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            moment = self._moment()
            if moment is None:
                self._armed = None
            elif self._armed is None or self._armed[0] != moment:
                self._armed = (moment, time.monotonic() + self._after(moment))
            elif time.monotonic() >= self._armed[1]:
                await self._kill(moment)

    async def afterwards(self) -> None:
        """Kill while the answers are graded, as often as that is still to come."""
        while self.left["grading"]:
            await asyncio.sleep(self._chance.uniform(0.2, 1.5))
            await self._kill("grading")

    def _moment(self) -> Moment | None:
        """The moment that it is now, if a kill is due for it."""
        assert self._candidate is not None, "watch() first"
        now = None if self._candidate.floor.ended else self._now(self._candidate)
        return now if now is not None and self.left[now] else None

    def _now(self, candidate: Candidate) -> Moment | None:
        floor, doing = candidate.floor, candidate.doing
        if doing.phase == "away":
            return None
        if self._settled and floor.state != "speaking":
            return "deciding"
        if floor.speaking_since is not None:
            return "closing" if floor.closing else self.speaks(floor)
        return "candidate_speaks" if doing.phase == "speaking" else None

    def speaks(self, floor: Floor) -> Moment:
        """What the interviewer's speaking is called here."""
        return "agent_speaks"

    def _after(self, moment: Moment) -> float:
        """How far into the moment."""
        longest = LONGEST_S.get(moment, 1.5)
        return self._chance.uniform(0.0, longest) + (NEVER_S if self._passes(moment) else 0.0)

    def _passes(self, moment: Moment) -> bool:
        return self._chance.random() < PASSES.get(moment, 0.0)

    async def _kill(self, moment: Moment) -> None:
        at, began, victim = time.time(), time.monotonic(), self._victim.name
        await self._victim.kill()
        await self._victim.start()
        self.left[moment] -= 1
        self.kills.append(Kill(moment, at, time.monotonic() - began, victim))
        self._settled, self._armed = False, None


class Held:
    """Holds the grader's answers from the last question on until the grading was killed."""

    def __init__(self, last_question: str) -> None:
        self._last_question = last_question
        self._watched: tuple[Floor, Killer] | None = None

    def watch(self, floor: Floor, killer: Killer) -> None:
        self._watched = floor, killer

    def held(self) -> bool:
        if self._watched is None:
            return False
        floor, killer = self._watched
        return floor.question_id == self._last_question and killer.left["grading"] > 0


def talkative(plan: Plan, seed: int) -> Script:
    """The built-in candidate without its own mischief: the kills are enough."""
    script = built_in(plan, seed)

    def plainly(turn: Turn) -> Turn | None:
        steps = tuple(step for step in turn.steps if step.say or step.pause)
        spoken = [step.say for step in steps if step.say]
        asks = len(spoken) == 1 and spoken[0].endswith("?")
        return Turn(steps=steps) if spoken and not asks else None

    kept = {key: tuple(filter(None, map(plainly, turns))) for key, turns in script.answers.items()}
    return script.model_copy(update={"answers": kept, "demands": ()})


class Way:
    """How the candidate is there, and who is killed: by browser, and the server."""

    unnoticed_s = 0.0
    """So long after a kill the candidate may still talk into a dead line."""
    settings: Mapping[str, str] = MappingProxyType({})
    """Of the server, in addition."""

    def plan(self) -> Plan:
        return shipped_plan("rehearsal_en.yaml")

    def killer(
        self, server: ServerProcess, moments: Sequence[Moment], chance: random.Random, folder: Path
    ) -> Killer:
        """`folder`: the server's data."""
        return Killer(server, moments, chance)

    async def connect(
        self, guest: Guest, operator: Operator, invitation: Invitation, pages: notebook.Notebook
    ) -> Connect:
        await guest.consent(self.plan().policy.consent.version, recording=False)
        return in_browser(guest)

    async def beside(self, candidate: Candidate) -> None:
        """Runs while the interview is held, and is cancelled then."""


BY_BROWSER = Way()


async def interview(
    moments: Sequence[Moment], seed: int, keep: Path | None = None, way: Way = BY_BROWSER
) -> Survived:
    """One interview with a kill at each of the moments; `keep`: where its data are left."""
    began = time.monotonic()
    plan = way.plan()
    performance = Performance(talkative(plan, seed))
    async with AsyncExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        decides = stack.enter_context(model.serving(faults.NONE, delay_s=DECISION_S))
        grading = Held([*plan.questions()][-1].id)
        grades = stack.enter_context(
            model.serving(faults.NONE, delay_s=GRADING_S, held=grading.held)
        )
        key = secrets.token_urlsafe(24)
        chosen = settings(folder, key, decides, model.NAME) | {"VIVA_GRADER_URL": grades}
        server = ServerProcess({**chosen, **way.settings}, free_port(), folder / "server.log")
        stack.push_async_callback(server.stop)
        voice = Voicebox(performance.script)
        await asyncio.gather(server.start(), voice.prepare())
        operator = await stack.enter_async_context(Operator(server.base_url, key))
        invitation = await operator.invite(plan, "Synthetic Candidate")
        guest = await stack.enter_async_context(Guest(server.base_url, invitation.token))
        killer = way.killer(server, moments, random.Random(seed), folder)
        notes = folder / "notes.jsonl"
        with notebook.Notebook(notes) as pages:
            candidate = Candidate(
                await way.connect(guest, operator, invitation, pages),
                server.base_url.replace("http", "ws", 1) + "/api/call/socket",
                invitation.token,
                performance,
                Floor(plan),
                pages,
                voice=voice,
                on_message=killer.feed,
            )
            killer.watch(candidate)
            grading.watch(candidate.floor, killer)
            await _held(candidate, killer, way)
        await killer.afterwards()
        try:
            report = await operator.report(invitation.interview_id, REPORT_WITHIN_S)
        except TimeoutError:
            report = {}
            candidate.trouble.append(f"no report within {REPORT_WITHIN_S:.0f} s")
        left = await evidence.fetch(operator, invitation.interview_id, report)
        if keep:
            evidence.write(left, {}, keep)
            (keep / "kills.json").write_text(json.dumps([vars(kill) for kill in killer.kills]))
        written = list(notebook.read(notes))
    return Survived(
        kills=tuple(killer.kills),
        hits=tuple(
            kill
            for kill in killer.kills
            if survival.hit(kill, written, left.entries, graded_at(report))
        ),
        planned=len(moments),
        losses=survival.losses(written, left.entries, killer.kills, unnoticed_s=way.unnoticed_s),
        faults=tuple(_faults(left, plan, performance.script, candidate)),
        rejoins=candidate.joins - 1,
        wall_s=time.monotonic() - began,
    )


def graded_at(report: Mapping[str, Any]) -> float:
    """Unix seconds; of no report, never."""
    if not report:
        return math.inf
    return datetime.fromisoformat(report["generated_at"]).timestamp()


async def _held(candidate: Candidate, killer: Killer, way: Way) -> None:
    beside = [asyncio.create_task(one) for one in (killer.during(), way.beside(candidate))]
    try:
        async with asyncio.timeout(HELD_WITHIN_S):
            await candidate.hold()
    except TimeoutError:
        candidate.trouble.append(f"not over after {HELD_WITHIN_S:.0f} s")
    finally:
        for task in beside:
            task.cancel()
        for error in await asyncio.gather(*beside, return_exceptions=True):
            if isinstance(error, Exception):
                candidate.trouble.append(f"the killing stopped: {error!r}")


def _faults(left: evidence.Left, plan: Plan, script: Script, candidate: Candidate) -> list[str]:
    run = check.Run(
        plan=plan,
        script=script,
        events=left.events,
        report=left.report,
        stock=prompts.lines(plan.language),
        reports=left.interview["report_revision"] or 0,
        chain_fault="" if left.interview["chain_ok"] else "the hash chain does not verify",
        strict=False,
    )
    broken = [f"{rule.__name__}: {text}" for rule in RULES for text in rule(run)]
    twice = [
        *(f"{question} was opened twice" for question in survival.asked_twice(left.entries)),
        *(f"{turn} was decided twice" for turn in survival.decided_twice(left.entries)),
        *(["the consent was asked for twice"] if survival.agreed_twice(left.entries) else []),
    ]
    return [*candidate.trouble, *broken, *twice]


# --- a series -----------------------------------------------------------------------------------


def deal(kills: int) -> list[list[Moment]]:
    """The moments of each interview, so that a whole number of interviews has about as many."""
    whole = [moment for moment in MOMENTS for _ in range(PER_INTERVIEW[moment])]
    hands = [whole] * (kills // len(whole))
    rest = kills % len(whole)
    order = [moment for place in range(3) for moment in MOMENTS if PER_INTERVIEW[moment] > place]
    return [*hands, order[:rest]] if rest else hands


def figures(series: Sequence[Survived]) -> dict[str, Any]:
    """The series in one JSON object."""
    kills = [kill for one in series for kill in one.kills]
    hits = [kill for one in series for kill in one.hits]
    return {
        "name": "kills",
        "kills": len(kills),
        "planned": sum(one.planned for one in series),
        "by_moment": dict(Counter(kill.moment for kill in kills)),
        "at_their_moment": len(hits),
        "missed_their_moment": dict(
            Counter(kill.moment for kill in kills) - Counter(kill.moment for kill in hits)
        ),
        "interviews": len(series),
        "rejoins": sum(one.rejoins for one in series),
        "committed_events": sum(one.losses.committed for one in series),
        "committed_events_lost": sum(len(one.losses.missing) for one in series),
        "sentences": sum(one.losses.sentences for one in series),
        "sentences_lost_with_the_open_segment": sum(len(one.losses.open_lost) for one in series),
        "sentences_lost": sum(len(one.losses.lost) for one in series),
        "faults": sum(len(one.faults) for one in series),
        "restart_s": round(sum(kill.down_s for kill in kills) / max(len(kills), 1), 1),
        "wall_s": round(sum(one.wall_s for one in series)),
    }


def failed(series: Sequence[Survived]) -> list[str]:
    """What must not be, in words."""
    found = []
    for number, one in enumerate(series, 1):
        wrong = [
            *(f"lost: {event}" for event in one.losses.missing),
            *(f"lost: “{text}”" for text in one.losses.lost),
            *one.faults,
        ]
        if len(one.kills) < one.planned:
            wrong.append(f"{len(one.kills)} of {one.planned} kills found their moment")
        found += [f"interview {number}: {text}" for text in wrong]
    return found


def table(series: Sequence[Survived]) -> Table:
    heads = ("interview", "kills", "rejoins", "committed", "lost", "sentences", "lost", "s")
    shown = Table(*heads, title="Kills")
    for number, one in enumerate(series, 1):
        lost = one.losses
        shown.add_row(
            str(number),
            ", ".join(kill.moment for kill in one.kills),
            str(one.rejoins),
            str(lost.committed),
            str(len(lost.missing)),
            str(lost.sentences),
            f"{len(lost.lost)} (+{len(lost.open_lost)} open)",
            f"{one.wall_s:.0f}",
        )
    return shown


async def series(
    kills: int, seed: int, console: Console, keep: Path | None = None
) -> list[Survived]:
    found = []
    for number, moments in enumerate(deal(kills), 1):
        folder = keep / str(number) if keep else None
        found.append(await interview(moments, seed + number, folder))
        told = json.dumps(figures(found[-1:]))
        console.print(f"interview {number}: {told}", markup=False, soft_wrap=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m server.rehearsal.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="a new folder for every interview's data")
    options = parser.parse_args()
    console = Console()
    held = asyncio.run(series(options.kills, options.seed, console, options.keep))
    console.print(table(held))
    for text in failed(held):
        console.print(f"FAILED  {text}", markup=False)
    print(json.dumps(figures(held)))
    return 1 if failed(held) else 0


if __name__ == "__main__":
    sys.exit(main())
