"""How soon a candidate and the interviewer speak again after a reload and after a lost network, and
what that costs.

    python -m bench.rejoin             50 reloads and 50 drops (about half an hour)
    python -m bench.rejoin --quick     two of each (about a minute, for CI)

A real `viva serve`, a real Chromium with a fake microphone, interviews held by voice and in
writing, faults at random moments of them. Everything runs in a network namespace with nothing but
loopback; a drop swallows all of UDP, and TCP to and from the server, for 1 to 12 s, and nothing
tells the browser of it. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from bench import dead_network
from bench.dead_network import Network
from bench.rejoin_figures import (
    MOMENTS,
    Fault,
    Kept,
    Kind,
    Moment,
    Recovery,
    kept,
    recovery,
    spread,
)
from server.rehearsal import faults, model
from server.rehearsal.client import Operator
from server.rehearsal.processes import ServerProcess, free_port
from server.rehearsal.run import settings, shipped_plan

if TYPE_CHECKING:  # Playwright is a tool of this checkout's, not a dependency of Viva's
    from playwright.async_api import Browser

    from bench.rejoin_page import CallPage, Microphone

PLAN = shipped_plan("rehearsal_en.yaml")
SPOKEN = (
    "It was a difficult project, because the old system was slow.",
    "My role was to design the database.",
    "I decided to build the test suite because safety always comes first.",
)
DECISION_S = 1.0
"""How long the stand-in model thinks: long enough to be hit while it does."""
DROP_S = (1.0, 12.0)
QUICK_DROP_S = (1.0, 6.0)
MOST_FAULTS = 9
"""Of one interview."""
RECOVER_S = 45.0
SETTLED_S = 1.0
"""How long a recovery must hold; then an answer that still stands in its box is sent again."""


@dataclass(frozen=True)
class Planned:
    kind: Kind
    moment: Moment
    lasts_s: float = 0.0


def planned(
    reloads: int, drops: int, rng: random.Random, lasts_s: tuple[float, float] = DROP_S
) -> list[Planned]:
    """Every moment as often as the others, in a random order."""
    every: list[Planned] = []
    for _, moment in zip(range(reloads), cycle(MOMENTS["reload"]), strict=False):
        every.append(Planned("reload", moment))
    for _, moment in zip(range(drops), cycle(MOMENTS["drop"]), strict=False):
        every.append(Planned("drop", moment, rng.uniform(*lasts_s)))
    rng.shuffle(every)
    return every


@dataclass
class Results:
    joins: list[Recovery] = field(default_factory=list)
    faults: list[tuple[Fault, Recovery]] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What must not be, in words."""
    blocked: int = 0
    sent_again: int = 0

    def of(self, kind: Kind, *, rejoined: bool) -> list[tuple[Fault, Recovery]]:
        return [(f, r) for f, r in self.faults if f.kind == kind and r.rejoined == rejoined]


