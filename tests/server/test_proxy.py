"""Behind a real nginx, with the configuration that we ship: pages, socket, limits, logs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from certificates import certificate
from fake_host import OPERATOR, Inviting
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from serving import application, free_port
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from server import doctor
from server.invites import GUESSES
from server.settings import Settings

CONFIG = Path(__file__).parents[2] / "deploy" / "nginx" / "viva.conf"
GUESS = {"Authorization": "Bearer a-guess"}
pytestmark = pytest.mark.media


@dataclass(frozen=True)
class Nginx:
    """A process of its own in a folder of its own, on loopback; it proxies for `settings`."""

    folder: Path
    port: int
    plain_port: int
    settings: Settings
    trust: ssl.SSLContext

    @property
    def url(self) -> str:
        return self.settings.public_url

    @property
    def config(self) -> Path:
        return self.folder / "nginx.conf"

    def logged(self) -> str:
        return "".join(file.read_text() for file in self.folder.glob("*.log"))

    def client(self, address: str = "127.0.0.1") -> httpx.AsyncClient:
        """Who comes from this address."""
        transport = httpx.AsyncHTTPTransport(verify=self.trust, local_address=address)
        return httpx.AsyncClient(transport=transport, base_url=self.url)


def write_configuration(at: Nginx, upstream: int, cert: Path, key: Path) -> None:
    """What we ship, with addresses and files of a test's own."""
    text = CONFIG.read_text()
    changes = {
        r"listen \[::\].*\n": "",
        r"listen 80;": f"listen 127.0.0.1:{at.plain_port};",
        r"listen 443 ": f"listen 127.0.0.1:{at.port} ",
        r"server 127\.0\.0\.1:8080;": f"server 127.0.0.1:{upstream};",
        r"/etc/letsencrypt/\S+/fullchain\.pem": str(cert),
        r"/etc/letsencrypt/\S+/privkey\.pem": str(key),
        r"/var/log/nginx": str(at.folder),
        r"/var/www/html": str(at.folder / "www"),
        r"(server_name|https://)(\s*)interviews\.example\.org": r"\1\2localhost",
    }
    for old, new in changes.items():
        text, count = re.subn(old, new, text)
        assert count, old
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {at.folder}/{kind};\n" for kind in kinds)
    # As root nginx would work as somebody who may not write in a test's folder.
    user = "user root;\n" if os.getuid() == 0 else ""
    at.config.write_text(
        f"{user}pid {at.folder}/nginx.pid;\ndaemon off;\nworker_processes 1;\n"
        f"error_log {at.folder}/main.log warn;\nevents {{}}\nhttp {{\n{paths}{text}}}\n"
    )


@asynccontextmanager
async def running(at: Nginx) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec("nginx", "-p", at.folder, "-c", at.config)
    try:
        await listens(at)
        yield
    finally:
        process.terminate()
        await process.wait()


async def listens(at: Nginx) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", at.port)) == 0:
                return
        await asyncio.sleep(0.05)
    raise AssertionError(at.logged())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        min_free_mb=0,
        port=free_port(),
        public_url=f"https://localhost:{free_port()}",
        trusted_proxies="127.0.0.1",
    )


@pytest.fixture
def nginx(tmp_path: Path, settings: Settings) -> Nginx:
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    settings.data_dir.mkdir()
    folder, made = tmp_path / "nginx", certificate(tmp_path / "tls")
    folder.mkdir()
    port = int(settings.public_url.rsplit(":", 1)[1])
    trust = ssl.create_default_context(cafile=str(made.cert))
    found = Nginx(folder, port, free_port(), settings, trust)
    write_configuration(found, settings.port, *made.files)
    return found


@pytest.fixture
async def proxied(app: FastAPI, nginx: Nginx) -> AsyncIterator[Nginx]:
    async with application(app, nginx.settings), running(nginx):
        yield nginx


