"""The candidate's pages as a browser without scripts has them: forms, words, and nothing of anyone
else's.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

import httpx
import pytest
from fake_host import OPERATOR, FakeHost, Invited, Inviting
from fastapi import FastAPI

import web as pages
from agent import planfile
from agent.events import (
    AnswerCorrected,
    ConsentRecorded,
    Disclosed,
    Event,
    InterviewEnded,
    RequestMade,
    SegmentHeard,
    TurnSettled,
)
from server.invites import token_hash
from server.pages.written import WrittenLegs
from server.store import Store

ROOT = Path(__file__).parents[3]
OWN = {"Sec-Fetch-Site": "same-origin"}
RIGHT_TO_LEFT = "\u202eevil\u202c"


@pytest.fixture(autouse=True)
def no_waiting(app: FastAPI, host: FakeHost) -> None:
    """This host's interviewer says nothing, so that no form need wait for it."""
    app.state.written_legs = WrittenLegs(host, reply_s=0.01)


def path(ada: Invited, rest: str = "") -> str:
    return f"/call/{ada.token}{rest}"


async def post(web: httpx.AsyncClient, ada: Invited, rest: str, **fields: str) -> httpx.Response:
    return await web.post(path(ada, rest), data=fields, headers=OWN)


async def agrees(web: httpx.AsyncClient, ada: Invited, **fields: str) -> httpx.Response:
    return await post(web, ada, "/consent", **{"version": "1", "interview": "true"} | fields)


async def log(store: Store, ada: Invited) -> list[Event]:
    return [stored.event for stored in await store.events(ada.interview_id)]


