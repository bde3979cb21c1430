"""A whole interview in Chromium: consent, check, practice, spoken and typed answers, a reload in
mid-answer, a second tab, and the end; then what there is of it for the candidate and the recruiter.
"""

from __future__ import annotations

import asyncio
from typing import Any

from browsing import (
    CHINESE,
    CHINESE_ANSWERS,
    ENGLISH,
    HIKING,
    PYTHON,
    SLOW,
    SUCCESS,
    Candidate,
    Site,
)
from playwright.async_api import Browser
from sound import Microphone

import web
from agent.report_schema import Report
from server.rehearsal.evidence import recording
from server.rehearsal.words import stands_in

MONTHS = "We had only six months to replace the payment system."
REPORT_S = 30.0


async def test_an_interview_by_voice_over_a_reload_and_a_second_tab(
    site: Site, chromium: Browser, microphone: Microphone
) -> None:
    candidate = await Candidate.open(site, chromium, name="Ada <b>Lovelace</b>")
    await candidate.consents(recording=True)
    await checks(candidate, microphone)
    await candidate.begins()

    await candidate.asked(ENGLISH, "warm_up")
    assert await candidate.page.locator("#practising").is_visible()
    await candidate.speaks(microphone, HIKING)

    await candidate.asked(ENGLISH, "experience")
    assert not await candidate.page.locator("#practising").is_visible()
    progress = web.say("en", "call.progress", question=1, questions=6)
    assert progress in await candidate.by("progress").inner_text()
    await candidate.types(PYTHON)

    await candidate.asked(ENGLISH, "project")
    await reloads_in_mid_answer(candidate, microphone)
    second = await continues_in_a_second_tab(candidate)
    await second.ends()

    transcript = await second.by("transcript").inner_text()
    assert transcript.count(ENGLISH.policy.greeting) <= 1
    await corrects(second, "I used Python, and I tested every day.")
    candidate.check()
    second.check()
    await what_is_left(site, candidate)


async def checks(candidate: Candidate, microphone: Microphone) -> None:
    """The level moves, and a sentence recorded in the browser is played back."""
    microphone.say(HIKING)
    await candidate.by("mic-check").click()
    level = candidate.page.locator("#level-text")
    await level.filter(has_text=web.say("en", "call.check.heard")).wait_for()
    await candidate.by("record").click()
    await asyncio.sleep(1.0)
    await candidate.by("record").click()
    await candidate.page.wait_for_function(
        "() => document.getElementById('played-back').currentTime > 0"
    )
    await asyncio.sleep(2.0)  # the sentence is over before anybody listens
    microphone.say()


async def reloads_in_mid_answer(candidate: Candidate, microphone: Microphone) -> None:
    """What was said before the reload is kept; the same question goes on, without a greeting."""
    await candidate.speaks(microphone, SLOW, 0.5, MONTHS)
    final = candidate.by("captions").locator("li.candidate:not(.interim)")
    await final.filter(has_text="old system was slow").wait_for()
    await candidate.page.reload()  # in the second sentence: of that the open segment may be lost
    await candidate.state("listening", "speaking", "thinking")
    await candidate.state("listening")
    assert await candidate.by("continue-here").is_hidden()
    captions = await candidate.captions()
    assert sum(ENGLISH.policy.greeting in line for line in captions) <= 1
    assert any("difficult project" in line for line in captions)
    await candidate.speaks(microphone, SUCCESS)
    await candidate.sees("was a success")


async def continues_in_a_second_tab(candidate: Candidate) -> Candidate:
    """The second says where the interview is; continued there, the first is told."""
    second = await Candidate.open(
        candidate.site, candidate.page.context, invitation=candidate.invitation
    )
    await second.by("continue-here").wait_for()
    assert web.say("en", "call.elsewhere.title") in await second.page.inner_text("main")
    await candidate.state("listening", "speaking", "thinking")  # nothing was taken by looking
    await second.by("continue-here").click()
    await second.state("listening")
    await candidate.by("continue-here").wait_for()
    assert await candidate.by("state").get_attribute("data-state") == "paused"
    return second


async def corrects(candidate: Candidate, text: str) -> None:
    """The correction stands beside what was heard."""
    item = candidate.by("transcript").locator("li.candidate").filter(has_text=PYTHON)
    await item.locator("summary").click()
    await item.locator("textarea").fill(text)
    await candidate.by("save-corrections").click()
    await candidate.by("saved").wait_for()
    item = candidate.by("transcript").locator("li.candidate").filter(has_text=PYTHON)
    assert text in await item.inner_text()


async def what_is_left(site: Site, candidate: Candidate) -> None:
    """Transcript, report and audio, as the recruiter gets them."""
    interview_id = candidate.invitation.interview_id
    async with site.operator() as operator:
        report = Report.model_validate(await operator.report(interview_id, REPORT_S))
        events = [entry["event"] for entry in await operator.events(interview_id)]
        sound = await operator.audio(interview_id)
    assert report.end_reason == "withdrawn"
    assert report.candidate.name == "Ada <b>Lovelace</b>"
    assert report.consents.interview and report.consents.recording
    said = " ".join(one.text for one in report.transcript if one.speaker == "candidate")
    for answer in (HIKING, PYTHON, SLOW, SUCCESS):
        assert stands_in(answer, said), said
    (typed,) = [one for one in report.transcript if one.source == "typed"]
    assert (typed.text, typed.correction) == (PYTHON, "I used Python, and I tested every day.")
    asked_once(events)
    under = {one.question_id for one in report.transcript if "difficult project" in one.text}
    assert under == {"project"}
    assert sound is not None
    assert recording(sound, 0.0).samples.any()


def asked_once(events: list[dict[str, Any]]) -> None:
    """Nobody is greeted or asked twice, however often they came back."""
    asked = [event["question_id"] for event in events if event["type"] == "question_asked"]
    assert len(asked) == len(set(asked))
    greetings = [e for e in events if e["type"] == "line_spoken" and e["kind"] == "greeting"]
    assert len(greetings) == 1
    assert sum(event["type"] == "call_joined" for event in events) >= 3


async def test_an_interview_in_chinese_in_writing(site: Site, chromium: Browser) -> None:
    candidate = await Candidate.open(site, chromium, CHINESE, name="李雷")
    assert await candidate.page.get_attribute("html", "lang") == "zh-Hans"
    await candidate.consents(recording=False, text=True)
    await candidate.begins()
    await candidate.asked(CHINESE, "warm_up")
    await candidate.page.reload()
    await candidate.state("listening")
    await candidate.answers_all(CHINESE, CHINESE_ANSWERS, "我说完了。")
    assert web.say("zh", "candidate.ended.completed") in await candidate.page.inner_text("main")
    candidate.check()
    async with site.operator() as operator:
        found = await operator.report(candidate.invitation.interview_id, REPORT_S)
        events = [e["event"] for e in await operator.events(candidate.invitation.interview_id)]
    report = Report.model_validate(found)
    assert report.status == "complete" and report.overall.score is not None
    assert report.channels == ("text",)
    asked = [event["question_id"] for event in events if event["type"] == "question_asked"]
    assert asked == [question.id for question in CHINESE.questions()]
