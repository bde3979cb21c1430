"""What each bearer may do over HTTP, and what bad input gets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from fake_host import OPERATOR, FakeHost, Invited, Inviting
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agent.events import (
    SCHEMA_VERSION,
    InterviewCreated,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
)
from agent.plan import Plan
from server.api.errors import CODES
from server.app import create_app
from server.invites import Guesses
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store

ROOT = Path(__file__).parents[2]
FIELDS = st.sampled_from(
    ["interview", "recording", "version", "sdp", "type", "plan", "plan_hash", "candidate_name"]
) | st.text(max_size=5)
CONSENT = {"interview": True, "recording": False, "version": "1"}


async def answered(store: Store, interview_id: str, secret: str) -> None:
    """One question asked and answered with words that can be looked for."""
    await store.append(
        interview_id,
        None,
        [
            QuestionAsked(at=1, reply_id="r1", question_id="q1", wording="What did you build?"),
            LineSpoken(
                at=2,
                utterance_id="i1",
                reply_id="r1",
                kind="question",
                text="What did you build?",
                question_id="q1",
                t0=1,
                t1=2,
            ),
            SegmentHeard(at=3, segment_id="s1", turn_id="c1", text=secret, t0=2, t1=3),
            TurnSettled(at=3, turn_id="c1", text=secret, t0=2, t1=3),
        ],
    )


@pytest.mark.parametrize(
    ("chosen", "rehearsal"),
    [
        ({}, False),
        ({"model": "viva-stand-in"}, True),
        ({"grader_model": "viva-stand-in"}, True),
        ({"asr_model": "rehearsal"}, True),
    ],
)
async def test_an_interview_with_stand_ins_is_a_rehearsal_from_its_beginning(
    app: FastAPI,
    web: httpx.AsyncClient,
    invite: Inviting,
    store: Store,
    chosen: dict[str, str],
    rehearsal: bool,
) -> None:
    parts = app.state.parts
    app.state.parts = replace(parts, settings=parts.settings.model_copy(update=chosen))
    ada = await invite()
    read = (await web.get(f"/api/interviews/{ada.interview_id}", headers=OPERATOR)).json()
    assert read["rehearsal"] is rehearsal
    [created] = await store.events(ada.interview_id)
    assert isinstance(created.event, InterviewCreated)
    assert created.event.rehearsal is rehearsal


async def test_a_candidate_reads_consents_joins_and_reads_the_transcript(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada: Invited = await invite("Ada")
    info = (await web.get("/api/call", headers=ada.headers)).json()
    assert info["candidate_name"] == "Ada"
    assert info["status"] == "invited"
    assert info["disclosure"] == "I am an AI."
    assert info["consent"] == {
        "version": "1",
        "text": "May an AI interview you?",
        "recording_text": "May we record?",
        "interview": None,
        "recording": None,
    }
    assert info["questions"] == 2
    early = await web.post(
        "/api/call/offer", json={"sdp": "v=0", "type": "offer"}, headers=ada.headers
    )
    assert (early.status_code, early.json()["code"]) == (409, "not_consented")

    agreed = (await web.post("/api/call/consent", json=CONSENT, headers=ada.headers)).json()
    assert agreed["status"] == "consented"
    assert (agreed["consent"]["interview"], agreed["consent"]["recording"]) == (True, False)
    types = [stored.event.type for stored in await store.events(ada.interview_id)]
    assert types == ["interview_created", "disclosed", "consent_recorded"]

    joined = await web.post(
        "/api/call/offer", json={"sdp": "v=0", "type": "offer"}, headers=ada.headers
    )
    assert joined.json() == {"sdp": "v=0 answer", "type": "answer", "epoch": 1}
    await answered(store, ada.interview_id, "A compiler")
    copy = (await web.get("/api/call/transcript", headers=ada.headers)).json()
    assert [(one["speaker"], one["text"]) for one in copy["utterances"]] == [
        ("interviewer", "What did you build?"),
        ("candidate", "A compiler"),
    ]


async def test_saying_the_same_consent_again_writes_nothing(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite()
    for _ in range(3):
        await web.post("/api/call/consent", json=CONSENT, headers=ada.headers)
    assert len(await store.events(ada.interview_id)) == 3
    changed = {**CONSENT, "recording": True}
    accepted = await web.post("/api/call/consent", json=changed, headers=ada.headers)
    assert accepted.status_code == 200
    offer = {"sdp": "v=0", "type": "offer"}
    await web.post("/api/call/offer", json=offer, headers=ada.headers)
    in_call = await web.post("/api/call/consent", json=CONSENT, headers=ada.headers)
    assert (in_call.status_code, in_call.json()["code"]) == (409, "in_call")


async def test_consent_to_another_text_is_no_consent(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    old = {**CONSENT, "version": "0"}
    refused = await web.post("/api/call/consent", json=old, headers=ada.headers)
    assert (refused.status_code, refused.json()["code"]) == (409, "consent_changed")


async def test_one_more_than_the_places_is_asked_to_wait(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    offer = {"sdp": "v=0", "type": "offer"}
    candidates = [await invite() for _ in range(3)]
    for one in candidates:
        await web.post("/api/call/consent", json=CONSENT, headers=one.headers)
    answers = [
        await web.post("/api/call/offer", json=offer, headers=one.headers) for one in candidates
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 503]
    assert answers[2].json()["status"] == "waiting"
    assert int(answers[2].headers["Retry-After"]) > 0
    again = await web.post("/api/call/offer", json=offer, headers=candidates[0].headers)
    assert again.status_code == 200  # a rejoin takes no second place


async def test_an_offer_that_is_none_is_refused_with_the_reason(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    await web.post("/api/call/consent", json=CONSENT, headers=ada.headers)
    for body, status in (
        ({"sdp": "hello", "type": "offer"}, 400),
        ({"sdp": "v=0", "type": "answer"}, 422),
        ({"sdp": "v=0" + "x" * 70_000, "type": "offer"}, 413),
        ({"sdp": 5, "type": "offer"}, 422),
        ({}, 422),
    ):
        refused = await web.post("/api/call/offer", json=body, headers=ada.headers)
        assert refused.status_code == status
        assert refused.json()["text"]


async def test_nobody_can_reach_what_is_not_theirs(
    app: FastAPI, web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    """Every operation of the API, as nobody, as two candidates, as the operator."""
    secret = "Wolpertinger"
    ada, bob = await invite("Ada " + secret), await invite("Bob")
    await answered(store, ada.interview_id, secret)
    await store.save_report(ada.interview_id, 1, json.dumps({"secret": secret}))
    app.state.parts = replace(app.state.parts, wrong_keys=Guesses(allowed=1000))
    schema = app.openapi()
    seen = set()
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            if method == "delete":
                continue  # last, below
            who = operation["tags"][0]
            target = path.replace("{interview_id}", ada.interview_id)
            body = json.dumps({}) if method == "post" else None
            for name, headers in (
                ("nobody", {}),
                ("rubbish", {"Authorization": "Bearer " + "x" * 43}),
                ("bob", bob.headers),
                ("basic", {"Authorization": "Basic Ym9iOmJvYg=="}),
            ):
                answer = await web.request(method, target, content=body, headers=headers)
                assert secret not in answer.text, (name, method, path)
                if who == "operator" or (who == "candidate" and name != "bob"):
                    assert answer.status_code == 401, (name, method, path)
                    seen.add((who, name))
    assert len(seen) == 7
    deleted = await web.delete(f"/api/interviews/{ada.interview_id}", headers=bob.headers)
    assert deleted.status_code == 401
    report = await web.get(f"/api/interviews/{ada.interview_id}/report", headers=OPERATOR)
    assert secret in report.text
    # The operator's key opens no candidate's page either.
    assert (await web.get("/api/call", headers=OPERATOR)).status_code == 401


def test_every_route_has_an_owner(app: FastAPI) -> None:
    tags = {
        tuple(operation.get("tags", ()))
        for operations in app.openapi()["paths"].values()
        for operation in operations.values()
    }
    assert tags == {("candidate",), ("operator",), ("server",)}


def test_refusals_are_described_in_one_form_and_are_those_of_the_documentation(
    app: FastAPI,
) -> None:
    forms: dict[str, set[str]] = {}
    for path, operations in app.openapi()["paths"].items():
        for operation in operations.values() if path != "/healthz" else ():
            for status, described in operation["responses"].items():
                if status >= "400":
                    form = described["content"]["application/json"]["schema"]["$ref"]
                    forms.setdefault(status, set()).add(form.rpartition("/")[2])
    assert set(map(tuple, forms.values())) == {("Refusal",)}
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert set(forms) == set(re.findall(r"^\| (\d{3}) \|", text, re.M))
    codes = set(re.findall(r"`(\w+)`", text))
    source = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "server" / "api").glob("*.py")
    )
    used = set(re.findall(r'ApiError\(\s*\d{3},\s*"(\w+)"', source)) | set(CODES.values())
    assert used <= codes


async def test_what_a_candidate_sees_holds_nothing_of_the_questions(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    page = (await web.get("/api/call", headers=ada.headers)).text
    assert "What did you build" not in page
    assert ada.interview_id not in page


async def test_a_revoked_invite_opens_nothing_and_ends_the_call(
    web: httpx.AsyncClient, invite: Inviting, host: FakeHost
) -> None:
    ada = await invite()
    revoked = await web.post(f"/api/interviews/{ada.interview_id}/revoke", headers=OPERATOR)
    assert revoked.json() == {"revoked": 1}
    assert host.dropped == [ada.interview_id]
    refused = await web.get("/api/call", headers=ada.headers)
    assert (refused.status_code, refused.json()["code"]) == (410, "revoked_invite")
    again = await web.post(f"/api/interviews/{ada.interview_id}/invites", headers=OPERATOR)
    fresh = {"Authorization": f"Bearer {again.json()['token']}"}
    assert (await web.get("/api/call", headers=fresh)).status_code == 200


async def test_erasing_takes_words_report_and_audio(
    web: httpx.AsyncClient, invite: Inviting, store: Store, tmp_path: Path
) -> None:
    secret = "Wolpertinger"
    ada = await invite(secret)
    await answered(store, ada.interview_id, secret)
    await store.save_report(ada.interview_id, 1, json.dumps({"secret": secret}))
    folder = tmp_path / "recordings" / ada.interview_id
    folder.mkdir(parents=True)
    (folder / "chunk-000000.opus.part").write_bytes(b"sound")
    gone = await web.delete(f"/api/interviews/{ada.interview_id}", headers=OPERATOR)
    assert gone.status_code == 204
    assert not folder.exists()
    detail = await web.get(f"/api/interviews/{ada.interview_id}", headers=OPERATOR)
    assert detail.json()["status"] == "erased"
    assert detail.json()["chain_ok"]
    assert secret not in detail.text
    for part, status in (("report", 404), ("transcript", 410), ("events", 410), ("audio", 404)):
        answer = await web.get(f"/api/interviews/{ada.interview_id}/{part}", headers=OPERATOR)
        assert answer.status_code == status, part
    assert (await web.get("/api/call", headers=ada.headers)).status_code == 401


async def test_a_name_with_markup_is_kept_and_told_as_text(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    name = "<script>alert('x')</script> Ada\r\nSet-Cookie: a=b\u202e"
    ada = await invite(name)
    info = await web.get("/api/call", headers=ada.headers)
    assert info.headers["content-type"] == "application/json"
    assert info.json()["candidate_name"] == "<script>alert('x')</script> Ada Set-Cookie: a=b"
    too_long = await web.post(
        "/api/interviews",
        json={"plan_hash": "0" * 64, "candidate_name": "x" * 201},
        headers=OPERATOR,
    )
    assert too_long.status_code == 422


async def test_a_bad_plan_is_refused_with_the_place(web: httpx.AsyncClient, plan: Plan) -> None:
    bad = plan.model_dump()
    bad["stages"][0]["questions"][0]["max_probes"] = 99
    refused = await web.post("/api/interviews", json={"plan": bad}, headers=OPERATOR)
    assert refused.status_code == 422
    assert "main › questions › q1 › max_probes" in refused.json()["text"]
    neither = await web.post("/api/interviews", json={}, headers=OPERATOR)
    assert neither.status_code == 422
    unknown = await web.post("/api/interviews", json={"plan_hash": "0" * 64}, headers=OPERATOR)
    assert unknown.json()["code"] == "no_plan"


async def test_a_plan_can_be_used_again_by_its_hash(
    web: httpx.AsyncClient, plan: Plan, invite: Inviting
) -> None:
    await invite()
    made = await web.post(
        "/api/interviews", json={"plan_hash": plan.hash, "extra_time": True}, headers=OPERATOR
    )
    assert made.status_code == 201
    listed = (await web.get("/api/interviews?limit=1", headers=OPERATOR)).json()
    assert listed["total"] == 2 and len(listed["interviews"]) == 1


async def test_nobody_sends_fields_that_are_not_theirs_to_set(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    sneaky = {**CONSENT, "status": "ended", "score": 10}
    refused = await web.post("/api/call/consent", json=sneaky, headers=ada.headers)
    assert refused.status_code == 422


async def test_a_full_disk_refuses_new_interviews_and_lets_running_ones_go_on(
    store: Store,
    host: FakeHost,
    settings: Settings,
    app: FastAPI,
    invite: Inviting,
    web: httpx.AsyncClient,
) -> None:
    ada, bob = await invite(), await invite()
    for one in (ada, bob):
        await web.post("/api/call/consent", json=CONSENT, headers=one.headers)
    offer = {"sdp": "v=0", "type": "offer"}
    await web.post("/api/call/offer", json=offer, headers=ada.headers)
    full = create_app(
        store,
        host,
        settings.model_copy(update={"min_free_mb": 500}),
        recordings=FolderRecordings(settings.recordings_folder),
        key=app.state.parts.key,
        free=lambda: 499 << 20,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(full), base_url="http://viva"
    ) as tight:
        health = await tight.get("/healthz")
        assert (health.status_code, health.json()["status"]) == (503, "disk_full")
        refused = await tight.post("/api/call/offer", json=offer, headers=bob.headers)
        assert refused.status_code == 507
        assert "500 MB" in refused.json()["text"]
        again = await tight.post("/api/call/offer", json=offer, headers=ada.headers)
        assert again.status_code == 200


async def test_a_body_over_the_limit_gets_413_with_the_limit(web: httpx.AsyncClient) -> None:
    big = b"x" * ((1 << 20) + 1)
    announced = await web.post("/api/interviews", content=big, headers=OPERATOR)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 1 << 16):
            yield big[start : start + (1 << 16)]

    headers = {**OPERATOR, "content-type": "application/json"}
    streamed = await web.post("/api/interviews", content=pieces(), headers=headers)
    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert "1048576" in answer.json()["text"]


async def test_broken_json_is_a_sentence_and_no_echo(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    for body in (b"{", b"\xff\xfe", b"[]", b"null", b'{"interview": "perhaps"}', b""):
        refused = await web.post(
            "/api/call/consent",
            content=body,
            headers={**ada.headers, "content-type": "application/json"},
        )
        assert refused.status_code == 422
        assert "perhaps" not in refused.text


async def test_the_report_is_there_once_it_is_saved(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite()
    path = f"/api/interviews/{ada.interview_id}/report"
    assert (await web.get(path, headers=OPERATOR)).json()["code"] == "no_report"
    assert (await web.post(path, headers=OPERATOR)).json()["code"] == "not_ended"
    await store.append(ada.interview_id, None, [InterviewEnded(at=9, reason="completed")])
    await store.save_report(ada.interview_id, 1, '{"n": 1}')
    assert (await web.get(path, headers=OPERATOR)).json() == {"n": 1}
    again = await web.post(path, headers=OPERATOR)
    assert (again.status_code, again.json()) == (202, {"revision": 2})
    await store.save_report(ada.interview_id, 2, '{"n": 2}')
    assert (await web.get(path, headers=OPERATOR)).json() == {"n": 2}
    assert (await web.get(path + "?revision=1", headers=OPERATOR)).json() == {"n": 1}
    detail = (await web.get(f"/api/interviews/{ada.interview_id}", headers=OPERATOR)).json()
    assert detail["report_revision"] == 2
    assert detail["end_reason"] == "completed"


async def test_events_come_with_their_hashes_and_from_where_one_left_off(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite()
    await answered(store, ada.interview_id, "x")
    path = f"/api/interviews/{ada.interview_id}/events"
    everything = (await web.get(path, headers=OPERATOR)).json()["events"]
    assert [one["seq"] for one in everything] == [1, 2, 3, 4, 5]
    assert everything[1]["event"]["type"] == "question_asked"
    assert {one["schema_version"] for one in everything} == {SCHEMA_VERSION}
    rest = (await web.get(path + "?after=3", headers=OPERATOR)).json()["events"]
    assert rest == everything[3:]


async def test_an_unknown_interview_is_404_for_the_operator(web: httpx.AsyncClient) -> None:
    for method, part in (
        ("GET", ""),
        ("GET", "/report"),
        ("GET", "/transcript"),
        ("GET", "/events"),
        ("GET", "/audio"),
        ("POST", "/revoke"),
        ("POST", "/invites"),
        ("DELETE", ""),
        ("GET", "/..%2f..%2fapi_key"),
    ):
        answer = await web.request(method, f"/api/interviews/nobody{part}", headers=OPERATOR)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_guessing_the_operators_key_is_slowed_down(web: httpx.AsyncClient) -> None:
    statuses = [
        (await web.get("/api/interviews", headers={"Authorization": f"Bearer {n}"})).status_code
        for n in range(25)
    ]
    assert statuses[:20] == [401] * 20
    assert statuses[20:] == [429] * 5


async def test_a_store_that_cannot_write_is_said_and_nothing_is_half_done(
    web: httpx.AsyncClient, invite: Inviting, store: Store
) -> None:
    ada = await invite()
    store._writer.close()
    refused = await web.post("/api/call/consent", json=CONSENT, headers=ada.headers)
    assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
    assert refused.headers["Retry-After"]


async def test_every_answer_carries_the_security_headers(
    web: httpx.AsyncClient, invite: Inviting
) -> None:
    ada = await invite()
    for path, headers in (("/healthz", {}), ("/api/call", ada.headers), ("/nowhere", {})):
        answer = await web.get(path, headers=headers)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "strict-origin"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert (await web.get("/api/call", headers=ada.headers)).headers["cache-control"] == "no-store"


async def test_the_list_of_routes_asks_no_third_party(app: FastAPI, web: httpx.AsyncClient) -> None:
    page = (await web.get("/docs")).text
    for path in app.openapi()["paths"]:
        assert path in page
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert "<script" not in page
    schema = (await web.get("/openapi.json")).json()
    assert schema["info"]["title"] == "Viva"


STOPS = """
import asyncio, sys, uvicorn
from server.app import WebServer

