"""No link leads to a page that could never hear its candidate."""

from __future__ import annotations

import hashlib
from pathlib import Path

import httpx
import pytest
from fake_host import KEY, OPERATOR, FakeHost

from agent.plan import Plan
from server import microphone_url
from server.api.keys import OperatorKey
from server.app import create_app
from server.invites import invite_url
from server.microphone_url import NoMicrophone, refusal
from server.recordings import FolderRecordings
from server.settings import Settings, load
from server.store import Store


@pytest.mark.parametrize(
    "url",
    [
        "https://interviews.example.org",
        "https://interviews.example.org:8443",
        "https://203.0.113.7",
        "https://[2001:db8::7]:8443",
        "http://localhost",
        "http://localhost.:8080",
        "http://viva.localhost:8080",
        "http://127.0.0.1:8080",
        "http://127.9.9.9:8080",
        "http://127.1:8080",
        "http://[::1]:8080",
    ],
)
def test_https_and_the_browsers_own_machine_have_a_microphone(url: str) -> None:
    assert refusal(url) == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://interviews.example.org", "VIVA_TLS_CERT"),
        ("http://10.0.0.7:8080", "browsers give no microphone"),
        ("http://128.0.0.1", "http://128.0.0.1"),
        ("http://[2001:db8::7]:8080", "http://[2001:db8::7]:8080"),
        # Browsers take this for another machine's, though it is ours.
        ("http://[::ffff:127.0.0.1]:8080", "browsers give no microphone"),
        ("http://localhost.example.org", "browsers give no microphone"),
        ("http://notlocalhost", "browsers give no microphone"),
        ("http://0.0.0.0:8080", "no browser can open 0.0.0.0"),
        ("https://0.0.0.0:8443", "VIVA_PUBLIC_URL"),
        ("https://0:8443", "no browser can open 0"),
        ("https://[::]:8443", "no browser can open ::"),
        ("https://*.example.org", "more than one address"),
        ("https://[fe80::1%25eth0]", "zone"),
        ("http://127.0.0.1:0", "port 0"),
        ("https://interviews.example.org:0", "port 0"),
        ("https://x:port", "is no address"),
        ("ftp://x", "is no address"),
        ("", "is no address"),
        ("https://[", "is no address"),
    ],
)
def test_everywhere_else_the_reason_is_said_with_what_to_do(url: str, said: str) -> None:
    reason = refusal(url)
    assert said in reason
    assert "--public-url" in reason


def test_the_settings_are_refused_by_the_address_that_candidates_see() -> None:
    microphone_url.check(load())
    microphone_url.check(load(host="0.0.0.0", public_url="https://jobs.example"))
    microphone_url.check(load(host="jobs.example", tls_cert="a", tls_key="b"))
    for given in (
        {"host": "0.0.0.0"},
        {"host": "0.0.0.0", "tls_cert": "a", "tls_key": "b"},
        {"public_url": "http://jobs.example"},
        {"port": 0},
    ):
        with pytest.raises(NoMicrophone, match="No invite can be made"):
            microphone_url.check(load(**given))
        with pytest.raises(NoMicrophone):
            invite_url(load(**given), "token")


async def test_the_api_makes_no_interview_that_nobody_could_speak_in(
    store: Store, host: FakeHost, plan: Plan, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, min_free_mb=0, host="10.0.0.7")
    key = OperatorKey(hashlib.sha256(KEY.encode()).hexdigest())
    recordings = FolderRecordings(settings.recordings_folder)
    app = create_app(store, host, settings, recordings=recordings, key=key)
    record = await store.create_interview(plan)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://viva", headers=OPERATOR
    ) as web:
        new = await web.post("/api/interviews", json={"plan": plan.model_dump()})
        more = await web.post(f"/api/interviews/{record.interview_id}/invites")
    for refused in (new, more):
        assert (refused.status_code, refused.json()["code"]) == (409, "no_microphone")
        assert "VIVA_TLS_CERT" in refused.json()["text"]
    assert (await store.list_interviews())[1] == 1
    assert await store.invites(record.interview_id) == []