class Series:
    """Interviews in turn, until every planned fault has struck."""

    def __init__(
        self,
        server: ServerProcess,
        operator: Operator,
        browser: Browser,
        microphone: Microphone,
        network: Network,
        rng: random.Random,
    ) -> None:
        self._server = server
        self._operator = operator
        self._browser = browser
        self._microphone = microphone
        self._network = network
        self._rng = rng
        self._answers = 0
        self.results = Results()

    async def run(self, waiting: list[Planned]) -> None:
        while waiting:
            before = len(waiting)
            await self._interview(waiting)
            if len(waiting) == before:
                self.results.wrong.append("an interview went by in which no fault could strike")
                return

    # --- one interview ----------------------------------------------------------------------------
    async def _interview(self, waiting: list[Planned]) -> None:
        from bench.rejoin_page import CallPage

        invitation = await self._operator.invite(PLAN, "Ada")
        link = f"{self._server.base_url}/call/{invitation.token}"
        page = await CallPage.open(self._browser, link, self._microphone)
        typed: list[str] = []
        try:
            began = time.time()
            await page.by("begin").click()
            first = await self._recovers(page, Fault("join", None, began, began))
            self.results.joins.append(first)
            for _ in range(MOST_FAULTS):
                if not waiting or not await self._strikes(page, waiting[-1], typed):
                    break
                waiting.pop()
            await page.ends()
        except Exception as error:  # one interview of many; what it was is told, and the rest go on
            if waiting:
                waiting.pop()
            self.results.wrong.append(f"an interview broke off: {error!r}"[:400])
        finally:
            self._network.mend()
            self.results.blocked += page.blocked
            await page.close()
        await self._compare(invitation.interview_id, page, typed)

    async def _strikes(self, page: CallPage, fault: Planned, typed: list[str]) -> bool:
        """False if the interview ended before it could."""
        if not await self._moment(page, fault.moment, typed):
            return False
        state, at = page.state, time.time()
        if fault.kind == "reload":
            await page.reloads()
            struck = Fault("reload", fault.moment, at, at, state)
        else:
            self._network.cut()
            at = time.time()
            if fault.moment == "sent_into_it":
                await asyncio.sleep(self._rng.uniform(0.0, 1.5))
                await self._types(page, typed)
            await asyncio.sleep(max(0.0, at + fault.lasts_s - time.time()))
            self._network.mend()
            struck = Fault("drop", fault.moment, at, time.time(), state)
        found = await self._recovers(page, struck)
        if page.state == "ended" and found.speaking is None:
            return False  # over before it could speak again: no time to be measured
        self.results.faults.append((struck, found))
        self._tell(struck, found)
        if found.speaking is None:
            self.results.wrong.append(f"not speaking again in {RECOVER_S:.0f} s: {struck}")
        elif typed and await page.sends_what_is_left():
            self.results.sent_again += 1
        return True

    async def _moment(self, page: CallPage, moment: Moment, typed: list[str]) -> bool:
        """Until somewhere inside of such a moment; False at the interview's end."""
        opening = moment == "interviewer_speaks" and page.state == "speaking"
        if not opening and await page.waits_for("listening") == "ended":
            return False
        wait = self._rng.uniform
        match moment:
            case "candidate_speaks":
                seconds = await page.speaks(self._rng.sample(SPOKEN, 2))
                await asyncio.sleep(wait(0.3, seconds))
            case "sent_into_it":
                await asyncio.sleep(wait(0.0, 2.0))
            case "just_sent":
                await self._types(page, typed)
                await asyncio.sleep(wait(0.0, 0.15))
            case "thinking":
                await self._types(page, typed)
                await page.waits_for("thinking")
                await asyncio.sleep(wait(0.0, 0.8 * DECISION_S))
            case "interviewer_speaks":
                if not opening:
                    await self._types(page, typed)
                    await page.waits_for("speaking")
                await asyncio.sleep(wait(0.0, 2.0))
        return page.state != "ended"

    async def _types(self, page: CallPage, typed: list[str]) -> None:
        self._answers += 1
        typed.append(f"Number {self._answers}: I used Python and testing every day.")
        await page.types(typed[-1])

    async def _recovers(self, page: CallPage, fault: Fault) -> Recovery:
        """As soon as it has held for a while."""

        def found() -> Recovery:
            return recovery(fault, page.seen)

        end = time.time() + RECOVER_S
        while time.time() < end and page.state != "ended":
            await page.until(lambda: found().connected is not None or page.state == "ended", 0.5)
            if found().speaking is not None:
                await asyncio.sleep(SETTLED_S)
                if found().speaking is not None:
                    break
            if found().connected is not None:
                await page.allows_sound()
                await page.until(lambda: found().speaking is not None, 0.3)
        return found()

    # --- what was kept ----------------------------------------------------------------------------
    async def _compare(self, interview_id: str, page: CallPage, typed: Sequence[str]) -> None:
        await self._operator.report(interview_id, 60.0)
        interview = await self._operator.interview(interview_id)
        entries = await self._operator.events(interview_id)
        found = kept(page.messages, typed, entries)
        self.results.kept.append(found)
        self.results.wrong += wrong(found)
        if not interview["chain_ok"]:
            self.results.wrong.append("the chain does not verify")
        if interview["report_revision"] != 1:
            self.results.wrong.append(f"{interview['report_revision']} reports")

    def _tell(self, fault: Fault, found: Recovery) -> None:
        lasted = f" of {fault.lasted:.1f} s" if fault.kind == "drop" else ""
        print(
            f"  {len(self.results.faults):>3} {fault.kind}{lasted} ({fault.moment}, page said"
            f" {fault.state}): told {_s(found.told)}, connected {_s(found.connected)},"
            f" speaking {_s(found.speaking)}{', rejoined' if found.rejoined else ''}",
            file=sys.stderr,
            flush=True,
        )


