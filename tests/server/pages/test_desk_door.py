"""The desk's door: who knows the password gets in, who guesses waits, and a form of another site
does nothing.
"""

from __future__ import annotations

import time

import httpx
import pytest
from fastapi import FastAPI
from held import OURS, PASSWORD, Page, held, words_of
from pydantic import SecretStr

from agent.plan import Plan
from server.api.keys import OperatorKey
from server.app import create_app
from server.logins import BY_ADDRESS, IDLE_S, WINDOW_S, Logins, set_password
from server.pages.desk import checked_next
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store

PRIVATE = (
    ("GET", "/desk"),
    ("GET", "/desk/new"),
    ("POST", "/desk/new"),
    ("GET", "/desk/no-such-page"),
    ("GET", "/desk/interviews/{id}"),
    ("GET", "/desk/interviews/{id}/live"),
    ("GET", "/desk/interviews/{id}/report"),
    ("GET", "/desk/interviews/{id}/report.json"),
    ("GET", "/desk/interviews/{id}/transcript.txt"),
    ("GET", "/desk/interviews/{id}/audio"),
    ("POST", "/desk/interviews/{id}/invites"),
    ("POST", "/desk/interviews/{id}/revoke"),
    ("POST", "/desk/interviews/{id}/grade"),
    ("POST", "/desk/interviews/{id}/decision"),
    ("POST", "/desk/interviews/{id}/delete"),
)
FORMS = [
    *(path for method, path in PRIVATE if method == "POST"),
    "/desk/sign-in",
    "/desk/sign-out",
    "/desk/language",
]


async def enter(client: httpx.AsyncClient, password: str = PASSWORD, **more: str) -> httpx.Response:
    return await client.post("/desk/sign-in", data={"password": password, **more}, headers=OURS)


@pytest.mark.usefixtures("opened")
async def test_the_password_opens_the_desk_and_leads_back_to_what_was_asked(
    web: httpx.AsyncClient,
) -> None:
    turned_away = await web.get("/desk/new?from=x")
    assert turned_away.status_code == 303
    door = await web.get(turned_away.headers["location"])
    *_, going_to = Page(door.text).all("input", name="next")
    assert going_to["value"] == "/desk/new?from=x"
    answer = await enter(web, next=going_to["value"])
    assert (answer.status_code, answer.headers["location"]) == (303, "/desk/new?from=x")
    assert (await web.get("/desk/new")).status_code == 200
    assert (await web.get("/desk/sign-in")).headers["location"] == "/desk"


@pytest.mark.usefixtures("opened")
async def test_the_cookie_is_for_this_browser_and_this_session_alone(
    web: httpx.AsyncClient,
) -> None:
    name, *flags = (await enter(web)).headers["set-cookie"].split("; ")
    assert name.startswith("viva_login=")
    assert sorted(flag.lower() for flag in flags) == ["httponly", "path=/", "samesite=lax"]


@pytest.mark.usefixtures("opened")
async def test_over_https_the_cookie_is_bound_to_the_host(
    store: Store, host: object, settings: Settings
) -> None:
    app = create_app(
        store,
        host,  # type: ignore[arg-type]
        settings.model_copy(update={"public_url": "https://viva.example"}),
        recordings=FolderRecordings(settings.recordings_folder),
        key=OperatorKey("0" * 64),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="https://viva.example") as client:
        answer = await enter(client)
        name, *flags = answer.headers["set-cookie"].split("; ")
        assert name.startswith("__Host-viva_login=")
        assert {"secure", "path=/", "httponly"} <= {flag.lower() for flag in flags}
        assert (await client.get("/desk")).status_code == 200
        left = await client.post("/desk/sign-out", headers=OURS)
        assert "Secure" in left.headers["set-cookie"]


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize(
    "wrong", ["", "x", PASSWORD.upper(), PASSWORD + " ", "x" * 100_000, "\u202e\x00<b>"]
)
async def test_a_wrong_password_opens_nothing(web: httpx.AsyncClient, wrong: str) -> None:
    answer = await enter(web, wrong)
    assert answer.status_code == 403 and "set-cookie" not in answer.headers
    page = Page(answer.text)
    (field,) = page.all("input", type="password")
    assert field["aria-invalid"] == "true" and field["aria-describedby"] in page.ids
    assert "value" not in field
    assert (await web.get("/desk")).status_code == 303


async def test_a_closed_desk_says_so_and_answers_like_an_open_one(
    web: httpx.AsyncClient, store: Store
) -> None:
    assert "viva password" in words_of((await web.get("/desk/sign-in")).text)
    before = time.perf_counter()
    closed = await enter(web, "some password or other")
    closed_s = time.perf_counter() - before
    await set_password(store, PASSWORD)
    before = time.perf_counter()
    opened = await enter(web, "some password or other")
    opened_s = time.perf_counter() - before
    assert closed.text == opened.text and closed.status_code == opened.status_code
    assert closed_s > opened_s / 5  # the same work, on a machine that has other work too
    assert "viva password" not in (await web.get("/desk/sign-in")).text


@pytest.mark.usefixtures("opened")
async def test_who_guesses_waits_and_is_told_for_how_long(web: httpx.AsyncClient) -> None:
    for n in range(BY_ADDRESS):
        assert (await enter(web, f"guess number {n}")).status_code == 403
    answer = await enter(web)
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= WINDOW_S
    assert "Wait for 5 minutes" in words_of(answer.text)
    assert (await web.get("/desk")).status_code == 303


