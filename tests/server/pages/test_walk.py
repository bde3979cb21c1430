"""Every route there is, walked as nobody, as candidates and as the admin: nobody is ever shown a
name, a question or a word of an interview that is not theirs.

The routes are read off the application, so that a new one is walked from its first day.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fake_host import OPERATOR, FakeHost
from fastapi import FastAPI
from fastapi.routing import APIRoute
from held import OURS, graded, held
from starlette.routing import BaseRoute
from websockets import ConnectionClosed
from websockets import connect as ws_connect

from agent.plan import Plan
from server.invites import Invites
from server.pages.written import WrittenLegs
from server.store import Store

BODIES: dict[str, Any] = {
    "interview": "true",
    "recording": "true",
    "version": "1",
    "text": "An answer.",
    "request": "repeat",
    "value": "yes",
    "reason": "Because.",
    "password": "not the password",
    "language": "zh",
    "confirmed": "yes",
    "correction-c1": "Corrected.",
}
"""One form that every form of ours finds its fields in."""
WITHIN_S = 2.0


@dataclass(frozen=True)
class Party:
    """One interview that somebody may see, and what gives it away."""

    interview_id: str
    token: str
    secrets: tuple[str, ...]

    def shown_in(self, text: str) -> list[str]:
        return [secret for secret in self.secrets if secret in text]


@dataclass(frozen=True)
class Visitor:
    name: str
    headers: dict[str, str]
    path_token: str
    """The link that they hold."""
    may_see: tuple[Party, ...]


async def party(store: Store, plan: Plan, who: str, *, ended: bool) -> Party:
    """An interview in which everything that a person could recognise is its own."""
    asked, said = f"Question-of-{who}?", f"Words-of-{who} were said here today by me."
    stage = plan.stages[0]
    question = stage.questions[0].model_copy(update={"text": asked, "rephrase": asked})
    own = plan.model_copy(
        update={
            "plan_id": f"plan_of_{who.lower()}",
            "title": f"Title-of-{who}",
            "job": plan.job.model_copy(update={"title": f"Job-of-{who}"}),
            "stages": (stage.model_copy(update={"questions": (question,)}), *plan.stages[1:]),
        }
    )
    interview_id = await held(
        store, own, "completed" if ended else None, name=f"Name-of-{who}", answers=(said,)
    )
    issued = await Invites(store).issue(interview_id, 3600)
    secrets = tuple(f"{what}-of-{who}" for what in ("Question", "Words", "Title", "Job", "Name"))
    return Party(interview_id, issued.token, secrets)


@pytest.fixture
async def parties(store: Store, plan: Plan) -> list[Party]:
    made = [
        await party(store, plan, who, ended=ended)
        for who, ended in (("Ada", True), ("Bo", True), ("Cy", False), ("Di", False))
    ]
    await graded(store)
    return made


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of all there is, files left out."""

    def walk(some: list[BaseRoute]) -> Iterator[tuple[str, str]]:
        for route in some:
            inner = getattr(route, "original_router", None) or getattr(route, "router", None)
            if isinstance(route, APIRoute):
                yield from ((method, route.path) for method in sorted(route.methods))
            elif inner is not None:
                yield from walk(inner.routes)

    yield from dict.fromkeys(walk(app.routes))


def test_the_walk_comes_by_every_kind_of_route(app: FastAPI) -> None:
    known = set(routes(app))
    assert {
        ("GET", "/call/{token}"),
        ("POST", "/call/{token}/answer"),
        ("GET", "/api/call/transcript"),
        ("GET", "/api/interviews/{interview_id}/events"),
        ("DELETE", "/api/interviews/{interview_id}"),
        ("GET", "/desk/interviews/{interview_id}/report"),
        ("GET", "/desk/interviews/{interview_id}/live"),
        ("POST", "/desk/interviews/{interview_id}/delete"),
        ("GET", "/healthz"),
    } <= known


def filled(path: str, token: str, interview_id: str) -> str:
    known = {"token": token, "interview_id": interview_id, "rest": "nothing"}
    found = re.sub(r"{(\w+)(?::\w+)?}", lambda match: known[match[1]], path)
    assert "{" not in found, f"{path}: say here what this parameter is"
    return found


async def asked(client: httpx.AsyncClient, method: str, address: str) -> str:
    """All that comes back, headers too; of a stream what comes at once."""
    data = BODIES if method == "POST" and not address.startswith("/api") else None
    body = {"json": {"plan_hash": "0" * 64}} if address == "/api/interviews" else {"data": data}
    text = ""
    with suppress(TimeoutError):
        async with (
            asyncio.timeout(WITHIN_S),
            client.stream(method, address, **body) as answer,  # type: ignore[arg-type]
        ):
            text = str(answer.headers)
            async for piece in answer.aiter_bytes():
                text += piece.decode(errors="replace")
    return text


