"""A call by voice for which something is missing, and a microphone that leaves in mid-call: each is
said in words, and the interview goes on in writing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from browsers import ALLOWED, FAKE, chromium_with
from browsing import CHINESE, ENGLISH, Candidate, Site
from playwright.async_api import Page, Playwright

import web
from agent.plan import Plan

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWER = {"en": "In my free time I enjoy hiking and cooking.", "zh": "空闲时我喜欢爬山和做饭。"}

TAKEN = """navigator.mediaDevices.getUserMedia = async () => {
    throw new DOMException("Could not start audio source", "NotReadableError");
};"""
WITHOUT_WEBRTC = "delete window.RTCPeerConnection;"
SIMULATED = """
// The tracks that the page was given, to do with them what a machine would do.
window.given = [];
const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (window.unplugged) throw new DOMException("Requested device not found", "NotFoundError");
    const stream = await ask(wanted);
    window.given.push(...stream.getAudioTracks());
    return stream;
};
window.happens = (event) => window.given.at(-1).dispatchEvent(new Event(event));
window.plug = (how) => {
    window.unplugged = how === "out";
    if (window.unplugged) {
        window.given.at(-1).stop();
        window.happens("ended");
    }
    navigator.mediaDevices.dispatchEvent(new Event("devicechange"));
};
"""


async def allow(page: Page) -> None:
    """As the browser's question is answered; what the site may do is kept by its origin."""
    await page.context.grant_permissions(["microphone"], origin=origin(page))


async def deny(page: Page) -> None:
    """As in the menu beside the address."""
    session = await page.context.new_cdp_session(page)
    target = await session.send("Target.getTargetInfo")
    await session.send(
        "Browser.setPermission",
        {
            "permission": {"name": "microphone"},
            "setting": "denied",
            "origin": origin(page),
            "browserContextId": target["targetInfo"]["browserContextId"],
        },
    )
    await session.detach()


def origin(page: Page) -> str:
    return page.url.split("/call/")[0]


@asynccontextmanager
async def trouble(
    kind: str, site: Site, playwright: Playwright, plan: Plan
) -> AsyncIterator[Candidate]:
    """A candidate before the call, in whose browser something is missing."""
    flags = {
        # Nobody answers for the candidate; a real lack of devices, as this machine has none.
        "denied": (FAKE,),
        "none": (ALLOWED,),
        "insecure": (ALLOWED, FAKE, "--host-resolver-rules=MAP interview.test 127.0.0.1"),
    }
    async with chromium_with(playwright, flags.get(kind, (ALLOWED, FAKE))) as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        # Simulated: there is no second program, and no browser without WebRTC, on this machine.
        scripts = {"taken": TAKEN, "unsupported": WITHOUT_WEBRTC}
        if kind in scripts:
            await context.add_init_script(scripts[kind])
        invitation = await site.invite(plan)
        if kind == "insecure":  # a name that is not this machine's, without TLS
            site = replace(site, base_url=site.base_url.replace("127.0.0.1", "interview.test"))
        candidate = await Candidate.open(site, context, invitation=invitation)
        if kind == "denied":
            await deny(candidate.page)
        await candidate.consents(recording=True)
        yield candidate
        if (
            kind == "insecure"
        ):  # what the browser says of any page without TLS is no complaint of ours
            candidate.complaints = [c for c in candidate.complaints if "untrustworthy" not in c]
        assert candidate.complaints == []
        candidate.check()


@pytest.mark.parametrize("kind", ["denied", "none", "taken"])
async def test_a_microphone_that_cannot_be_had_is_said_and_writing_is_offered(
    kind: str, shared_site: Site, playwright: Playwright
) -> None:
    async with trouble(kind, shared_site, playwright, ENGLISH) as candidate:
        problem = candidate.page.locator("#check-problem")
        await candidate.by("mic-check").click()
        await problem.filter(has_text=web.say("en", f"call.microphone.{kind}")).wait_for()
        await candidate.begins()  # by voice all the same: it says so again, and nothing begins
        await problem.wait_for()
        assert await candidate.page.locator("#call").is_hidden()
        await candidate.page.locator("#other-mode").click()
        await first_answer_in_writing(candidate, ENGLISH)


@pytest.mark.parametrize(
    ("kind", "plan"), [("unsupported", ENGLISH), ("insecure", ENGLISH), ("insecure", CHINESE)]
)
async def test_a_browser_that_cannot_call_says_so_at_once_and_begins_in_writing(
    kind: str, plan: Plan, shared_site: Site, playwright: Playwright
) -> None:
    async with trouble(kind, shared_site, playwright, plan) as candidate:
        said = await candidate.page.locator("#check-problem").inner_text()
        assert said == web.say(plan.language, f"call.microphone.{kind}")
        assert await candidate.by("mic-check").is_hidden()
        await first_answer_in_writing(candidate, plan)


async def first_answer_in_writing(candidate: Candidate, plan: Plan) -> None:
    await candidate.begins()
    await candidate.asked(plan, "warm_up")
    assert await candidate.by("state").inner_text() == web.say(
        plan.language, "call.state_text.listening"
    )
    await candidate.types(ANSWER[plan.language])
    await candidate.asked(plan, "experience")


async def test_a_microphone_that_changes_or_leaves_in_mid_call_is_noticed_and_the_call_stays_up(
    shared_site: Site, playwright: Playwright
) -> None:
    """Switching and the permission are real; being muted and unplugged are simulated here, and the
    unplugging is real in Firefox's test."""
    async with chromium_with(playwright, (FAKE,)) as browser:
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        await context.add_init_script(SIMULATED)
        candidate = await Candidate.open(shared_site, context)
        await allow(candidate.page)
        joined: list[str] = []
        candidate.page.on("websocket", lambda socket: joined.append(socket.url))
        await candidate.consents()
        await candidate.begins()
        await candidate.asked(ENGLISH, "warm_up")

        await switches(candidate)
        await is_muted(candidate)
        await is_unplugged(candidate)
        await is_revoked(candidate)
        assert len(joined) == 1
        candidate.check()


async def notice(candidate: Candidate, key: str, **facts: str) -> None:
    await candidate.told(web.say("en", f"call.microphone.{key}", **facts))


async def switches(candidate: Candidate) -> None:
    devices = candidate.by("call-device")
    options = devices.locator("option")
    now = await devices.input_value()
    values = await options.evaluate_all("all => all.map(one => one.value)")
    other = next(number for number, value in enumerate(values) if value != now)
    await devices.select_option(index=other, force=True)
    label = await options.nth(other).text_content()
    await notice(candidate, "switched", device=label or "")


async def is_muted(candidate: Candidate) -> None:
    await candidate.page.evaluate("window.happens('mute')")
    await notice(candidate, "muted")
    await candidate.types(ANSWER["en"])
    await candidate.asked(ENGLISH, "experience")
    await candidate.page.evaluate("window.happens('unmute')")
    await notice(candidate, "unmuted")


async def is_unplugged(candidate: Candidate) -> None:
    await candidate.page.evaluate("window.plug('out')")
    await notice(candidate, "lost")
    await candidate.types("I used Python and testing every day.")
    await candidate.asked(ENGLISH, "project")
    await candidate.page.evaluate("window.plug('in')")
    await notice(candidate, "back")


async def is_revoked(candidate: Candidate) -> None:
    await deny(candidate.page)
    await notice(candidate, "revoked")
    await candidate.state("listening")
    await candidate.types("In the end, the project was a success.")
    await candidate.sees("the project was a success")
    await candidate.state("listening")
    await allow(candidate.page)
    await notice(candidate, "back")