@pytest.mark.usefixtures("opened")
async def test_who_is_in_stays_in_while_others_guess(
    admin: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    for n in range(BY_ADDRESS + 1):
        await enter(web, f"guess number {n}")
    assert (await admin.get("/desk")).status_code == 200


async def test_signing_out_ends_the_login_for_every_copy_of_its_cookie(
    admin: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    web.cookies = httpx.Cookies(admin.cookies)
    assert (await web.get("/desk")).status_code == 200
    left = await admin.post("/desk/sign-out")
    assert left.headers["location"] == "/desk/sign-in?done=signed_out"
    assert not admin.cookies
    assert (await web.get("/desk")).status_code == 303


async def test_a_new_password_signs_everybody_out(admin: httpx.AsyncClient, store: Store) -> None:
    await set_password(store, "another good one")
    assert (await admin.get("/desk")).status_code == 303


async def test_a_login_that_was_left_alone_is_over(
    admin: httpx.AsyncClient, app: FastAPI, store: Store
) -> None:
    late = Logins(store, clock=lambda: time.time() + IDLE_S)
    app.state.parts = type(app.state.parts)(**{**vars(app.state.parts), "logins": late})
    assert (await admin.get("/desk")).status_code == 303


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("made_up", ["viva_login=" + "x" * 43, "viva_login=", "other=1"])
async def test_without_a_login_every_page_leads_to_the_door_and_says_nothing(
    web: httpx.AsyncClient, store: Store, plan: Plan, made_up: str
) -> None:
    interview_id = await held(store, plan, name="Ada Lovelace")
    for method, path in PRIVATE:
        answer = await web.request(
            method, path.format(id=interview_id), headers={**OURS, "Cookie": made_up}
        )
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/desk/sign-in?next=%2Fdesk")
        assert answer.text == ""
        nowhere = await web.request(method, path.format(id="f" * 32), headers=OURS)
        assert nowhere.status_code == 303  # the same for one that does not exist
    assert (await store.interview(interview_id)).status == "ended"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://viva"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {},
    ],
)
async def test_a_form_of_another_site_does_nothing(
    admin: httpx.AsyncClient, store: Store, plan: Plan, headers: dict[str, str]
) -> None:
    interview_id = await held(store, plan)
    del admin.headers["Sec-Fetch-Site"]
    data = {"password": PASSWORD, "confirmed": "yes", "value": "yes", "reason": "x"}
    for path in FORMS:
        answer = await admin.post(path.format(id=interview_id), data=data, headers=headers)
        assert answer.status_code == 403 and "another page" in answer.text, path
        assert "set-cookie" not in answer.headers
    assert (await admin.get("/desk")).status_code == 200  # still signed in
    assert (await store.list_interviews())[1] == 1
    assert not await store.invites(interview_id)


@pytest.mark.usefixtures("opened")
async def test_a_browser_that_sends_only_an_origin_is_heard(web: httpx.AsyncClient) -> None:
    data = {"password": PASSWORD}
    answer = await web.post("/desk/sign-in", data=data, headers={"Origin": "http://viva"})
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "/desk/../../evil",
        "/desk//evil.example",
        "/deskevil",
        "/desk/x\r\nSet-Cookie: a=b",
        "/desk?x=<script>",
        "/desk/sign-in",
        "/call/token",
        "javascript:alert(1)",
        "",
    ],
)
def test_the_way_back_never_leads_away(elsewhere: str) -> None:
    assert checked_next(elsewhere) == "/desk"


@pytest.mark.parametrize(
    "ours", ["/desk", "/desk?status=ended&page=2", "/desk/interviews/0a1b", "/desk/new"]
)
def test_the_way_back_leads_to_pages_of_the_desk(ours: str) -> None:
    assert checked_next(ours) == ours


@pytest.mark.usefixtures("opened")
async def test_the_language_is_chosen_before_and_after_the_door(web: httpx.AsyncClient) -> None:
    asked = {"Accept-Language": "fr,zh-CN;q=0.9"}
    assert 'lang="zh-Hans"' in (await web.get("/desk/sign-in", headers=asked)).text
    assert 'lang="en"' in (await web.get("/desk/sign-in")).text.split(">")[1]
    given = {"language": "zh", "next": "/desk/sign-in"}
    answer = await web.post("/desk/language", data=given, headers=OURS)
    assert answer.headers["location"] == "/desk/sign-in"
    cookie = answer.headers["set-cookie"].lower()
    assert "max-age=" in cookie and "samesite=lax" in cookie and "httponly" in cookie
    assert "登录工作台" in (await web.get("/desk/sign-in")).text
    given = {"language": "tlh", "next": "https://evil.example"}
    answer = await web.post("/desk/language", data=given, headers=OURS)
    assert answer.headers["location"] == "/desk" and "set-cookie" not in answer.headers


async def test_the_first_page_says_where_to_go_and_nothing_else(web: httpx.AsyncClient) -> None:
    page = Page((await web.get("/")).text)
    assert [one["href"] for one in page.all("a") if not one["href"].startswith("#")] == ["/desk"]


async def test_an_api_key_is_no_login(web: httpx.AsyncClient, opened: None) -> None:
    key = SecretStr("an operator's key for tests").get_secret_value()
    answer = await web.get("/desk", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 303
