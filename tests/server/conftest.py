"""What the server's tests share: a small plan and a real store in a temporary folder."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fake_host import KEY, OPERATOR, FakeHost, Invited, Inviting
from fastapi import FastAPI

from agent.plan import DIMENSIONS, Check, Consent, Job, Plan, Policy, Question, Stage
from server.api.keys import OperatorKey
from server.app import create_app, uvicorn_options
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store, sqlite_url


def _question(id: str, text: str) -> Question:
    checks = tuple(
        Check(id=f"{id}_{dimension}", statement=f"It shows {dimension}.", dimension=dimension)
        for dimension in DIMENSIONS
    )
    return Question(id=id, text=text, rephrase=text, max_probes=0, checks=checks)


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Two questions, a check for each dimension: enough for whatever does not care what is
    asked.
    """
    return Plan(
        plan_id="small",
        version="1",
        language="en",
        title="A small plan",
        job=Job(title="Engineer", level="mid"),
        stages=(
            Stage(
                id="main",
                kind="technical",
                title="Main",
                questions=(
                    _question("q1", "What did you build?"),
                    _question("q2", "How did you test it?"),
                ),
            ),
            Stage(id="end", kind="closing", title="End", scored=False),
        ),
        policy=Policy(
            disclosure="I am an AI.",
            disclosure_version="1",
            greeting="Hello.",
            closing_line="Goodbye.",
            consent=Consent(
                version="1", text="May an AI interview you?", recording_text="May we record?"
            ),
            escalation_contact="Write to jobs@example.org.",
        ),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path), patience_s=2.0, busy_timeout_ms=100)
    yield opened
    opened.close()


@pytest.fixture
def host(store: Store) -> FakeHost:
    return FakeHost(store)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, min_free_mb=0, privacy="local")


@pytest.fixture
def app(store: Store, host: FakeHost, settings: Settings) -> FastAPI:
    return create_app(
        store,
        host,
        settings,
        recordings=FolderRecordings(settings.recordings_folder),
        key=OperatorKey(hashlib.sha256(KEY.encode()).hexdigest()),
    )


@pytest.fixture
async def web(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without any rights."""
    transport = httpx.ASGITransport(app)
    hooks = {"response": [functools.partial(is_described, app)]}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://viva", event_hooks=hooks
    ) as client:
        yield client


async def is_described(app: FastAPI, answer: httpx.Response) -> None:
    """Whatever a test asks, OpenAPI says that this route may answer so."""
    asked = answer.request
    for path, operations in app.openapi()["paths"].items():
        described = operations.get(asked.method.lower())
        if described and re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), asked.url.path):
            assert str(answer.status_code) in described["responses"], (asked.method, path, answer)


@pytest.fixture
async def url(app: FastAPI, settings: Settings) -> AsyncIterator[str]:
    """The application on a real socket, on loopback; yields its address without the scheme."""
    options: dict[str, Any] = {**uvicorn_options(settings), "port": 0, "lifespan": "off"}
    server = uvicorn.Server(uvicorn.Config(app, **options))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn tells in no other way
        await asyncio.sleep(0.01)
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.fixture
def invite(web: httpx.AsyncClient, plan: Plan) -> Inviting:
    """Makes an interview by the API: `invite(name)` → its id and its candidate's headers."""

    async def make(name: str = "", **more: object) -> Invited:
        body = {"plan": plan.model_dump(), "candidate_name": name, **more}
        made = (await web.post("/api/interviews", json=body, headers=OPERATOR)).json()
        return Invited(made["interview_id"], made["token"], made["url"])

    return make