def wrong(found: Kept) -> Iterator[str]:
    """What must not be."""
    for told in found.lost:
        yield f"committed and lost: {told}"
    for text in found.typed_lost:
        yield f"sent and not in the log: {text}"
    for text in found.typed_twice:
        yield f"answered twice: {text}"
    if found.greetings != 1:
        yield f"{found.greetings} greetings"
    for question in found.asked_twice:
        yield f"asked twice: {question}"
    for turn in found.decided_twice:
        yield f"decided twice: {turn}"


# --- the run --------------------------------------------------------------------------------------
@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[ServerProcess, Operator, int]]:
    key, port = secrets.token_urlsafe(24), free_port()
    with model.serving(faults.NONE, delay_s=DECISION_S) as url:
        server = ServerProcess(settings(folder, key, url, model.NAME), port, folder / "server.log")
        await server.start()
        try:
            async with Operator(server.base_url, key) as operator:
                yield server, operator, port
        finally:
            await server.stop()


async def measure(options: argparse.Namespace, binary: str) -> dict[str, Any]:
    from bench.rejoin_page import Microphone, chromium

    rng = random.Random(options.seed)
    lasts_s = QUICK_DROP_S if options.quick else DROP_S
    waiting = planned(options.reloads, options.drops, rng, lasts_s)
    begun, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        microphone = Microphone(folder / "microphone.wav")
        async with (
            serving(folder) as (server, operator, port),
            chromium(binary, microphone.file) as browser,
        ):
            series = Series(server, operator, browser, microphone, Network(port), rng)
            await series.run(waiting)
        if options.log is not None:
            shutil.copy(folder / "server.log", options.log)
    print(table(series.results))
    loads = f"{load:.1f} before, {os.getloadavg()[0]:.1f} after, on {os.cpu_count()} cores"
    print(f"Load {loads}; {time.monotonic() - begun:.0f} s")
    return summary(series.results, options) | {"load": loads}


# --- figures --------------------------------------------------------------------------------------
Rows = list[tuple[str, list[float | None]]]


def rows(results: Results) -> Rows:
    """Every figure by name."""
    reloads = [r for _, r in results.of("reload", rejoined=True)]
    rejoined = results.of("drop", rejoined=True)
    outlived = results.of("drop", rejoined=False)
    return [
        ("first join: connected", [r.connected for r in results.joins]),
        ("first join: speaking", [r.speaking for r in results.joins]),
        ("reload: connected again", [r.connected for r in reloads]),
        ("reload: speaking again", [r.speaking for r in reloads]),
        ("drop, rejoined: cut to told", [r.told for _, r in rejoined]),
        ("drop, rejoined: back to connected", [r.connected for _, r in rejoined]),
        ("drop, rejoined: back to speaking", [r.speaking for _, r in rejoined]),
        ("drop, outlived: back to sound", [r.connected for _, r in outlived]),
        ("drop, outlived: cut to sound", [_sum(f.lasted, r.connected) for f, r in outlived]),
    ]


