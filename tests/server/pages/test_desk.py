"""The desk: interviews are listed, made, invited to, decided about and deleted by forms alone."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from fake_host import FakeHost
from fastapi import FastAPI
from held import BUILT, MARKUP, OURS, PASSWORD, Page, held, words_of

import web as pages_of
from agent.events import DecisionRecorded, EndReason, Suggestion
from agent.plan import Plan
from agent.planfile import load
from server.pages.desk_interview import MAX_REASON
from server.pages.desk_interviews import PAGE
from server.settings import Settings
from server.store import Status, Store

PLAN = Path(__file__).parents[3] / "prompts" / "plans" / "rehearsal_en.yaml"
LINK = re.compile(r"http://127\.0\.0\.1:8080/call/([\w-]{43})")


def desk(interview_id: str, *more: str) -> str:
    return "/".join(["/desk/interviews", interview_id, *more])


def link_on(page: str) -> str:
    (field,) = Page(page).all("input", id="link")
    found = LINK.fullmatch(field["value"])
    assert found and "readonly" in field
    return found[1]


async def made(admin: httpx.AsyncClient, store: Store, **form: str) -> tuple[str, httpx.Response]:
    """A new interview by the form; its id and the page."""
    given = {"text": PLAN.read_text(encoding="utf-8"), "name": "Ada", "days": "14", **form}
    answer = await admin.post("/desk/new", data=given)
    assert answer.status_code == 201, words_of(answer.text)
    (newest,), _ = await store.list_interviews(limit=1)
    return newest.interview_id, answer


# --- the list -------------------------------------------------------------------------------------


async def test_the_list_says_who_for_what_since_when_and_how_far_and_no_score(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    first = await held(store, plan, name="Ada")
    await held(store, plan, None, name="Bob")
    page = (await admin.get("/desk")).text
    said = words_of(page)
    assert said.index("Bob") < said.index("Ada")
    for word in ("Engineer", "A small plan", "live", "ended", "completed", "not yet"):
        assert word in said
    assert "of 10" not in said
    assert desk(first) in {one["href"] for one in Page(page).all("a")}


async def test_the_list_can_be_filtered_and_turned_over(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    for n in range(PAGE + 2):
        await store.create_interview(plan, candidate_name=f"Candidate number {n}")
    await held(store, plan, name="Zoe")
    first, second = [(await admin.get(f"/desk?page={n}")).text for n in (1, 2)]
    assert "Page 1 of 2" in words_of(first) and "Page 2 of 2" in words_of(second)
    names = re.findall(r"<bdi>(.+?)</bdi>", first + second)
    assert len(names) == len(set(names)) == PAGE + 3
    (older,) = Page(first).all("a", rel="next")
    assert (await admin.get(older["href"])).text == second
    ended = (await admin.get("/desk?status=ended")).text
    assert re.findall(r"<bdi>(.+?)</bdi>", ended) == ["Zoe"]
    assert "no interviews here" in words_of((await admin.get("/desk?status=away")).text)
    assert (await admin.get("/desk?status=nonsense&page=99")).status_code == 200
    assert (await admin.get("/desk?page=0")).status_code == 422


# --- a new one ------------------------------------------------------------------------------------


async def test_a_new_interview_shows_its_link_once(
    admin: httpx.AsyncClient, web: httpx.AsyncClient, store: Store, tmp_path: Path
) -> None:
    interview_id, answer = await made(admin, store, name="  Ada\n Lovelace ", extra_time="yes")
    token = link_on(answer.text)
    record = await store.interview(interview_id)
    assert (record.candidate_name, record.time_factor) == ("Ada Lovelace", 1.5)
    assert (await web.get(f"/call/{token}")).status_code == 200
    again = (await admin.get(desk(interview_id))).text
    assert token not in again and "only its hash is stored" in words_of(again)
    assert not any(token.encode() in kept for kept in contents(tmp_path))


def contents(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in folder.rglob("*") if file.is_file()]


async def test_a_saved_plan_is_chosen_from_a_list(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    hashed = await store.save_plan(plan)
    chosen = Page((await admin.get("/desk/new")).text).all("option", value=hashed)
    assert len(chosen) == 1
    interview_id, _ = await made(admin, store, saved=hashed, text="")
    assert (await store.interview(interview_id)).plan_hash == hashed


async def test_a_plan_can_be_a_file(admin: httpx.AsyncClient, store: Store) -> None:
    file = {"file": ("plan.yaml", PLAN.read_bytes(), "application/yaml")}
    answer = await admin.post("/desk/new", data={"days": "1"}, files=file)
    assert answer.status_code == 201
    ((record,), _) = await store.list_interviews()
    assert record.plan_hash == load(PLAN).hash
    no_file = {"file": ("", b"", "application/octet-stream")}  # as browsers send an empty field
    answer = await admin.post("/desk/new", data={"days": "1", "text": "x"}, files=no_file)
    assert answer.status_code == 422


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ("", "Choose a plan"),
        ("stages: [", "plan:1: not YAML"),
        ("plan_id: x\nlanguage: tlh\n", "plan:2:"),
        ("[" * 5000, "nested too deeply"),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("\x00\x01", "not YAML"),
        ("</textarea><script>alert(1)</script>", "plan:1:"),
        ("x" * 300_000, "larger than 256 KB"),
    ],
)
async def test_a_wrong_plan_is_named_by_the_line_and_nothing_entered_is_lost(
    admin: httpx.AsyncClient, store: Store, plan: str, said: str
) -> None:
    given = {"text": plan, "name": "Ada <b>", "days": "3", "extra_time": "yes"}
    answer = await admin.post("/desk/new", data=given)
    assert answer.status_code == 422
    assert said in words_of(answer.text)
    page = Page(answer.text)
    assert page.all("input", id="name")[0]["value"] == "Ada <b>"
    assert page.all("input", id="days")[0]["value"] == "3"
    assert "checked" in page.all("input", id="extra_time")[0]
    assert not page.all("script", src="") and "alert(1)" not in str(page.all("script"))
    if len(plan) < 10_000 and "\x00" not in plan:
        assert plan.strip() in page.text
    assert await store.list_interviews() == ([], 0)


async def test_a_wrong_file_comes_back_as_text(admin: httpx.AsyncClient) -> None:
    file = {"file": ("plan.yaml", b"plan_id: mine\n", "application/yaml")}
    answer = await admin.post("/desk/new", data={"days": "1"}, files=file)
    assert answer.status_code == 422 and "plan_id: mine" in Page(answer.text).text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"days": "0"}, "number of days"),
        ({"days": "367"}, "number of days"),
        ({"days": "soon"}, "number of days"),
        ({"days": "nan"}, "number of days"),
        ({"days": "inf"}, "number of days"),
        ({"name": "x" * 201}, "too long"),
        ({"saved": "0" * 64}, "Keep one"),
        ({"saved": "0" * 64, "text": ""}, "does not exist any more"),
    ],
)
async def test_a_wrong_field_is_said_and_nothing_is_made(
    admin: httpx.AsyncClient, store: Store, form: dict[str, str], said: str
) -> None:
    given = {"text": PLAN.read_text(encoding="utf-8"), "days": "14", **form}
    answer = await admin.post("/desk/new", data=given)
    assert answer.status_code == 422 and said in words_of(answer.text)
    assert await store.list_interviews() == ([], 0)


async def test_a_form_that_is_too_large_is_refused_with_a_page(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/desk/new", data={"text": "x" * (2 << 20), "days": "1"})
    assert answer.status_code == 413


async def test_a_full_disk_makes_no_interview_and_says_so_in_a_recruiters_words(
    admin: httpx.AsyncClient, app: FastAPI, store: Store
) -> None:
    full = {"free_bytes": lambda: 0, "settings": Settings(min_free_mb=1)}
    app.state.parts = type(app.state.parts)(**{**vars(app.state.parts), **full})
    answer = await admin.post("/desk/new", data={"text": PLAN.read_text(encoding="utf-8")})
    assert answer.status_code == 507 and "Nothing was made" in words_of(answer.text)
    assert await store.list_interviews() == ([], 0)


# --- its links ------------------------------------------------------------------------------------


async def test_another_link_opens_the_same_interview_and_all_can_be_taken_back(
    admin: httpx.AsyncClient, web: httpx.AsyncClient, store: Store, host: FakeHost
) -> None:
    interview_id, answer = await made(admin, store)
    first = link_on(answer.text)
    second = link_on((await admin.post(desk(interview_id, "invites"))).text)
    assert first != second
    assert words_of((await admin.get(desk(interview_id))).text).count("good") >= 2
    answer = await admin.post(desk(interview_id, "revoke"))
    assert answer.headers["location"] == desk(interview_id) + "?done=revoked"
    page = words_of((await admin.get(answer.headers["location"])).text)
    assert "All links were taken back" in page and page.count("taken back") >= 3
    for token in (first, second):
        assert (await web.get(f"/call/{token}")).status_code == 410
    assert host.dropped == [interview_id]


async def test_a_link_that_has_run_out_is_shown_as_expired(
    admin: httpx.AsyncClient, app: FastAPI, store: Store
) -> None:
    interview_id, _ = await made(admin, store, days="1")
    parts = app.state.parts
    later = parts.clock() + 86_401
    app.state.parts = type(parts)(**{**vars(parts), "clock": lambda: later})
    assert "expired" in words_of((await admin.get(desk(interview_id))).text)


# --- the decision ---------------------------------------------------------------------------------


async def test_a_decision_has_a_reason_and_a_date_and_earlier_ones_stay(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan)
    assert "Nobody has decided yet" in words_of((await admin.get(desk(interview_id))).text)
    for value, reason in (("yes", "Good tests <b>\u202e"), ("no", "It was another person")):
        answer = await admin.post(
            desk(interview_id, "decision"), data={"value": value, "reason": reason}
        )
        assert answer.status_code == 303
    page = (await admin.get(answer.headers["location"])).text
    said = words_of(page)
    assert "Your decision was recorded" in said
    assert said.index("It was another person") < said.index("Good tests <b>")
    assert "\u202e" not in page and "Earlier decisions (1)" in said
    decisions = [
        one.event
        for one in await store.events(interview_id)
        if isinstance(one.event, DecisionRecorded)
    ]
    assert [(one.value, one.by) for one in decisions] == [("yes", "admin"), ("no", "admin")]
    assert (await store.verify_chain(interview_id)).ok


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"value": "yes", "reason": " \n "}, "Give the reason"),
        ({"reason": "kept as it was"}, "Choose a decision"),
        ({"value": "perhaps", "reason": "kept as it was"}, "Choose a decision"),
        ({"value": "no", "reason": "x" * (MAX_REASON + 1)}, "too long"),
    ],
)
async def test_a_decision_without_a_value_or_a_reason_is_sent_back_as_it_was(
    admin: httpx.AsyncClient, store: Store, plan: Plan, form: dict[str, str], said: str
) -> None:
    interview_id = await held(store, plan)
    answer = await admin.post(desk(interview_id, "decision"), data=form)
    assert answer.status_code == 422 and said in words_of(answer.text)
    assert form["reason"].strip() in words_of(answer.text)
    assert not any(
        one.event.type == "decision_recorded" for one in await store.events(interview_id)
    )


async def test_nobody_decides_before_the_end(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan, None)
    assert 'name="reason"' not in (await admin.get(desk(interview_id))).text
    for path in ("decision", "grade"):
        form = {"value": "yes", "reason": "Quick"}
        answer = await admin.post(desk(interview_id, path), data=form)
        assert answer.status_code == 409 and "has not ended" in words_of(answer.text)


# --- deletion -------------------------------------------------------------------------------------


async def test_deleting_takes_the_words_and_the_audio_once_it_is_confirmed(
    admin: httpx.AsyncClient, store: Store, plan: Plan, settings: Settings, host: FakeHost
) -> None:
    interview_id = await held(store, plan, name="Ada Lovelace")
    folder = settings.recordings_folder / interview_id
    folder.mkdir(parents=True)
    (folder / "chunk-00000000.opus").write_bytes(b"sound")
    answer = await admin.post(desk(interview_id, "delete"))
    assert answer.status_code == 422 and "Nothing was deleted" in words_of(answer.text)
    assert folder.exists()
    answer = await admin.post(desk(interview_id, "delete"), data={"confirmed": "yes"})
    assert answer.headers["location"] == "/desk?done=deleted"
    listed = words_of((await admin.get(answer.headers["location"])).text)
    assert "was deleted" in listed and "Erased" in listed and "Ada" not in listed
    assert not folder.exists() and host.dropped == [interview_id]
    left = (await admin.get(desk(interview_id))).text
    assert BUILT not in left and "Lovelace" not in left and "event verifies" in words_of(left)
    for path, status in (
        ("report", 200),
        ("report.json", 404),
        ("transcript.txt", 410),
        ("audio", 404),
    ):
        assert (await admin.get(desk(interview_id, path))).status_code == status, path
    for path in ("invites", "decision", "grade"):
        form = {"value": "yes", "reason": "x"}
        assert (await admin.post(desk(interview_id, path), data=form)).status_code == 410, path


async def test_an_unknown_interview_is_a_page_that_says_so(admin: httpx.AsyncClient) -> None:
    for method, path in (("GET", ""), ("GET", "/report"), ("GET", "/live"), ("POST", "/revoke")):
        answer = await admin.request(method, f"/desk/interviews/{'f' * 32}{path}")
        assert answer.status_code == 404, path
        assert "There is no such page" in words_of(answer.text)
        assert 'href="/desk"' in answer.text
    assert (await admin.get("/desk/no/such/page")).status_code == 404


async def test_a_log_that_was_changed_outside_is_said(
    admin: httpx.AsyncClient, store: Store, plan: Plan, tmp_path: Path
) -> None:
    interview_id = await held(store, plan)
    tamper(tmp_path)
    page = words_of((await admin.get(desk(interview_id))).text)
    assert "does not verify" in page


def tamper(folder: Path) -> None:
    import sqlite3

    with sqlite3.connect(folder / "viva.sqlite3") as db:
        db.execute("update events set payload = replace(payload, 'payment', 'toy')")


# --- while it goes on -----------------------------------------------------------------------------


async def test_what_was_said_stands_on_the_page_without_a_script(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    interview_id = await held(store, plan, None)
    page = (await admin.get(desk(interview_id))).text
    assert BUILT in words_of(page)
    (state,) = Page(page).all("p", id="state")
    assert state["data-live"] == desk(interview_id, "live")
    assert json.loads(state["data-words"])["listening"] == "listening"


@pytest.fixture
async def listening(url: str, opened: None) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that is signed in, over a real connection: a stream comes piece by piece."""
    base = f"http://{url}"
    async with httpx.AsyncClient(base_url=base, headers=OURS, timeout=10) as client:
        await client.post("/desk/sign-in", data={"password": PASSWORD})
        yield client


