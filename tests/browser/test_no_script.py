"""A whole interview where no script runs: plain forms, to the end, and what is left of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from browsing import CHINESE, CHINESE_ANSWERS, ENGLISH, Candidate, Site
from playwright.async_api import Browser, BrowserContext, expect

import web
from agent.plan import Plan
from server.api.limits import MAX_TYPED

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENGLISH_ANSWERS = {
    "warm_up": "In my free time I enjoy hiking and cooking.",
    "experience": "I worked as a software engineer for four years and used Python every day.",
    "project": "The old system was slow. I divided the work into small steps. It was a success.",
    "conflict": "I listened carefully to both sides. In the end, everyone agreed.",
    "mistake": "I took responsibility and shared my notes with everyone.",
    "weakness": "I make a list every morning.",
    "start": "I can start in four weeks.",
    "your_questions": "No, thank you.",
}
ANSWERS = {"en": ENGLISH_ANSWERS, "zh": CHINESE_ANSWERS}
MOST_TURNS = 20


@pytest_asyncio.fixture(loop_scope="module")
async def plain(shared_chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser in which no script runs."""
    context = await shared_chromium.new_context(java_script_enabled=False)
    yield context
    await context.close()


@pytest.mark.parametrize("plan", [ENGLISH, CHINESE], ids=["en", "zh"])
async def test_a_whole_interview_by_plain_forms(
    plan: Plan, shared_site: Site, plain: BrowserContext
) -> None:
    candidate = await Candidate.open(shared_site, plain, plan)
    await agrees(candidate)
    said = await candidate.page.inner_text("main")
    assert web.say(plan.language, "candidate.check.no_script") in said
    await candidate.begins()
    await holds(candidate, plan)

    main = candidate.page.locator("main")
    await expect(main).to_contain_text(web.say(plan.language, "candidate.ended.completed"))
    transcript = await candidate.by("transcript").inner_text()
    answers = ANSWERS[plan.language]
    assert all(answer in transcript for answer in answers.values())
    assert transcript.count(plan.policy.greeting) == 1
    await corrects(candidate, plan)
    await keeps_a_copy(candidate, plan)
    candidate.check()
    assert await plain.cookies() == []


async def agrees(candidate: Candidate) -> None:
    """The same boxes; what a script would tidy up is in order before any has run."""
    await candidate.by("consent-interview").check()
    await candidate.by("mode-text").check()
    await candidate.by("agree").click()
    await candidate.by("begin").wait_for()


async def holds(candidate: Candidate, plan: Plan) -> None:
    """Answers, until it is over."""
    answers = ANSWERS[plan.language]
    for _ in range(MOST_TURNS):
        if await candidate.by("state").get_attribute("data-state") == "ended":
            return
        captions = "\n".join(await candidate.captions())
        asked = [question.id for question in plan.questions() if question.text in captions]
        await candidate.types(answers[asked[-1]])
    raise AssertionError(await candidate.page.inner_text("main"))


async def corrects(candidate: Candidate, plan: Plan) -> None:
    item = candidate.by("transcript").locator("li.candidate").first
    await item.locator("summary").click()
    await item.locator("textarea").fill(ANSWERS[plan.language]["start"])
    await candidate.by("save-corrections").click()
    await expect(candidate.by("saved")).to_have_text(
        web.say(plan.language, "candidate.ended.saved")
    )
    await expect(item).to_contain_text(web.say(plan.language, "candidate.ended.corrected"))


async def keeps_a_copy(candidate: Candidate, plan: Plan) -> None:
    async with candidate.page.expect_download() as coming:
        await candidate.by("own-copy").click()
    file = await (await coming.value).path()
    text = file.read_text(encoding="utf-8")
    assert all(answer in text for answer in ANSWERS[plan.language].values())


async def test_buttons_work_as_forms_and_100_kb_are_refused_and_kept(
    shared_site: Site, plain: BrowserContext
) -> None:
    candidate = await Candidate.open(shared_site, plain)
    await agrees(candidate)
    await candidate.begins()
    await expect(candidate.by("captions")).to_contain_text(ENGLISH.question("warm_up").text)

    long = "I used Python. " * (100_000 // 15)
    await candidate.types(long)
    await expect(candidate.by("wrong")).to_have_text(web.say("en", "call.wrong.too_long"))
    assert str(MAX_TYPED) in web.say("en", "call.wrong.too_long")
    assert (await candidate.by("type-answer").input_value()).strip() == long.strip()
    assert "I used Python." not in "".join(await candidate.captions())

    await candidate.by("repeat").click()
    again = re.compile(re.escape(ENGLISH.question("warm_up").text))
    await expect(candidate.by("captions").locator("li").filter(has_text=again)).to_have_count(2)
    await candidate.by("skip").click()
    await expect(candidate.by("captions")).to_contain_text(ENGLISH.question("experience").text)
    await candidate.ends()
    await expect(candidate.page.locator("main")).to_contain_text(
        web.say("en", "candidate.ended.withdrawn")
    )
    candidate.check()