def said(page: httpx.Response) -> str:
    """The page's words."""
    text = re.sub(r"<script.*?</script>", "", page.text, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", text))


# --- before the call ------------------------------------------------------------------------------
async def test_the_link_says_who_asks_what_and_who_will_hear_it(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    page = await web.get(path(await invite("Ada")))
    assert page.status_code == 200
    words = said(page)
    for told in ("Ada", "Engineer", "I am an AI.", "May an AI interview you?", "May we record?"):
        assert told in words
    assert "jobs@example.org" in words
    assert page.headers["cache-control"] == "no-store"


async def test_two_answers_are_two_and_only_one_is_needed(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    answer = await agrees(web, ada)
    assert (answer.status_code, answer.headers["location"]) == (303, path(ada))
    disclosed, consent = (await log(store, ada))[1:]
    assert isinstance(disclosed, Disclosed) and disclosed.method == "page"
    assert isinstance(consent, ConsentRecorded)
    assert (consent.interview, consent.recording) == (True, False)
    assert pages.say("en", "candidate.check.not_recorded") in said(await web.get(path(ada)))
    await agrees(web, ada, recording="true")
    assert pages.say("en", "candidate.check.recorded") in said(await web.get(path(ada)))


async def test_without_agreement_nothing_begins_and_what_was_chosen_is_kept(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    page = await post(web, ada, "/consent", version="1", recording="true", mode="text")
    assert page.status_code == 422
    assert pages.say("en", "candidate.consent.missing") in said(page)
    assert re.search(r'name="recording"[^>]* checked', page.text)
    assert re.search(r'id="mode-text"[^>]* checked', page.text)
    assert len(await log(store, ada)) == 1


async def test_a_text_that_has_changed_is_to_be_read_again(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    page = await agrees(web, await invite("Ada"), version="0")
    assert page.status_code == 409
    assert pages.say("en", "refusals.consent_changed.text") in said(page)


async def test_extra_time_is_given_to_whoever_asks_and_once(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    for _ in range(2):
        await agrees(web, ada, extra_time="true")
    asked = [event for event in await log(store, ada) if isinstance(event, RequestMade)]
    assert [event.request for event in asked] == ["extra_time"]


async def test_a_person_instead_of_the_ai_ends_it_and_is_told_to_the_recruiter(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    await post(web, ada, "/person")
    await post(web, ada, "/person")
    ended = [event for event in await log(store, ada) if isinstance(event, InterviewEnded)]
    assert [event.reason for event in ended] == ["declined_ai"]
    assert pages.say("en", "candidate.ended.declined_ai") in said(await web.get(path(ada)))
    job = await store.claim_job("test")
    assert job is not None and job.interview_id == ada.interview_id


async def test_reading_the_link_changes_nothing(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    before = await log(store, ada)
    for _ in range(3):
        await web.get(path(ada))
    assert await log(store, ada) == before


# --- the call by forms ----------------------------------------------------------------------------
async def test_an_interview_by_forms(
    web: httpx.AsyncClient, invite: Inviting, host: FakeHost
) -> None:
    ada = await invite("Ada")
    await agrees(web, ada, mode="text")
    await post(web, ada, "/begin")
    assert host.epochs
    answer = await post(web, ada, "/answer", text="  I built a bridge.\r\nIt stands.  ")
    assert answer.status_code == 303
    for request in ("repeat", "pause", "skip", "extra_time"):
        assert (await post(web, ada, "/request", request=request)).status_code == 303
    assert host.said[0] == ("typed", "I built a bridge.\nIt stands.")
    assert [text for kind, text in host.said if kind == "request"] == [
        "repeat",
        "pause",
        "skip",
        "extra_time",
    ]
    await post(web, ada, "/end")
    page = await web.get(path(ada))
    assert pages.say("en", "candidate.ended.withdrawn") in said(page)


async def test_an_answer_that_cannot_be_taken_comes_back_in_its_box(
    web: httpx.AsyncClient, invite: Inviting, host: FakeHost
) -> None:
    ada, bo, cy = await invite("Ada"), await invite("Bo"), await invite("Cy")
    for one in (ada, bo, cy):
        await agrees(web, one)
    for one in (bo, cy):  # both places of this host
        await host.open_text(one.interview_id)
    page = await post(web, ada, "/answer", text="My <b>answer</b>")
    assert page.status_code == 503
    assert pages.say("en", "call.wrong.busy") in said(page)
    assert "My &lt;b&gt;answer&lt;/b&gt;</textarea>" in page.text


async def test_100_kb_typed_are_refused_and_kept(web: httpx.AsyncClient, invite: Inviting) -> None:
    ada = await invite("Ada")
    await agrees(web, ada)
    page = await post(web, ada, "/answer", text="word " * 20_000)
    assert page.status_code == 422
    assert pages.say("en", "call.wrong.too_long") in said(page)
    assert page.text.count("word") >= 20_000


async def test_an_answer_that_comes_after_the_end_is_shown_and_not_lost(
    web: httpx.AsyncClient, invite: Inviting, host: FakeHost, store: Store
) -> None:
    ada = await invite("Ada")
    await agrees(web, ada)
    await finished(store, ada, "One.")
    page = await post(web, ada, "/answer", text="My <i>last</i> word")
    assert page.status_code == 409
    assert "My <i>last</i> word" in said(page)
    assert "<i>last" not in page.text


async def test_before_consent_a_form_leads_back_to_it(
    web: httpx.AsyncClient, invite: Inviting, host: FakeHost
) -> None:
    ada = await invite("Ada")
    answer = await post(web, ada, "/begin")
    assert (answer.status_code, answer.headers["location"]) == (303, path(ada))
    assert not host.epochs


@pytest.mark.parametrize("rest", ["/consent", "/person", "/begin", "/answer", "/end"])
@pytest.mark.parametrize(
    "headers",
    [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}],
)
async def test_a_form_of_another_site_is_refused(
    web: httpx.AsyncClient,
    invite: Inviting,
    store: Store,
    rest: str,
    headers: dict[str, str],
) -> None:
    ada = await invite("Ada")
    data = {"version": "1", "interview": "true"}
    page = await web.post(path(ada, rest), data=data, headers=headers)
    assert page.status_code == 403
    assert len(await log(store, ada)) == 1


# --- afterwards -----------------------------------------------------------------------------------
async def finished(store: Store, ada: Invited, text: str) -> None:
    """An interview in which one thing was said."""
    segment = SegmentHeard(at=1.0, segment_id="s1", turn_id="c1", text=text, t0=0.0, t1=1.0)
    settled = TurnSettled(at=1.0, turn_id="c1", text=text, t0=0.0, t1=1.0)
    ended = InterviewEnded(at=2.0, reason="withdrawn")
    await store.append(ada.interview_id, None, [segment, settled, ended])


async def test_a_correction_stands_beside_what_was_heard(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    await agrees(web, ada)
    await finished(store, ada, "I use pie torch.")
    unchanged = {"correction-c1": "I use pie torch.", "correction-c9": "what was never said"}
    await post(web, ada, "/corrections", **unchanged)
    assert not any(isinstance(event, AnswerCorrected) for event in await log(store, ada))
    for _ in range(2):  # sent twice, written once
        await post(web, ada, "/corrections", **{"correction-c1": "I use <b>PyTorch</b>."})
    page = await web.get(path(ada, "?saved=1"))
    assert "I use pie torch." in said(page) and "I use <b>PyTorch</b>." in said(page)
    assert "<b>PyTorch" not in page.text
    made = [event for event in await log(store, ada) if isinstance(event, AnswerCorrected)]
    assert [event.text for event in made] == ["I use <b>PyTorch</b>."]
    copy = await web.get(path(ada, "/transcript.txt"))
    assert "Candidate: I use pie torch." in copy.text
    assert "Corrected by the candidate: I use <b>PyTorch</b>." in copy.text
    answer = (await web.get("/api/call/transcript", headers=ada.headers)).json()
    assert answer["utterances"][0]["correction"] == "I use <b>PyTorch</b>."


async def test_a_correction_can_be_taken_back_and_has_bounds(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite("Ada")
    await agrees(web, ada)
    assert (await post(web, ada, "/corrections")).status_code == 409
    await finished(store, ada, "One.")
    await post(web, ada, "/corrections", **{"correction-c1": "Two."})
    await post(web, ada, "/corrections", **{"correction-c1": "One."})
    assert "Two." not in said(await web.get(path(ada)))
    assert (
        await post(web, ada, "/corrections", **{"correction-c1": "x" * 5000})
    ).status_code == 422


# --- bad input ------------------------------------------------------------------------------------
@pytest.mark.parametrize("language", ["en", "zh"])
async def test_a_link_that_opens_nothing_says_so_in_the_visitors_language(
    web: httpx.AsyncClient, store: Store, invite: Inviting, language: str
) -> None:
    ada = await invite("Ada Lovelace")
    await web.post(f"/api/interviews/{ada.interview_id}/revoke", headers=OPERATOR)
    bo = await invite("Bo")
    await store.add_invite(token_hash("of-long-ago"), bo.interview_id, expires_at=1.0)
    asked = {"Accept-Language": f"{language},en;q=0.5"}
    for address, status, code in (
        (path(ada), 410, "revoked_invite"),
        ("/call/of-long-ago", 410, "expired_invite"),
        ("/call/guessed", 401, "unknown_invite"),
        ("/call/guessed/transcript.txt", 401, "unknown_invite"),
        (path(ada, "/nothing"), 404, "not_found"),
    ):
        page = await web.get(address, headers=asked)
        assert page.status_code == status
        assert pages.say(language, f"refusals.{code}.text") in said(page)
        assert "Lovelace" not in page.text and "Engineer" not in page.text


async def test_guessing_links_is_slowed_down_and_locks_nobody_out(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite("Ada")
    await web.get(path(ada))
    answers = [(await web.get(f"/call/guess{n}")).status_code for n in range(25)]
    assert answers[0] == 401 and answers[-1] == 429
    page = await web.get("/call/another")
    assert int(page.headers["retry-after"]) > 0
    assert (await web.get(path(ada))).status_code == 200


async def test_markup_and_turned_directions_in_a_name_stay_text(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    name = f'<script>alert(1)</script>"{RIGHT_TO_LEFT}'
    ada = await invite(name)
    await agrees(web, ada)
    for address in (path(ada), path(ada, "?step=consent")):
        page = await web.get(address)
        assert "<script>alert" not in page.text
        assert "\u202e" not in page.text
    assert "<bdi>&lt;script&gt;" in page.text


async def test_every_page_says_its_language_and_runs_nothing_of_others(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    for language, tag in (("en", "en"), ("zh", "zh-Hans")):
        shipped = planfile.load(ROOT / "prompts" / "plans" / f"backend_engineer_{language}.yaml")
        ada = await invite("Ada", plan=shipped.model_dump())
        before = await web.get(path(ada))
        await agrees(web, ada, version=shipped.policy.consent.version)
        room = await web.get(path(ada))
        await finished(store, ada, "One.")
        for page in (before, room, await web.get(path(ada))):
            assert f'<html lang="{tag}">' in page.text
            addresses = re.findall(r'(?:src|href|action)="([^"]+)"', page.text)
            assert addresses and all(one.startswith(("/", "#")) for one in addresses)
            assert not re.search(r"\son\w+=|style=", page.text)
            scripts = re.findall(r"<script[^>]*>", page.text)
            assert all("src=" in one or "application/json" in one for one in scripts)


async def test_files_are_kept_by_browsers_and_pages_are_not(web: httpx.AsyncClient) -> None:
    style = await web.get(pages.static_url("style.css"))
    assert style.status_code == 200
    assert "immutable" in style.headers["cache-control"]
    missing = await web.get("/static/0/style.css")
    assert missing.status_code == 404
    assert missing.headers["cache-control"] == "no-store"
