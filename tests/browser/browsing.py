"""The server that is browsed, and a candidate who browses it: what they press and see."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Locator, Page
from playwright.async_api import Error as PlaywrightError
from sound import Microphone

from agent.plan import Plan
from server.logins import set_password
from server.rehearsal import model
from server.rehearsal.client import Invitation, Operator
from server.rehearsal.processes import ServerProcess, free_port
from server.rehearsal.run import settings, shipped_plan
from server.store import Store, sqlite_url

WITHIN_MS = 30_000
Send = Callable[[str], Awaitable[None]]
TURN_OR_END = """() => {
    const state = document.querySelector("[data-testid=state]")?.dataset;
    return state?.state === "ended" || (state?.live && state.state === "listening");
}"""
REPLIED = """most => {
    const ended = document.querySelector("[data-testid=state]")?.dataset.state === "ended";
    return ended || document.querySelectorAll("#captions li").length > most;
}"""
"""Answer and reply both stand among the captions, or it is over."""
PASSWORD = "a password for tests only"
# Sentences that the rehearsal recogniser hears without a mistake.
HIKING = "In my free time I enjoy hiking and cooking."
PYTHON = "I used Python and testing every day."
SLOW = "It was a difficult project, because the old system was slow."
SUCCESS = "In the end, the project was a success."
ENGLISH = shipped_plan("rehearsal_en.yaml")
CHINESE = shipped_plan("rehearsal_zh.yaml")
CHINESE_ANSWERS = {
    "warm_up": "空闲时我喜欢爬山和做饭。",
    "experience": "我做过四年后端工程师，每天使用 Python，上一份工作里开发了一个支付系统。",
    "project": "项目很困难，因为旧系统很慢。我负责设计数据库，最后响应时间减少了百分之四十。",
    "conflict": "有一次两位同事对计划有分歧，我认真听取了双方的意见，最后大家都同意了。",
    "mistake": "有一次我们发现了一个严重的错误，我承担了责任，把笔记分享给大家。",
    "weakness": "我有时太注意细节。",
    "start": "我四周之后可以到岗。",
    "your_questions": "没有别的问题了，谢谢。",
}
"""By question."""


@dataclass
class Site:
    """A running server."""

    base_url: str
    folder: Path
    key: str
    server: ServerProcess

    def operator(self) -> Operator:
        return Operator(self.base_url, self.key)

    async def invite(self, plan: Plan = ENGLISH, name: str = "Ada") -> Invitation:
        async with self.operator() as operator:
            return await operator.invite(plan, name)

    def link(self, invitation: Invitation) -> str:
        return f"{self.base_url}/call/{invitation.token}"

    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")


@asynccontextmanager
async def site_in(folder: Path, password: str = "", **more: str) -> AsyncIterator[Site]:
    """`viva serve` on loopback, with settings on top of a rehearsal's; with a password its desk can
    be opened."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
    if password:
        store = Store(sqlite_url(folder))
        await set_password(store, password)
        await store.aclose()
    key = secrets.token_urlsafe(24)
    with model.serving(seed=0) as url:
        given = settings(folder, key, url, model.NAME)
        given |= {f"VIVA_{name.upper()}": value for name, value in more.items()}
        server = ServerProcess(given, free_port(), folder / "server.log")
        await server.start()
        try:
            yield Site(server.base_url, folder, key, server)
        finally:
            await server.stop()


