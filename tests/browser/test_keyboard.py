"""A whole interview, and the desk after it, with the keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from browsing import ENGLISH, PASSWORD, Candidate, Site, site_in
from playwright.async_api import Browser, Page

from agent.report_schema import Report

MOST_TABS = 120
ANSWERS = {
    "warm_up": "In my free time I enjoy hiking.",
    "experience": "I worked as a software engineer for five years. I used Python every day.",
    "project": "It was a difficult project. My role was to design the database.",
    "conflict": "I listened to both sides. In the end, everyone agreed with the decision.",
    "mistake": "We found a mistake, so I took responsibility and told the team.",
}
FOCUSED = """() => {
    const one = document.activeElement;
    return [one.dataset.testid ?? "", one.id, one.value ?? "", one.getAttribute("href") ?? ""];
}"""
OUTLINED = "() => getComputedStyle(document.activeElement).outlineStyle"


@pytest.fixture
async def furnished(tmp_path: Path) -> AsyncIterator[Site]:
    async with site_in(tmp_path / "data", password=PASSWORD) as site:
        yield site


class Keys:
    """Hands that know Tab, Space, Enter and letters."""

    def __init__(self, page: Page) -> None:
        self._page = page

    async def to(self, name: str) -> None:
        """Tab until it has the focus, which has to be seen."""
        for _ in range(MOST_TABS):
            if name in await self._page.evaluate(FOCUSED):
                assert await self._page.evaluate(OUTLINED) != "none", f"{name}: the focus is unseen"
                return
            await self.press("Tab")
        raise AssertionError(f"Tab never comes to {name}")

    async def press(self, key: str, on: str = "") -> None:
        if on:
            await self.to(on)
        await self._page.keyboard.press(key)

    async def type(self, text: str) -> None:
        await self._page.keyboard.insert_text(text)


async def test_an_interview_and_its_decision_without_a_mouse(
    furnished: Site, chromium: Browser
) -> None:
    candidate = await Candidate.open(furnished, chromium)
    keys = Keys(candidate.page)
    await keys.press("Space", on="consent-interview")
    await keys.press("Space", on="consent-recording")
    await keys.press("ArrowDown", on="mode-voice")  # in a group of choices arrows choose
    await keys.press("Enter", on="agree")
    await candidate.ready()
    await keys.press("Enter", on="begin")
    await candidate.asked(ENGLISH, "warm_up")
    await keys.press("Enter", on="repeat")
    await candidate.page.wait_for_function(
        "text => document.getElementById('captions').innerText.split(text).length > 2",
        arg=ENGLISH.question("warm_up").text,
    )

    async def send(text: str) -> None:
        await keys.to("type-answer")
        await keys.type(text)
        await keys.press("Enter", on="send-answer")

    await candidate.answers_all(ENGLISH, ANSWERS, "I have nothing to add.", send)
    candidate.check()
    await decides(furnished, candidate)


async def decides(site: Site, candidate: Candidate) -> None:
    """The recruiter signs in, opens the interview, and decides."""
    page = candidate.page
    keys = Keys(page)
    interview_id = candidate.invitation.interview_id
    async with site.operator() as operator:
        await operator.report(interview_id, 30)
    await page.goto(f"{site.base_url}/desk")
    await keys.to("password")  # without a step: its box has the focus
    await keys.type(PASSWORD)
    await keys.press("Enter")
    address = f"/desk/interviews/{interview_id}"
    await page.locator(f"main a[href='{address}']").wait_for()
    await keys.press("Enter", on=address)
    await page.locator("#value").wait_for()
    await keys.press("ArrowDown", on="value")
    await keys.to("reason")
    await keys.type("Clear answers.")
    await keys.press("Tab")
    await keys.press("Enter")
    await page.locator("blockquote", has_text="Clear answers.").wait_for()
    async with site.operator() as operator:
        report = Report.model_validate(await operator.report(interview_id, 5))
    assert report.human_decision is not None
    assert report.human_decision.reason == "Clear answers."