async def events_of(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_the_stream_tells_the_transcript_so_far_then_what_is_said_then_ends(
    listening: httpx.AsyncClient, store: Store, plan: Plan, host: FakeHost
) -> None:
    interview_id = await held(store, plan, None)
    async with (
        asyncio.timeout(20),
        listening.stream("GET", desk(interview_id, "live")) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = events_of(answer.aiter_lines())
        name, so_far = await anext(told)
        assert name == "transcript" and so_far["status"] == "live"
        assert [one["text"] for one in so_far["utterances"]][1] == BUILT
        caption = {"type": "caption", "speaker": "candidate", "text": MARKUP, "final": True}
        host.tell(interview_id, {"type": "committed", "seq": 1})
        host.tell(interview_id, caption)
        assert await anext(told) == ("caption", caption)
        host.tell(interview_id, {"type": "state", "state": "ended"})
        assert (await anext(told))[1]["state"] == "ended"
        with pytest.raises(StopAsyncIteration):
            await anext(told)


async def test_a_stream_that_is_left_lets_go_of_the_call(
    listening: httpx.AsyncClient, store: Store, plan: Plan, host: FakeHost
) -> None:
    interview_id = await held(store, plan, None)
    async with listening.stream("GET", desk(interview_id, "live")) as answer:
        await anext(events_of(answer.aiter_lines()))
        assert len(host._bus._listeners) == 1
    async with asyncio.timeout(10):
        while host._bus._listeners:  # noqa: ASYNC110 — it says so to nobody
            await asyncio.sleep(0.02)


async def test_a_stream_ends_with_its_login(
    listening: httpx.AsyncClient,
    store: Store,
    plan: Plan,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.pages.desk_live.STILL_HERE_S", 0.1)
    interview_id = await held(store, plan, None)
    async with (
        asyncio.timeout(20),
        listening.stream("GET", desk(interview_id, "live")) as answer,
    ):
        told = events_of(answer.aiter_lines())
        await anext(told)
        await listening.post("/desk/sign-out")
        with pytest.raises(StopAsyncIteration):
            await anext(told)


# --- both languages, and what people write --------------------------------------------------------


async def every_page(admin: httpx.AsyncClient, store: Store, plan: Plan, name: str) -> list[str]:
    live = await held(store, plan, None, name=name, answers=(MARKUP, BUILT))
    ended = await held(store, plan, name=name, answers=(MARKUP, BUILT))
    _, fresh = await made(admin, store, name=name)
    addresses = ["/desk", "/desk/new", desk(live), desk(ended), desk(ended, "report")]
    pages = [await admin.get(address) for address in addresses]
    pages.append(await admin.post("/desk/new", data={"text": MARKUP, "name": name}))
    assert [one.status_code for one in pages] == [200] * 5 + [422]
    return [fresh.text, *(one.text for one in pages)]


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_every_page_is_there_in_both_languages(
    admin: httpx.AsyncClient, store: Store, plan: Plan, language: str
) -> None:
    await admin.post("/desk/language", data={"language": language})
    for page in await every_page(admin, store, plan, "Ada"):
        assert f'<html lang="{"zh-Hans" if language == "zh" else "en"}">' in page
        read = Page(page)
        assert read.headings[0] == 1 and read.headings.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(read.headings))
        assert len(read.ids) == len(set(read.ids))
        labelled = {one["for"] for one in read.all("label")}
        for tag in ("input", "select", "textarea"):
            fields = [
                one for one in read.all(tag) if one.get("type") != "hidden" and "hidden" not in one
            ]
            assert {one["id"] for one in fields} <= labelled
        pointed = [
            one
            for _, attrs in read.elements
            for name in ("aria-describedby", "aria-labelledby")
            for one in attrs.get(name, "").split()
        ]
        assert set(pointed) <= set(read.ids)
        assert "desk." not in read.text  # no key of a word that is missing


async def test_markup_and_turned_directions_in_names_and_answers_are_only_text(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    for page in await every_page(admin, store, plan, MARKUP):
        read = Page(page)
        assert all("src" in one for one in read.all("script"))
        assert not read.all("img")
        assert not any(name.startswith("on") for _, one in read.elements for name in one)
        for name in re.findall(r"<h1>(.*?)</h1>", page):
            assert "script" not in name or name.startswith("<bdi>") or "<bdi>" in name


def test_every_value_that_pages_name_has_words() -> None:
    from agent.report_schema import AnswerState, RequirementStatus
    from agent.report_schema import Status as ReportStatus

    groups: dict[str, tuple[str, ...]] = {
        "status": get_args(Status),
        "end": get_args(EndReason),
        "suggestion": get_args(Suggestion),
        "report_status": get_args(ReportStatus),
        "answer_state": get_args(AnswerState),
        "requirement": get_args(RequirementStatus),
    }
    for language in pages_of.LANGUAGES:
        known = pages_of.words(language)
        missing = [
            f"{group}.{one}"
            for group, all in groups.items()
            for one in all
            if f"desk.{group}.{one}" not in known
        ]
        assert not missing
