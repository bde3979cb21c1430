"""A line that is cut, blocked or left two hundred times, and a server that dies: the page comes
back to the same question by itself, nobody is greeted twice, and nothing is sent twice.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from browsers import ALLOWED, FAKE, chromium_with
from browsing import ENGLISH, HIKING, PYTHON, SLOW, Candidate, Site
from playwright.async_api import Browser, Playwright, expect

import web

pytestmark = pytest.mark.asyncio(loop_scope="module")

REJOINS_WITHIN_MS = 60_000
"""The server's start is most of it."""
SAYS_WITHIN_MS = 30_000
RELOADS = 200
FEW = 50
"""After so many reloads all that is made once has been made."""
MOST_MB = 60
"""What 150 more reloads may cost the server."""


async def test_what_is_typed_without_a_network_is_kept_and_arrives_once(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await at_the_first_scored_question(shared_site, shared_chromium, text=True)
    box = candidate.by("type-answer")
    await candidate.page.context.set_offline(True)
    await candidate.state("reconnecting")
    await candidate.types(PYTHON)
    await expect(candidate.by("notices")).to_contain_text(web.say("en", "call.wrong.not_sent"))
    assert await box.input_value() == PYTHON
    await candidate.page.context.set_offline(False)
    await candidate.state("listening")
    assert await box.input_value() == PYTHON
    await candidate.by("send-answer").dblclick()  # once is enough, twice is once
    await candidate.asked(ENGLISH, "project")
    await expect(box).to_have_value("")

    # The line dies under what is sent: it is on its way, and only the server knows how far it came.
    await candidate.page.context.set_offline(True)
    await candidate.types(SLOW)
    await candidate.state("reconnecting")
    await candidate.page.context.set_offline(False)
    await candidate.state("listening")
    if await box.input_value():
        await candidate.by("send-answer").click()
    await candidate.sees(SLOW)
    await candidate.state("listening")
    said = [event["text"] for event in await events(candidate) if event["type"] == "turn_settled"]
    assert said.count(PYTHON) == said.count(SLOW) == 1, said
    await greeted_and_asked_once(candidate)


async def test_a_double_press_on_send_presses_nothing_that_has_moved_there(
    shared_site: Site, shared_chromium: Browser
) -> None:
    """The notice above the form goes with the first press, and "Repeat" comes to lie under the
    second."""
    candidate = await at_the_first_scored_question(shared_site, shared_chromium, text=True)
    await candidate.page.set_viewport_size({"width": 1280, "height": 2000})  # nothing to scroll
    await candidate.page.context.set_offline(True)
    await candidate.state("reconnecting")
    await candidate.types(PYTHON)
    await expect(candidate.by("notices")).to_contain_text(web.say("en", "call.wrong.not_sent"))
    await candidate.page.context.set_offline(False)
    await candidate.state("listening")
    box = await candidate.by("send-answer").bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    await candidate.page.mouse.click(**place)
    under = "place => document.elementFromPoint(place.x, place.y).dataset.testid"
    assert await candidate.page.evaluate(under, place) == "repeat"
    await candidate.page.mouse.click(**place)
    await candidate.asked(ENGLISH, "project")
    await asyncio.sleep(0.6)  # longer than a double press takes: this one is meant for it
    await candidate.page.mouse.click(**place)
    await candidate.page.wait_for_function(
        "text => document.querySelector('#captions').innerText.split(text).length === 3",
        arg=ENGLISH.question("project").text,
    )
    await greeted_and_asked_once(candidate)


async def test_a_network_that_lets_no_sound_through_is_said_and_writing_goes_on(
    shared_site: Site, playwright: Playwright
) -> None:
    """Chromium is kept from sending UDP, as behind a firewall that drops it."""
    blocked = "--webrtc-ip-handling-policy=disable_non_proxied_udp"
    async with chromium_with(playwright, (ALLOWED, FAKE, blocked)) as browser:
        candidate = await at_the_first_scored_question(shared_site, browser, text=True)
        await candidate.page.locator("#more summary").first.click()
        await candidate.by("to-text").click()  # by voice now
        said = candidate.by("notices").filter(has_text=web.say("en", "call.network.blocked"))
        await said.wait_for(timeout=SAYS_WITHIN_MS)
        await said.get_by_role("button", name=web.say("en", "call.network.in_writing")).click()
        await candidate.state("listening")
        await candidate.types(PYTHON)
        await candidate.asked(ENGLISH, "project")
        await greeted_and_asked_once(candidate)


async def test_two_hundred_reloads_come_back_to_the_same_question_and_leave_nothing_behind(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await at_the_first_scored_question(shared_site, shared_chromium, text=False)
    held = []
    for number in range(1, RELOADS + 1):
        await candidate.page.reload(wait_until="domcontentloaded")
        if number % 10 == 0:  # the others are left in the middle of joining
            await candidate.ready()
        if number % FEW == 0:
            await candidate.state("listening", "speaking", "thinking")
            await asyncio.sleep(1.0)
            held.append(Held.by(shared_site))
    print(*held, sep="\n")  # seen with -s
    await candidate.state("listening")
    assert held[-1].memory_mb - held[0].memory_mb < MOST_MB, held
    assert held[-1].threads <= held[0].threads + 12, held
    assert held[-1].files <= held[0].files + 8, held
    await candidate.types(PYTHON)
    await candidate.asked(ENGLISH, "project")
    await greeted_and_asked_once(candidate)


async def test_a_server_that_is_killed_is_found_again_at_the_same_question(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await at_the_first_scored_question(shared_site, shared_chromium, text=False)
    await shared_site.server.kill()
    await candidate.state("reconnecting")
    await candidate.told(web.say("en", "call.network.offline"))
    await shared_site.server.start()
    candidate.page.set_default_timeout(REJOINS_WITHIN_MS)
    await candidate.state("listening", "speaking", "thinking")
    await expect(candidate.by("notices")).to_be_empty()
    await candidate.state("listening")
    await candidate.types(PYTHON)
    await candidate.asked(ENGLISH, "project")
    await greeted_and_asked_once(candidate)


async def at_the_first_scored_question(site: Site, browser: Browser, *, text: bool) -> Candidate:
    candidate = await Candidate.open(site, browser)
    await candidate.consents(text=text)
    await candidate.begins()
    await candidate.asked(ENGLISH, "warm_up")
    await candidate.types(HIKING)
    await candidate.asked(ENGLISH, "experience")
    return candidate


@dataclass(frozen=True)
class Held:
    """What the server's process holds."""

    memory_mb: int
    threads: int
    files: int

    @classmethod
    def by(cls, site: Site) -> Held:
        process = Path(f"/proc/{site.server.pid}")
        lines = (process / "status").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return cls(
            memory_mb=int(told["VmRSS"].split()[0]) // 1024,
            threads=int(told["Threads"]),
            files=len(list((process / "fd").iterdir())),
        )


async def events(candidate: Candidate) -> list[dict[str, Any]]:
    async with candidate.site.operator() as operator:
        found = await operator.events(candidate.invitation.interview_id)
    return [entry["event"] for entry in found]


async def greeted_and_asked_once(candidate: Candidate) -> None:
    told = await events(candidate)
    spoken = [event["kind"] for event in told if event["type"] == "line_spoken"]
    assert spoken.count("greeting") == 1
    asked = [event["question_id"] for event in told if event["type"] == "question_asked"]
    assert asked == ["warm_up", "experience", "project"]
    captions = "\n".join(await candidate.captions())
    assert captions.count(ENGLISH.policy.greeting) == 1
    candidate.check()