async def walk(app: FastAPI, web: httpx.AsyncClient, visitor: Visitor, parties: list[Party]) -> int:
    """Ask for everything about every interview; returns how much was asked."""
    others = [one for one in parties if one not in visitor.may_see]
    count = 0
    for method, path in routes(app):
        if visitor.name == "admin" and method != "GET":
            continue  # who may do everything would erase what is looked for
        for about in parties:
            address = filled(path, visitor.path_token, about.interview_id)
            text = await asked(web, method, address)
            count += 1
            for other in others:
                shown = other.shown_in(text)
                assert not shown, f"{visitor.name}: {method} {address} shows {shown}"
    return count


@pytest.fixture
def clients(app: FastAPI, host: FakeHost) -> Any:
    app.state.written_legs = WrittenLegs(host, reply_s=0.01)

    def client(headers: dict[str, str]) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(transport=transport, base_url="http://viva", headers=headers)

    return client


async def test_nobody_sees_anything_and_changes_nothing(
    app: FastAPI, clients: Any, parties: list[Party], store: Store, opened: None
) -> None:
    before = [await store.interview(one.interview_id) for one in parties]
    for headers in ({}, OURS, OURS | {"Authorization": "Bearer guessed"}):
        async with clients(headers) as web:
            count = await walk(app, web, Visitor("nobody", headers, "guessed", ()), parties)
    assert count > 100
    assert [await store.interview(one.interview_id) for one in parties] == before


@pytest.mark.parametrize("mine", range(4), ids=["ended", "ended too", "live", "live too"])
async def test_a_candidate_sees_their_own_interview_and_no_other(
    app: FastAPI, clients: Any, parties: list[Party], store: Store, opened: None, mine: int
) -> None:
    own = parties[mine]
    others = [one for one in parties if one is not own]
    before = [await store.interview(one.interview_id) for one in others]
    headers = OURS | {"Authorization": f"Bearer {own.token}"}
    async with clients(headers) as web:
        await walk(app, web, Visitor("candidate", headers, own.token, (own,)), parties)
        assert own.shown_in(await asked(web, "GET", f"/call/{own.token}"))
        assert own.shown_in(await asked(web, "GET", "/api/call/transcript"))
        for closed in ("/desk", f"/desk/interviews/{own.interview_id}/report", "/api/interviews"):
            assert not own.shown_in(await asked(web, "GET", closed))
    assert [await store.interview(one.interview_id) for one in others] == before


async def test_the_admin_sees_all_of_them_at_the_desk_and_none_as_a_candidate(
    app: FastAPI, admin: httpx.AsyncClient, parties: list[Party]
) -> None:
    everyone = tuple(parties)
    await walk(app, admin, Visitor("admin", {}, "guessed", everyone), parties)
    listed = await asked(admin, "GET", "/desk")
    assert all(one.shown_in(listed) for one in parties)
    for address in ("/api/call", "/api/call/transcript", "/call/guessed", "/api/interviews"):
        text = await asked(admin, "GET", address)
        assert not any(one.shown_in(text) for one in parties)


async def test_the_operators_key_opens_the_api_and_neither_desk_nor_candidates_pages(
    clients: Any, parties: list[Party]
) -> None:
    async with clients(OPERATOR | OURS) as web:
        listed = await asked(web, "GET", "/api/interviews")
        assert all("Name-of-" + who in listed for who in ("Ada", "Bo", "Cy", "Di"))
        for address in ("/desk", f"/desk/interviews/{parties[0].interview_id}", "/api/call"):
            text = await asked(web, "GET", address)
            assert not any(one.shown_in(text) for one in parties)


@pytest.fixture
async def heard(url: str, host: FakeHost, parties: list[Party]) -> AsyncIterator[list[str]]:
    """What comes over Cy's socket while things are said in Di's interview."""
    cy, di = parties[2], parties[3]
    received: list[str] = []
    async with ws_connect(f"ws://{url}/api/call/socket") as ws:
        await ws.send(json.dumps({"type": "hello", "token": cy.token, "mode": "voice"}))
        await asyncio.sleep(0.2)
        for one, text in ((di, di.secrets[1]), (cy, cy.secrets[1])):
            host.tell(one.interview_id, {"type": "caption", "speaker": "candidate", "text": text})
        with suppress(TimeoutError, ConnectionClosed):
            async with asyncio.timeout(1):
                async for message in ws:
                    received.append(str(message))
        yield received


async def test_a_socket_carries_its_own_interview_only(
    heard: list[str], parties: list[Party]
) -> None:
    text = "".join(heard)
    assert parties[2].shown_in(text)
    assert not parties[3].shown_in(text)