async def app(scope, receive, send): ...

async def main():
    server = WebServer(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print("up", flush=True)
    try:
        await serving
    finally:
        await asyncio.sleep(0.05)
        print("calls and reports stopped", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_web_server_and_leaves_time_for_the_rest(stop: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", STOPS],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(stop)
        assert process.stdout.read() == "calls and reports stopped\n"
        assert process.wait(10) == 0


async def test_a_defect_is_an_answer_too(app: FastAPI, invite: Inviting) -> None:
    ada = await invite()
    app.state.parts = replace(app.state.parts, free_bytes=lambda: 1 // 0)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://viva") as web:
        answer = await web.get("/healthz", headers=ada.headers)
    assert (answer.status_code, answer.json()["code"]) == (500, "failed")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_no_body_of_any_shape_makes_the_server_fail(
    web: httpx.AsyncClient, invite: Inviting, data: st.DataObject
) -> None:
    ada = await invite()
    path, headers = data.draw(
        st.sampled_from(
            [
                ("/api/call/consent", ada.headers),
                ("/api/call/offer", ada.headers),
                ("/api/interviews", OPERATOR),
                (f"/api/interviews/{ada.interview_id}/revoke", OPERATOR),
            ]
        )
    )
    body = data.draw(st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()))
    answer = await web.post(
        path, content=body, headers={**headers, "content-type": "application/json"}
    )
    assert answer.status_code < 500
    assert answer.json()


async def test_the_invites_link_is_the_candidates_page(invite: Inviting) -> None:
    ada = await invite()
    assert ada.url == f"http://127.0.0.1:8080/call/{ada.token}"
    assert len(ada.token) >= 43