class Candidate:
    """One page of a candidate's; complains of every script error and console message."""

    def __init__(self, site: Site, page: Page, invitation: Invitation) -> None:
        self.site = site
        self.page = page
        self.invitation = invitation
        self.complaints: list[str] = []
        self.requested: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("request", lambda request: self.requested.append(request.url))

    def _console(self, message: object) -> None:
        kind, text = getattr(message, "type", ""), getattr(message, "text", "")
        # A refusal on purpose (a full server, a line that is cut) is no complaint of the page's.
        on_purpose = re.search(r"Failed to load resource|WebSocket", text)
        if kind in ("error", "warning") and not on_purpose:
            self.complaints.append(f"{kind}: {text}")

    @classmethod
    async def open(
        cls,
        site: Site,
        browser: Browser | BrowserContext,
        plan: Plan = ENGLISH,
        name: str = "Ada",
        invitation: Invitation | None = None,
        width: int = 1280,
    ) -> Candidate:
        """The link of an invitation, opened in a window of its own."""
        if isinstance(browser, Browser):
            browser = await browser.new_context(viewport={"width": width, "height": 900})
        page = await browser.new_page()
        page.set_default_timeout(WITHIN_MS)
        candidate = cls(site, page, invitation or await site.invite(plan, name))
        await page.goto(site.link(candidate.invitation))
        return candidate

    def by(self, test_id: str) -> Locator:
        return self.page.get_by_test_id(test_id)

    async def consents(self, *, recording: bool = True, text: bool = False) -> None:
        await self.by("consent-interview").check()
        if recording:
            await self.by("consent-recording").check()
        if text:
            await self.by("mode-text").check()
        await self.by("agree").click()
        await self.ready()

    async def ready(self) -> None:
        """The page's script has run."""
        await self.page.wait_for_selector("html[data-ready]")

    async def begins(self) -> None:
        await self.by("begin").click()

    async def state(self, *wanted: str) -> str:
        """Until the page is in one of these states; returns it."""
        await self.page.wait_for_function(
            """wanted => {
                const state = document.querySelector("[data-testid=state]");
                return state && state.dataset.live && wanted.includes(state.dataset.state);
            }""",
            arg=list(wanted),
        )
        return await self.by("state").get_attribute("data-state") or ""

    async def sees(self, text: str) -> None:
        """Until these words stand among the captions."""
        await self.by("captions").filter(has_text=text).wait_for()

    async def told(self, text: str) -> None:
        """Until a notice says so, whether it stands on the page or passes over it."""
        await self.by("notices").locator(".note", has_text=text).first.wait_for()

    async def captions(self) -> list[str]:
        return [text.strip() for text in await self.by("captions").locator("li").all_inner_texts()]

    async def asked(self, plan: Plan, question_id: str) -> None:
        """The question has been put to its end, and it is the candidate's turn."""
        await self.sees(plan.question(question_id).text)
        await self.state("listening")

    async def speaks(self, microphone: Microphone, *parts: str | float) -> None:
        """Words into the microphone: another one is chosen, which opens it anew."""
        microphone.say(0.2, *parts)
        devices = self.by("call-device")
        now = await devices.input_value()
        values = await devices.locator("option").evaluate_all("all => all.map(one => one.value)")
        other = next(value for value in values if value != now)
        label = await devices.locator(f'option[value="{other}"]').text_content() or ""
        await devices.select_option(other, force=True)
        await self.told(label)  # it is open
        await asyncio.sleep(1.0)  # the file has been opened; the next one hears silence
        microphone.say()

    async def types(self, text: str) -> None:
        await self.by("type-answer").fill(text)
        await self.by("send-answer").click()

    async def answers_all(
        self, plan: Plan, texts: Mapping[str, str], otherwise: str, send: Send | None = None
    ) -> None:
        """Type an answer whenever it is the candidate's turn, to the interview's end."""
        try:
            await self._answers_all(plan, texts, otherwise, send or self.types)
        except PlaywrightError:  # the page of the end came under our hands; nothing else may be so
            await self.by("transcript").wait_for()
        assert await self.by("state").get_attribute("data-state") == "ended"

    async def _answers_all(
        self, plan: Plan, texts: Mapping[str, str], otherwise: str, send: Send
    ) -> None:
        while True:
            await self.page.wait_for_function(TURN_OR_END)
            if await self.by("state").get_attribute("data-state") == "ended":
                await self.by("transcript").wait_for()
                return
            before = await self.captions()
            said = "\n".join(before)
            asked = [q.id for q in plan.questions() if q.text in said]
            await send(texts.get(asked[-1], otherwise))
            await self.page.wait_for_function(REPLIED, arg=len(before) + 1)

    async def ends(self) -> None:
        await self.by("end").click()
        await self.by("end-confirm").click()
        await self.by("transcript").wait_for()

    def check(self) -> None:
        """Nothing was complained of, and nobody else was asked for anything."""
        assert not self.complaints
        own = (self.site.base_url, "blob:")
        foreign = [url for url in self.requested if not url.startswith(own)]
        assert not foreign
