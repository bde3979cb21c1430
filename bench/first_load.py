"""What the candidate's pages cost a browser that has never been here, and whether they are of use
before any script of theirs has run.

    python -m bench.first_load             fifteen loads of each page (about a minute)
    python -m bench.first_load --quick     three of each (for CI)

A real `viva serve`, a real Chromium with an empty cache for every load. Bytes are those on the
wire, headers included. Times are to the first contentful paint, beside a page of nothing but HTML:
the same server's home page, with everything that it loads kept away. Then the first question is
reached without scripts in three ways: switched off, refused, and on their way for ever. The last
line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.rejoin import PLAN, serving
from server.rehearsal.client import Guest, Operator

if TYPE_CHECKING:  # as in bench.rejoin
    from playwright.async_api import Browser, Page, Route

PAINTED = """() => new Promise(resolve => {
  const look = () => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    if (paint) resolve(paint.startTime);
    else setTimeout(look, 20);
  };
  look();
})"""
SCRIPTS = "**/*.js"
ANSWER = "In my free time I enjoy hiking and cooking."


@dataclass(frozen=True)
class Load:
    """One page, loaded with an empty cache."""

    requests: int
    kinds: Counter[str]
    """Bytes on the wire by kind: document, stylesheet, script, image, and others."""
    painted_ms: float


class Wire:
    """What came over the network for a page, as the browser's network service counts it."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.requests = 0
        self._kind: dict[str, str] = {}

    async def watch(self, page: Page, *, blocked: Sequence[str] = ()) -> None:
        """From now on. Blocked in the browser: a route of Playwright's would take time itself."""
        network = await page.context.new_cdp_session(page)
        network.on("Network.responseReceived", self._begun)
        network.on("Network.loadingFinished", self._done)
        await network.send("Network.enable")
        await network.send("Network.setBlockedURLs", {"urls": list(blocked)})

    def _begun(self, told: dict[str, Any]) -> None:
        self._kind[told["requestId"]] = told["type"].lower()

    def _done(self, told: dict[str, Any]) -> None:
        if told["encodedDataLength"]:  # nothing came where a copy was at hand
            self.requests += 1
            self.kinds[self._kind.get(told["requestId"], "other")] += int(told["encodedDataLength"])


async def load(browser: Browser, url: str, *, scripts: bool = True, bare: bool = False) -> Load:
    context = await browser.new_context(java_script_enabled=scripts)
    try:
        page = await context.new_page()
        wire = Wire()
        await wire.watch(page, blocked=["*/static/*"] if bare else [])
        await page.goto(url, wait_until="networkidle")
        painted: float = await page.evaluate(PAINTED)
        return Load(wire.requests, wire.kinds, painted)
    finally:
        await context.close()


# --- of use before a script has run ---------------------------------------------------------------
async def refused(route: Route) -> None:
    await route.abort()


async def on_its_way(route: Route) -> None:
    """For ever: nothing is done with it."""


WITHOUT = {"switched off": None, "refused": refused, "on their way for ever": on_its_way}


async def usable(browser: Browser, operator: Operator, base_url: str, how: str) -> dict[str, float]:
    """Seconds to the first question, and to the one after it, which an answer was needed for."""
    link = f"{base_url}/call/{(await operator.invite(PLAN, 'Ada')).token}"
    handler = WITHOUT[how]
    context = await browser.new_context(java_script_enabled=handler is not None)
    try:
        page = await context.new_page()
        if handler is not None:
            await page.route(SCRIPTS, handler)
        begun = time.monotonic()
        await page.goto(link, wait_until="commit")
        await page.get_by_test_id("consent-interview").check()
        await page.get_by_test_id("agree").click(no_wait_after=True)
        await page.get_by_test_id("begin").click(no_wait_after=True)
        captions = page.get_by_test_id("captions")
        await captions.filter(has_text=PLAN.question("warm_up").text).wait_for()
        first = time.monotonic() - begun
        await page.get_by_test_id("type-answer").fill(ANSWER)
        await page.get_by_test_id("send-answer").click(no_wait_after=True)
        await captions.filter(has_text=PLAN.question("experience").text).wait_for()
        return {"first_question_s": round(first, 2), "next_s": round(time.monotonic() - begun, 2)}
    finally:
        await context.close()


