"""The report as a page: every score with its quotes, each of which leads to the passage and the
sound.
"""

from __future__ import annotations

import asyncio
import json
import re
from itertools import pairwise
from pathlib import Path

import httpx
import jsonschema
import pytest
from fake_host import OPERATOR
from fastapi import FastAPI
from held import (
    BEGAN,
    BUILT,
    MARKUP,
    TESTED,
    Broken,
    Page,
    Recorded,
    graded,
    held,
    loads,
    words_of,
)
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.events import AnswerCorrected, EndReason
from agent.plan import Plan
from agent.report import schema
from server import cli
from server.pages.report_view import marked
from server.store import Store


@pytest.fixture
def recorded(app: FastAPI, tmp_path: Path) -> Recorded:
    """Every interview has a recording."""
    port = Recorded(tmp_path)
    app.state.parts = type(app.state.parts)(**{**vars(app.state.parts), "recordings": port})
    return port


def report_of(interview_id: str) -> str:
    return f"/desk/interviews/{interview_id}/report"


async def test_every_score_has_quotes_that_lead_to_the_passage_and_the_sound(
    admin: httpx.AsyncClient, store: Store, plan: Plan, recorded: Recorded
) -> None:
    interview_id = await held(store, plan)
    await graded(store)
    page = Page((await admin.get(report_of(interview_id))).text)
    assert "10 of 10" in page.text
    quotes = page.all("a", class_="quote")
    assert len(quotes) >= 12  # two answers, six dimensions
    assert {one["href"] for one in quotes} == {"#u-c1", "#u-c2"}
    inside = {one["href"][1:] for one in page.all("a") if one["href"].startswith("#")}
    assert inside <= set(page.ids)
    # The answer began 22 s into the interview, the recording five seconds before it.
    assert {one["data-play"] for one in quotes} == {"27.0", "47.0"}
    sounds = {one["href"] for one in page.all("a", class_="listen")}
    assert f"/desk/interviews/{interview_id}/audio#t=27.0" in sounds
    (player,) = page.all("audio")
    assert player["src"] == f"/desk/interviews/{interview_id}/audio" and "controls" in player
    assert page.text.count("I built a payment") > 6
    assert len(page.all("mark")) == 2


async def test_the_report_tells_how_the_interview_was_held_and_what_made_it(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    await graded(store)
    text = (await admin.get(report_of(interview_id))).text
    said = words_of(text)
    record = await store.interview(interview_id)
    for needed in (
        "Another voice spoke",
        "espeak: the network is gone",
        "no token in 5 s",
        "skip_not_asked_for",
        "What did you build?",
        "How did you test it?",
        "Everything was asked",
        "The candidate asked nothing",
        "2 of 2 questions that must be asked",
        "Recording: yes",
        "People decide.",
        record.plan_hash,
        "grader.md",
    ):
        assert needed in said, needed
    page = Page(text)
    assert not page.all("audio") and not page.all("a", class_="listen")  # nothing was recorded
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(page.headings))
    assert len(page.ids) == len(set(page.ids))


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("withdrawn", "The candidate ended the interview"),
        ("declined_ai", "wants to talk with a person"),
        ("completed", "The grading failed"),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_where_nothing_may_be_scored_the_page_says_so_and_shows_no_number(
    admin: httpx.AsyncClient,
    store: Store,
    plan: Plan,
    end: EndReason,
    why: str,
    language: str,
) -> None:
    interview_id = await held(store, plan, end)
    await graded(store, Broken())
    await admin.post("/desk/language", data={"language": language})
    said = words_of((await admin.get(report_of(interview_id))).text)
    if language == "en":
        assert "There is no number in this report." in said and why in said
    else:
        assert "这份报告没有任何分数" in said
    assert not re.search(r"\d+ of 10|满分", said)
    assert BUILT in said


async def test_a_report_of_an_interview_cut_short_lists_what_was_not_asked(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan, "abandoned", answers=(BUILT,))
    await graded(store)
    page = (await admin.get(report_of(interview_id))).text
    said = words_of(page)
    assert "What was not asked is no weakness" in said
    after = said[said.index("What was not asked is no weakness") :]
    assert after.index("How did you test it?") < after.index("The candidate's questions")
    assert "should have been asked" in said


