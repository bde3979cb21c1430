"""What people type and open, and how wrong their clocks are, in a real browser."""

from __future__ import annotations

import secrets

import pytest
from browsing import CHINESE, ENGLISH, PYTHON, Candidate, Site
from playwright.async_api import Browser, Page, expect

import web
from agent.plan import Language, Plan
from server.invites import GUESSES, token_hash
from server.rehearsal.client import Invitation
from server.store import Store, sqlite_url

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "<img src=x onerror='window.ran = 1'>\u202eעדה"
MARKUP = "<script>window.ran = 1</script><b>bold</b> & <img src=x onerror='window.ran = 1'>"
ARABIC = "أستخدم Python كل يوم."
DAY_MS = 24 * 60 * 60 * 1000
SHIFTED = """const Real = Date;
Date = class extends Real {
    constructor(...given) { given.length ? super(...given) : super(Real.now() + SHIFT); }
    static now() { return Real.now() + SHIFT; }
};"""


async def test_markup_and_right_to_left_text_stay_text(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await Candidate.open(shared_site, shared_chromium, name=NAME)
    name = candidate.page.locator("bdi", has_text="עדה")
    assert await name.inner_text() == NAME.replace("\u202e", " ")  # nothing turns what is around it
    await candidate.consents(text=True)
    await candidate.begins()
    await candidate.asked(ENGLISH, "warm_up")
    await candidate.types(MARKUP)
    await candidate.asked(ENGLISH, "experience")
    await candidate.types(f"\u200f{ARABIC}\u200f\nPython!")  # with marks, as such keyboards make
    await candidate.asked(ENGLISH, "project")
    await expect(candidate.by("type-answer")).to_have_value("")  # it is known to have arrived
    await as_typed(candidate.page, "[data-testid=captions]")
    await candidate.page.reload()  # now they come from the server, in a template
    await candidate.state("listening")
    await as_typed(candidate.page, "[data-testid=captions]")
    await candidate.ends()
    await as_typed(candidate.page, "[data-testid=transcript]")
    candidate.check()


async def as_typed(page: Page, where: str) -> None:
    said = page.locator(f"{where} li.candidate .said")
    markup, arabic = said.filter(has_text="bold").first, said.filter(has_text="Python كل").first
    assert (await markup.inner_text()).strip() == MARKUP
    assert (await arabic.inner_text()).strip() == f"{ARABIC}\nPython!"
    assert await arabic.evaluate("said => getComputedStyle(said).direction") == "rtl"
    assert await markup.evaluate("said => getComputedStyle(said).direction") == "ltr"
    assert await page.locator(f"main img, main script, {where} b").count() == 0
    assert await page.evaluate("window.ran") is None


async def test_100_kb_typed_are_refused_and_stay_in_the_box(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await begun(shared_site, shared_chromium, ENGLISH)
    long = "I used Python. " * (100_000 // 15)
    await candidate.types(long)
    await expect(candidate.by("notices")).to_contain_text(web.say("en", "call.wrong.too_long"))
    assert await candidate.by("type-answer").input_value() == long
    await candidate.page.reload()
    await candidate.state("listening")
    assert await candidate.by("type-answer").input_value() == long
    await candidate.types(PYTHON)  # shortened
    await candidate.asked(ENGLISH, "experience")
    await expect(candidate.by("notices")).not_to_contain_text(web.say("en", "call.wrong.too_long"))
    assert sum("I used Python." in line for line in await candidate.captions()) == 0
    candidate.check()


@pytest.mark.parametrize("days", [-1, 1])
async def test_a_clock_that_is_wrong_by_a_day_changes_nothing(
    days: int, shared_site: Site, shared_chromium: Browser
) -> None:
    context = await shared_chromium.new_context(viewport={"width": 1280, "height": 900})
    await context.add_init_script(SHIFTED.replace("SHIFT", str(days * DAY_MS)))
    candidate = await Candidate.open(shared_site, context)
    await candidate.consents()
    await candidate.begins()  # by voice: sound and its keys have clocks of their own
    await candidate.asked(ENGLISH, "warm_up")
    progress = await candidate.by("progress").inner_text()
    assert any(web.say("en", "call.time_left", minutes=left) in progress for left in (14, 15))
    await candidate.types(PYTHON)
    await candidate.asked(ENGLISH, "experience")
    assert await context.cookies() == []
    candidate.check()
    await context.close()


async def begun(site: Site, browser: Browser, plan: Plan) -> Candidate:
    """In writing, at the first question."""
    candidate = await Candidate.open(site, browser, plan)
    await candidate.consents(text=True)
    await candidate.begins()
    await candidate.asked(plan, "warm_up")
    return candidate


# --- links ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("language", "plan"), [("en", ENGLISH), ("zh", CHINESE)])
async def test_a_link_that_opens_nothing_says_so_and_names_nobody(
    language: Language, plan: Plan, shared_site: Site, shared_chromium: Browser
) -> None:
    expired = await expired_token(shared_site, await shared_site.invite(plan, "Grace Hopper"))
    revoked = await shared_site.invite(plan, "Grace Hopper")
    async with shared_site.operator() as operator:
        await operator._send("POST", f"/api/interviews/{revoked.interview_id}/revoke")
    links = {
        "expired_invite": expired,
        "revoked_invite": revoked.token,
        "unknown_invite": secrets.token_urlsafe(32),
    }
    context = await shared_chromium.new_context(locale={"en": "en-IE", "zh": "zh-CN"}[language])
    page = await context.new_page()
    for code, token in links.items():
        await page.goto(f"{shared_site.base_url}/call/{token}")
        await says_only(page, language, code, plan)
    await context.close()


async def says_only(page: Page, language: Language, code: str, plan: Plan) -> None:
    main = page.locator("main")
    await expect(main.locator("h1")).to_have_text(web.say(language, f"refusals.{code}.title"))
    await expect(main).to_contain_text(web.say(language, f"refusals.{code}.text"))
    whole = await page.content()
    assert not any(word in whole for word in ("Grace", "Hopper", plan.title, plan.job.title))


async def expired_token(site: Site, invitation: Invitation) -> str:
    """Another link to the interview, as if it had been made long ago."""
    token = secrets.token_urlsafe(32)
    store = Store(sqlite_url(site.folder))
    await store.add_invite(token_hash(token), invitation.interview_id, expires_at=1.0)
    await store.aclose()
    return token


async def test_a_link_that_was_used_shows_its_own_transcript_on_any_device(
    shared_site: Site, shared_chromium: Browser
) -> None:
    candidate = await begun(shared_site, shared_chromium, ENGLISH)
    await candidate.types(PYTHON)
    await candidate.asked(ENGLISH, "experience")
    await candidate.ends()
    again = await Candidate.open(shared_site, shared_chromium, invitation=candidate.invitation)
    assert PYTHON in await again.by("transcript").inner_text()
    assert await again.by("state").get_attribute("data-state") == "ended"
    assert await again.by("type-answer").count() == 0  # nothing goes on here
    again.check()


async def test_whoever_guesses_links_is_told_to_wait_and_disturbs_no_interview(
    site: Site, shared_chromium: Browser
) -> None:
    """On a server of its own: the guesses come from the address of all these tests."""
    candidate = await begun(site, shared_chromium, ENGLISH)
    context = await shared_chromium.new_context(locale="zh-CN")
    guesser = await context.new_page()
    for _ in range(GUESSES + 1):
        await guesser.goto(f"{site.base_url}/call/{secrets.token_urlsafe(32)}")
    await says_only(guesser, "zh", "too_many_guesses", ENGLISH)
    await candidate.page.reload()
    await candidate.state("listening")
    await candidate.types(PYTHON)
    await candidate.asked(ENGLISH, "experience")
    candidate.check()
