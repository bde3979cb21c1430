"""The server speaks TLS by itself: its pages, its socket, and the links that it gives out."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from certificates import Made, certificate
from fake_host import OPERATOR, FakeHost
from fastapi import FastAPI
from serving import application, free_port
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from agent.plan import Plan
from server.settings import Settings
from server.store import Store


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return certificate(tmp_path / "tls")


@pytest.fixture
def settings(tmp_path: Path, made: Made) -> Settings:
    return Settings(
        data_dir=tmp_path,
        min_free_mb=0,
        privacy="local",
        host="localhost",
        port=free_port(),
        tls_cert=made.cert,
        tls_key=made.key,
    )


@pytest.fixture
async def served(app: FastAPI, settings: Settings) -> AsyncIterator[str]:
    async with application(app, settings):
        yield settings.base_url


@pytest.fixture
def trust(made: Made) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(made.cert))


async def test_pages_come_by_https_and_say_that_they_always_will(
    served: str, trust: ssl.SSLContext, plan: Plan
) -> None:
    assert served.startswith("https://localhost:")
    async with httpx.AsyncClient(verify=trust, base_url=served) as web:
        answer = await web.get("/healthz")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        body = {"plan": plan.model_dump()}
        made = (await web.post("/api/interviews", json=body, headers=OPERATOR)).json()
        assert made["url"] == f"{served}/call/{made['token']}"


async def test_the_socket_comes_by_wss_from_our_own_pages_only(
    served: str, trust: ssl.SSLContext, store: Store, host: FakeHost
) -> None:
    del store, host
    url = served.replace("https", "wss") + "/api/call/socket"
    async with connect(url, ssl=trust, proxy=None, origin=served) as socket:  # type: ignore[arg-type]
        await socket.send(json.dumps({"type": "hello", "token": "a guess"}))
        assert json.loads(await socket.recv())["code"] == "unknown_invite"
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(url, ssl=trust, proxy=None, origin="https://elsewhere.example"):  # type: ignore[arg-type]
            pass


async def test_nobody_is_served_without_tls(served: str) -> None:
    async with httpx.AsyncClient() as web:
        with pytest.raises(httpx.HTTPError):
            await web.get(served.replace("https", "http") + "/healthz")
    async with httpx.AsyncClient() as web:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await web.get(served + "/healthz")