async def test_until_there_is_a_report_the_page_says_so_and_looks_again(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    page = (await admin.get(report_of(interview_id))).text
    assert "The report is being made" in words_of(page)
    assert '<noscript><meta http-equiv="refresh"' in page
    assert "wait.js" in page
    await graded(store)
    assert "The report is being made" not in (await admin.get(report_of(interview_id))).text


async def test_grading_again_keeps_the_earlier_revision_to_be_read(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    await graded(store, Broken())
    answer = await admin.post(f"/desk/interviews/{interview_id}/grade")
    assert answer.headers["location"].endswith("?done=grading")
    assert "Revision 2 is being made" in words_of((await admin.get(report_of(interview_id))).text)
    await graded(store)
    newest = words_of((await admin.get(report_of(interview_id))).text)
    assert "Revision 2" in newest and "10 of 10" in newest
    first = words_of((await admin.get(report_of(interview_id) + "?revision=1")).text)
    assert "There is no number" in first
    assert (await admin.get(report_of(interview_id) + "?revision=3")).status_code == 404
    assert (await admin.get(report_of(interview_id) + "?revision=0")).status_code == 422


async def test_what_people_add_stands_beside_what_was_heard(
    admin: httpx.AsyncClient, web: httpx.AsyncClient, store: Store, plan: Plan, tmp_path: Path
) -> None:
    interview_id = await held(store, plan)
    await graded(store)
    written = "I built a <b>payment</b> system"
    corrected = AnswerCorrected(at=BEGAN + 99, utterance_id="c1", text=written)
    await store.append(interview_id, None, [corrected])
    form = {"value": "strong_yes", "reason": "Knows tests"}
    await admin.post(f"/desk/interviews/{interview_id}/decision", data=form)
    for path in (report_of(interview_id), f"/desk/interviews/{interview_id}"):
        said = words_of((await admin.get(path)).text)
        assert f"The candidate's correction: {written}" in said
        assert "it was not graded" in said and BUILT in said
        assert "Strong yes" in said and "Knows tests" in said
    report = loads((await admin.get(report_of(interview_id) + ".json")).text)
    assert report["human_decision"]["value"] == "strong_yes"  # type: ignore[index]
    by_key = await web.get(f"/api/interviews/{interview_id}/report", headers=OPERATOR)
    assert by_key.json() == report
    printed = await asyncio.to_thread(shown, tmp_path, interview_id)
    assert "Decided by admin on" in printed and "strong_yes. Knows tests" in printed
    assert loads(await asyncio.to_thread(shown, tmp_path, interview_id, "--json")) == report


def shown(folder: Path, interview_id: str, *more: str) -> str:
    """What `viva report show` prints."""
    given = ["report", "show", interview_id, "--data-dir", str(folder), *more]
    return CliRunner().invoke(cli.app, given, catch_exceptions=False).stdout


async def test_a_printed_report_has_the_words_behind_each_score_and_steers_no_terminal(
    store: Store, plan: Plan, tmp_path: Path
) -> None:
    interview_id = await held(store, plan, name="Ada\x1b[2J\nStatus: hired")
    await graded(store)
    printed = await asyncio.to_thread(shown, tmp_path, interview_id)
    report = loads(await asyncio.to_thread(shown, tmp_path, interview_id, "--json"))
    quoted = [
        evidence
        for answer in report["answers"]
        for rating in answer["ratings"].values()
        if rating["score"] is not None
        for evidence in rating["evidence"]
    ]
    assert quoted
    for one in quoted:
        assert f'"{one["quote"]}" ({one["utterance_id"]}, ' in printed
    assert "\x1b" not in printed and "\nStatus: hired" not in printed


async def test_what_is_downloaded_is_whole_and_valid(
    admin: httpx.AsyncClient, store: Store, plan: Plan, recorded: Recorded
) -> None:
    interview_id = await held(store, plan, name="Ada/../\u202e")
    await graded(store)
    base = f"/desk/interviews/{interview_id}"
    answer = await admin.get(f"{base}/report.json")
    jsonschema.Draft202012Validator(schema()).validate(answer.json())
    assert answer.headers["content-disposition"] == (
        f'attachment; filename="report-{interview_id}.json"'
    )
    text = await admin.get(f"{base}/transcript.txt")
    assert BUILT in text.text and TESTED in text.text
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    heard = await admin.get(f"{base}/audio", headers={"Range": "bytes=0-99"})
    assert heard.status_code == 206 and len(heard.content) == 100
    assert heard.headers["content-disposition"].startswith("inline")
    kept = await admin.get(f"{base}/audio?download=1")
    assert kept.headers["content-disposition"].startswith("attachment")
    assert len(kept.content) == recorded.file.stat().st_size


async def test_what_was_typed_leads_to_no_sound(
    admin: httpx.AsyncClient, store: Store, plan: Plan, recorded: Recorded
) -> None:
    interview_id = await held(store, plan, typed=True)
    await graded(store)
    page = Page((await admin.get(report_of(interview_id))).text)
    assert page.all("a", class_="quote")
    assert not any("data-play" in one for one in page.all("a", class_="quote"))


async def test_markup_in_answers_and_quotes_is_only_text(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan, name=MARKUP, answers=(MARKUP, MARKUP))
    await graded(store)
    page = Page((await admin.get(report_of(interview_id))).text)
    assert all(set(one) == {"type", "src"} for one in page.all("script"))
    assert not page.all("img") and "<script>alert(1)" in page.text


async def test_a_report_of_another_version_can_still_be_downloaded(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    await store.save_report(interview_id, 1, json.dumps({"schema_version": "9"}))
    answer = await admin.get(report_of(interview_id))
    assert answer.status_code == 409 and "Another version" in words_of(answer.text)
    assert (await admin.get(report_of(interview_id) + ".json")).json() == {"schema_version": "9"}


def test_quotes_are_marked_where_they_stand_and_overlaps_are_one() -> None:
    assert marked("abcdef", {"bc", "cd"}) == (("a", False), ("bcd", True), ("ef", False))
    assert marked("aXa", {"a"}) == (("a", True), ("X", False), ("a", True))
    assert marked("", {"a"}) == () and marked("abc", set()) == (("abc", False),)


@given(st.text(max_size=40), st.sets(st.text(max_size=5), max_size=4))
def test_marking_never_changes_the_words(text: str, quotes: set[str]) -> None:
    parts = marked(text, quotes)
    assert "".join(part for part, _ in parts) == text
    assert all(a[1] != b[1] for a, b in pairwise(parts))