def test_nginx_takes_the_configuration(nginx: Nginx) -> None:
    done = subprocess.run(
        ["nginx", "-t", "-p", nginx.folder, "-c", nginx.config], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


async def test_pages_come_by_https_and_plain_http_leads_there(proxied: Nginx) -> None:
    async with proxied.client() as web:
        answer = await web.get("/healthz")
        assert answer.status_code == 200
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        too_much = await web.post("/api/interviews", content=b"x" * (2 << 20), headers=OPERATOR)
        assert too_much.status_code == 413
    async with httpx.AsyncClient() as web:
        plain = await web.get(f"http://localhost:{proxied.plain_port}/call/token?a=b")
        assert plain.status_code == 301
        assert plain.headers["location"] == "https://localhost/call/token?a=b"


async def test_the_socket_comes_through_for_our_own_pages(proxied: Nginx) -> None:
    url = proxied.url.replace("https", "wss") + "/api/call/socket"
    ours: Any = proxied.url
    async with connect(url, ssl=proxied.trust, proxy=None, origin=ours) as socket:
        await socket.send(json.dumps({"type": "hello", "token": "a guess"}))
        assert json.loads(await socket.recv())["code"] == "unknown_invite"
    inside: Any = f"http://127.0.0.1:{proxied.settings.port}"
    with pytest.raises(InvalidStatus, match="403"):
        async with connect(url, ssl=proxied.trust, proxy=None, origin=inside):
            pass


async def test_guesses_are_counted_for_who_guesses_and_not_for_the_proxy(proxied: Nginx) -> None:
    async with proxied.client("127.0.0.3") as guesser, proxied.client("127.0.0.4") as other:
        # Whatever the guesser says of itself, it is one address.
        said = [{**GUESS, "X-Forwarded-For": f"192.0.2.{n}"} for n in range(GUESSES + 1)]
        codes = [(await guesser.get("/api/call", headers=one)).status_code for one in said]
        assert codes == [401] * GUESSES + [429]
        assert (await other.get("/api/call", headers=GUESS)).status_code == 401


async def test_who_comes_around_the_proxy_is_not_believed(proxied: Nginx) -> None:
    direct = f"http://127.0.0.1:{proxied.settings.port}"
    stranger = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
    async with httpx.AsyncClient(transport=stranger, base_url=direct) as web:
        said = [{**GUESS, "X-Forwarded-For": f"192.0.2.{n}"} for n in range(GUESSES + 1)]
        codes = [(await web.get("/api/call", headers=one)).status_code for one in said]
    assert codes == [401] * GUESSES + [429]
    async with proxied.client() as web:
        assert (await web.get("/api/call", headers=GUESS)).status_code == 401


async def test_wrong_tokens_of_the_socket_are_counted_in_the_same_way(proxied: Nginx) -> None:
    url = proxied.url.replace("https", "wss") + "/api/call/socket"
    async with proxied.client("127.0.0.5") as guesser:
        for _ in range(GUESSES):
            await guesser.get("/api/call", headers=GUESS)
    for address, code in (("127.0.0.5", "too_many_guesses"), ("127.0.0.6", "unknown_invite")):
        async with connect(
            url, ssl=proxied.trust, proxy=None, local_addr=(address, 0), host="127.0.0.1"
        ) as ws:
            await ws.send(json.dumps({"type": "hello", "token": "a guess"}))
            assert json.loads(await ws.recv())["code"] == code


async def test_what_the_desk_watches_comes_line_by_line(app: FastAPI, nginx: Nginx) -> None:
    read = asyncio.Event()

    async def lines() -> AsyncIterator[bytes]:
        yield b"first\n"
        await asyncio.wait_for(read.wait(), 10)  # the second only after the first was read
        yield b"second\n"

    async def live(request: Request) -> StreamingResponse:
        del request
        return StreamingResponse(lines(), media_type="text/plain")

    app.router.routes.insert(0, Route("/desk/interviews/{interview_id}/live", live))
    async with application(app, nginx.settings), running(nginx), nginx.client() as web:
        found = []
        async with web.stream("GET", "/desk/interviews/abc/live") as answer:
            async for line in answer.aiter_lines():
                found.append(line)
                read.set()
    assert found == ["first", "second"]


async def test_no_log_of_the_proxy_holds_a_candidates_link(
    app: FastAPI, nginx: Nginx, invite: Inviting
) -> None:
    ada = await invite("Ada")
    page = f"/call/{ada.token}"
    async with running(nginx):
        async with application(app, nginx.settings), nginx.client() as web:
            await web.get(page)
            # Browsers that keep to our `Referrer-Policy` do not say this.
            await web.get("/healthz", headers={"Referer": nginx.url + page})
        async with nginx.client() as web:  # the server is gone
            for path in (page, "/healthz"):
                gone = await web.get(path, headers={"Referer": nginx.url + page})
                assert gone.status_code == 502
        async with httpx.AsyncClient() as web:
            await web.get(f"http://localhost:{nginx.plain_port}{page}")
    assert ada.token not in nginx.logged()
    assert '"GET /healthz" 200' in nginx.logged() and '"GET /healthz" 502' in nginx.logged()


async def test_the_doctor_opens_the_public_address_by_the_proxy(app: FastAPI, nginx: Nginx) -> None:
    async with running(nginx):
        finding = await doctor._from_outside(nginx.url, nginx.trust)
        assert finding.state == "bad" and "is no Viva server" in finding.text
        async with application(app, nginx.settings):
            finding = await doctor._from_outside(nginx.url, nginx.trust)
            assert finding.state == "ok", finding
            finding = await doctor._from_outside(nginx.url)
            assert finding.state == "bad" and "browsers would warn" in finding.text
    text = nginx.config.read_text()
    nginx.config.write_text(text.replace("$http_upgrade;", '"";'))
    async with application(app, nginx.settings), running(nginx):
        finding = await doctor._from_outside(nginx.url, nginx.trust)
        assert finding.state == "bad" and "No WebSocket comes through" in finding.text
