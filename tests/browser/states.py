"""Every state of every page, one after the other, for whoever looks at them: accessibility rules,
and people who look at pictures.

The page is the real one, on the real server. States that pass in a blink are shown by a message of
the server's own kind, sent over the page's own socket.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

from browsing import CHINESE, ENGLISH, PASSWORD, Candidate, Site
from playwright.async_api import Browser, Page, WebSocketRoute

from agent.plan import Language, Plan

PLANS: dict[Language, Plan] = {"en": ENGLISH, "zh": CHINESE}
SHOWN = ("thinking", "speaking", "paused", "reconnecting")
ANSWER = {"en": "I used Python and testing every day.", "zh": "我每天使用 Python，也写测试。"}
NAME = {"en": "Ada Lovelace", "zh": "李雷"}
State = tuple[str, Page]


async def candidates_states(
    site: Site, browser: Browser, language: Language, width: int
) -> AsyncIterator[State]:
    """The candidate's pages from the first to the last."""
    context = await browser.new_context(viewport={"width": width, "height": 800})
    plan = PLANS[language]
    candidate = await Candidate.open(site, context, plan, NAME[language])
    page = candidate.page
    sockets: list[WebSocketRoute] = []

    def through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/api/call/socket", through)
    yield "welcome", page
    await page.locator("[data-testid=person-instead]").click()
    yield "person-instead", page
    await page.locator("#consent-interview").evaluate("box => box.form.noValidate = true")
    await candidate.by("agree").click()
    yield "not-agreed", page
    await candidate.consents(recording=True)
    yield "before", page
    await candidate.by("mic-check").click()
    await page.locator("#check-open").wait_for()
    yield "check", page
    await page.get_by_test_id("record").click()
    yield "recording", page
    await page.locator("#other-mode").click()
    yield "in-writing", page
    await candidate.begins()
    await candidate.asked(plan, "warm_up")
    yield "listening", page
    for state in SHOWN:
        message = {"type": "state", "state": state, "stage": "", "question": 1, "questions": 6}
        sockets[-1].send(json.dumps(message | {"practice": False, "time_left_s": 300}))
        await candidate.state(state)
        yield state, page
    sockets[-1].send(json.dumps({"type": "notice", "code": "silent", "text": "…"}))
    await page.locator("#more > summary").click()
    await candidate.by("end").click()
    yield "more-and-end", page
    await candidate.by("end-cancel").click()
    second = await Candidate.open(site, context, invitation=candidate.invitation)
    await second.by("continue-here").wait_for()
    yield "elsewhere", second.page
    await second.page.close()
    await candidate.types(ANSWER[language])
    await candidate.sees(ANSWER[language])
    await candidate.state("listening")
    await candidate.ends()
    await candidate.by("transcript").locator("summary").first.click()
    yield "ended", page
    await candidate.by("save-corrections").click()
    yield "ended-saved", page
    await page.goto(f"{site.base_url}/call/nobody")
    yield "refused", page
    await context.close()


async def desk_states(
    site: Site, browser: Browser, language: Language, width: int
) -> AsyncIterator[State]:
    """The recruiter's pages; the site holds an interview that is over."""
    locale = "zh-CN" if language == "zh" else "en-GB"
    context = await browser.new_context(viewport={"width": width, "height": 800}, locale=locale)
    page = await context.new_page()
    await page.goto(f"{site.base_url}/")
    yield "home", page
    await page.goto(f"{site.base_url}/desk")
    yield "sign-in", page
    await signs_in(page, "not the password")
    yield "sign-in-wrong", page
    await signs_in(page, PASSWORD)
    yield "list", page
    await page.goto(f"{site.base_url}/desk/new")
    yield "new", page
    await page.goto(f"{site.base_url}/desk")
    link = page.locator("main a[href^='/desk/interviews/']").first
    address = await link.get_attribute("href")
    await page.goto(f"{site.base_url}{address}")
    yield "interview", page
    await page.goto(f"{site.base_url}{address}/report")
    yield "report", page
    await page.goto(f"{site.base_url}/desk/nothing")
    yield "no-such-page", page
    await context.close()


async def signs_in(page: Page, password: str) -> None:
    await page.locator("input[type=password]").fill(password)
    await page.locator("main form button").first.click()
    await page.wait_for_load_state()


async def every_state(
    site: Site, browser: Browser, language: Language, width: int
) -> AsyncIterator[State]:
    """Those of the candidate, then those of the recruiter."""
    for states in (candidates_states, desk_states):
        async with aclosing(states(site, browser, language, width)) as shown:
            async for name, page in shown:
                await asyncio.sleep(0.1)  # what fades in has faded in
                yield f"{states.__name__.split('_')[0]}-{name}", page