def _sum(first: float, second: float | None) -> float | None:
    return None if second is None else first + second


def table(results: Results) -> str:
    lines = [f"\n{'seconds':<38}{'p50':>8}{'p95':>8}{'max':>8}{'n':>6}"]
    for name, values in rows(results):
        if found := spread(values):
            lines.append(
                f"{name:<38}{found.p50:>8.2f}{found.p95:>8.2f}{found.most:>8.2f}{found.n:>6}"
            )
    lines.append("\nspeaking again, by the moment that was hit (p50, p95)")
    for moment in get_args(Moment):
        for kind in ("reload", "drop"):
            hit = [r for f, r in results.faults if (f.kind, f.moment) == (kind, moment)]
            if found := spread(r.speaking for r in hit if r.rejoined):
                figures = f"{found.p50:>6.2f}{found.p95:>6.2f}{found.n:>5}"
                lines.append(f"  {kind:<7}{moment:<22}{figures}")
    total = counts(results)
    lines.append("\n" + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in total.items()))
    lines += [f"WRONG: {text}" for text in results.wrong]
    return "\n".join(lines)


def counts(results: Results) -> dict[str, int]:
    every = results.kept
    return {
        "interviews": len(every),
        "events": sum(k.events for k in every),
        "joins": sum(k.joins for k in every),
        "committed_events_told": sum(k.committed for k in every),
        "committed_lost": sum(len(k.lost) for k in every),
        "typed_lost": sum(len(k.typed_lost) for k in every),
        "typed_twice": sum(len(k.typed_twice) for k in every),
        "typed_sent_again": results.sent_again,
        "second_greetings": sum(max(k.greetings - 1, 0) for k in every),
        "asked_twice": sum(len(k.asked_twice) for k in every),
        "decided_twice": sum(len(k.decided_twice) for k in every),
        "relapses": sum(r.relapses for _, r in results.faults),
        "sound_blocked": results.blocked,
        "wrong": len(results.wrong),
    }


def summary(results: Results, options: argparse.Namespace) -> dict[str, Any]:
    found = {name: spread(values) for name, values in rows(results)}
    figures = {name: value.json() for name, value in found.items() if value}
    first = found["first join: speaking"]
    ratio = {
        name: round(value.p50 / first.p50, 2)
        for name, value in found.items()
        if value and first and name.endswith(("speaking", "speaking again"))
    }
    return {
        "name": "rejoin",
        "quick": options.quick,
        "seed": options.seed,
        "figures": figures | counts(results),
        "baseline": {"first join: speaking": first and first.json()},
        "ratio": {"p50_to_first_join": ratio},
        "n": {kind: sum(f.kind == kind for f, _ in results.faults) for kind in ("reload", "drop")},
    }


def _s(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.2f} s"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two of each: that it runs")
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--drops", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, metavar="FILE", help="keep the server's log")
    options = parser.parse_args()
    if options.quick:
        options.reloads = options.drops = 2
    return options


def missing(binary: str | None) -> str:
    """What this machine lacks; empty if nothing."""
    if find_spec("playwright") is None:
        return "Playwright for Python is not installed (make install)"
    if binary is None:
        return "there is no chromium"
    return dead_network.why_not()


def main() -> None:
    options = arguments()
    binary = shutil.which("chromium")
    if not dead_network.inside():
        if why := missing(binary):
            # A machine without them still passes its checks; who asked for figures gets an error.
            sys.exit(print(f"skipped: {why}") if options.quick else why)
        dead_network.enter("bench.rejoin", sys.argv[1:])
    dead_network.loopback_up()
    assert binary is not None
    result = asyncio.run(measure(options, binary))
    print(json.dumps(result))
    sys.exit(1 if result["figures"]["wrong"] else 0)


if __name__ == "__main__":
    main()