# --- the run --------------------------------------------------------------------------------------
async def measure(options: argparse.Namespace, binary: str) -> dict[str, Any]:
    from bench.rejoin_page import chromium

    with tempfile.TemporaryDirectory() as folder:
        async with serving(Path(folder)) as (server, operator, _), chromium(binary) as browser:
            base_url = server.base_url
            pages = await addresses(operator, base_url)
            loads: dict[str, list[Load]] = {}
            for turn in range(options.loads + 1):  # in turn, so that all meet the same load
                for name, more in PAGES.items():
                    found = await load(browser, pages[name], **more)
                    if turn:  # the first is the browser's own, and the server's
                        loads.setdefault(name, []).append(found)
            reached = {how: await usable(browser, operator, base_url, how) for how in WITHOUT}
    print(table(loads, reached))
    return summary(loads, reached, options)


BARE = "nothing but HTML"
PAGES: dict[str, dict[str, bool]] = {
    BARE: {"bare": True},
    "consent page": {},
    "consent page, no scripts": {"scripts": False},
    "call page": {},
    "call page, no scripts": {"scripts": False},
}


async def addresses(operator: Operator, base_url: str) -> dict[str, str]:
    """Two interviews, so that both pages can be had again and again: one has been agreed to."""
    new, agreed = [await operator.invite(PLAN, "Ada") for _ in range(2)]
    async with Guest(base_url, agreed.token) as guest:
        await guest.consent(PLAN.policy.consent.version, recording=True)
    consent, call = (f"{base_url}/call/{one.token}" for one in (new, agreed))
    return {name: _address(name, base_url, consent, call) for name in PAGES}


def _address(name: str, base_url: str, consent: str, call: str) -> str:
    if name == BARE:
        return f"{base_url}/"
    return consent if name.startswith("consent") else call


# --- figures --------------------------------------------------------------------------------------
KINDS = ("document", "stylesheet", "script", "image", "other")


def figures(loads: list[Load], bare_ms: float) -> dict[str, Any]:
    """The median of many loads."""
    kinds = {kind: statistics.median(one.kinds[kind] for one in loads) for kind in KINDS}
    painted = statistics.median(one.painted_ms for one in loads)
    return {
        "requests": statistics.median(one.requests for one in loads),
        "bytes": statistics.median(sum(one.kinds.values()) for one in loads),
        "bytes_by_kind": kinds,
        "first_paint_ms": round(painted),
        "first_paint_to_bare": round(painted / bare_ms, 2),
    }


def every(loads: dict[str, list[Load]]) -> dict[str, dict[str, Any]]:
    bare_ms = statistics.median(one.painted_ms for one in loads[BARE])
    return {name: figures(those, bare_ms) for name, those in loads.items()}


def table(loads: dict[str, list[Load]], reached: dict[str, dict[str, float]]) -> str:
    lines = [
        f"\n{'':<28}{'requests':>9}{'bytes':>8}"
        + "".join(f"{kind:>12}" for kind in KINDS)
        + f"{'first paint':>13}{'to bare':>9}"
    ]
    for name, found in every(loads).items():
        kinds = "".join(f"{found['bytes_by_kind'][kind]:>12.0f}" for kind in KINDS)
        lines.append(
            f"{name:<28}{found['requests']:>9.0f}{found['bytes']:>8.0f}{kinds}"
            f"{found['first_paint_ms']:>10} ms{found['first_paint_to_bare']:>9.2f}"
        )
    lines.append(
        "\nWithout a script of ours, from the link to the first question, and to the next:"
    )
    for how, times in reached.items():
        first, then = times["first_question_s"], times["next_s"]
        lines.append(f"  scripts {how:<24}{first:>6.2f} s{then:>8.2f} s")
    lines.append(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return "\n".join(lines)


def summary(
    loads: dict[str, list[Load]],
    reached: dict[str, dict[str, float]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    found = every(loads)
    bare = found.pop(BARE)
    return {
        "name": "first_load",
        "quick": options.quick,
        "figures": {"pages": found, "without_scripts": reached},
        "baseline": {BARE: bare},
        "ratio": {name: one["first_paint_to_bare"] for name, one in found.items()},
        "n": {"loads": options.loads},
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three loads of each page")
    parser.add_argument("--loads", type=int, default=15)
    options = parser.parse_args()
    if options.quick:
        options.loads = 3
    return options


def missing(binary: str | None) -> str:
    """What this machine lacks; empty if nothing."""
    if find_spec("playwright") is None:
        return "Playwright for Python is not installed (make install)"
    return "" if binary else "there is no chromium"


def main() -> None:
    options = arguments()
    binary = shutil.which("chromium")
    if why := missing(binary):
        sys.exit(print(f"skipped: {why}") if options.quick else why)
    assert binary is not None
    print(json.dumps(asyncio.run(measure(options, binary))))


if __name__ == "__main__":
    main()
