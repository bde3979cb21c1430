"""Whole interviews by text against the real parts: a candidate who types, and the server that is
typed to, in this process or in one of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from fake_host import KEY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent.grading import Grader
from agent.plan import Plan
from asr.recognition import Recognition
from server.api.keys import OperatorKey
from server.app import WebServer, create_app, uvicorn_options
from server.equipment import Equipment
from server.host import CallHost, HostSettings
from server.jobs import ReportRunner
from server.recordings import FolderRecordings
from server.rehearsal.client import Guest, Invitation, Operator
from server.rehearsal.processes import COMMAND, free_port
from server.settings import Settings
from server.store import Store, sqlite_url
from server.wiring import model_client, provenance_of

WITHIN_S = 40.0
"""A connection that is never made is given up after 20 s (`server.media.peer.CONNECT_S`)."""
Message = dict[str, Any]


class NoEars:
    """The recogniser of interviews in which nobody speaks."""

    model = compute_type = "none"

    async def recognise(self, audio: object, **options: object) -> Recognition:
        raise AssertionError("nobody speaks here")


@dataclass
class House:
    """The real server's parts in this process, on loopback."""

    base_url: str
    store: Store
    host: CallHost
    settings: Settings

    def operator(self) -> Operator:
        return Operator(self.base_url, KEY)


@asynccontextmanager
async def house(
    folder: Path, model_url: str, *, store: Store | None = None, **settings: Any
) -> AsyncIterator[House]:
    """Everything that `viva serve` makes, but for the recogniser."""
    given = {"model": "viva-stand-in", "model_mode": "tools", "min_free_mb": 0} | settings
    # A port of its own: at port 0 no link could be given out.
    given = {"port": free_port()} | given
    chosen = Settings(data_dir=folder, model_url=model_url, privacy="local", **given)
    store = store or Store(sqlite_url(folder))
    client = model_client(chosen, grading=True)
    reports = ReportRunner(
        store,
        lambda plan: Grader(client, chosen.model, language=plan.language),
        provenance_of(chosen, NoEars(), lambda: "tools"),
        owner="tests",
    )
    host = CallHost(
        store,
        lambda: Equipment(chosen, NoEars(), model_client(chosen)),
        HostSettings(max_interviews=chosen.max_interviews),
        on_ended=lambda _: reports.wake(),
    )
    app = create_app(
        store,
        host,
        chosen,
        recordings=FolderRecordings(chosen.recordings_folder),
        key=OperatorKey(hashlib.sha256(KEY.encode()).hexdigest()),
    )
    server = WebServer(uvicorn.Config(app, lifespan="off", **uvicorn_options(chosen)))
    host.start()
    reports.start()
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 — uvicorn tells in no other way
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield House(f"http://127.0.0.1:{port}", store, host, chosen)
    finally:
        server.should_exit = True
        await serving
        await host.stop()
        await reports.aclose()
        await client.close()
        await store.aclose()


@dataclass
class Served:
    """`viva serve` in a process group of its own."""

    base_url: str
    pid: int
    log: Path

    def operator(self) -> Operator:
        return Operator(self.base_url, KEY)


@asynccontextmanager
async def served(folder: Path, log: Path, *before: str, **settings: str) -> AsyncIterator[Served]:
    """The server as an operator starts it, behind the command `before`; stopped by SIGTERM."""
    port = free_port()
    given = {"data_dir": str(folder), "port": str(port), "api_key": KEY, "privacy": "local"}
    given |= {"asr_model": "rehearsal", "model": "viva-stand-in", "min_free_mb": "0"} | settings
    mine = {name: value for name, value in os.environ.items() if not name.startswith("VIVA_")}
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *before,
            *COMMAND,
            env=mine | {f"VIVA_{name.upper()}": value for name, value in given.items()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    child = Served(f"http://127.0.0.1:{port}", process.pid, log)
    try:
        async with asyncio.timeout(240), child.operator() as operator:
            while not await operator.healthy():
                assert process.returncode is None, f"the server did not come up: {log}"
                await asyncio.sleep(0.05)
        yield child
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        async with asyncio.timeout(60):
            await process.wait()


@dataclass
class Typist:
    """A candidate who types: reads everything, and answers when told to."""

    base_url: str
    token: str
    read: list[Message] = field(default_factory=list)
    """Every message of the control channel so far."""
    mode: str = "text"
    close_code: int | None = None
    _ws: ClientConnection | None = None
    _reading: asyncio.Task[None] | None = None
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        """Join by text, or listen to what a call by voice says."""
        address = self.base_url.replace("http", "ws", 1) + "/api/call/socket"
        self._ws = await connect(address, proxy=None)
        hello = {"type": "hello", "token": self.token, "mode": self.mode}
        await self._ws.send(json.dumps(hello))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._ws is not None and self._reading is not None
        await self._ws.close()
        await self._reading

    async def _read(self) -> None:
        assert self._ws is not None
        try:
            async for text in self._ws:
                self.read.append(json.loads(text))
                self._more.set()
        except ConnectionClosed:
            pass
        self.close_code = self._ws.close_code
        self._more.set()

    async def send(self, message: object) -> None:
        """Any message; bytes and strings as they are."""
        assert self._ws is not None
        raw = isinstance(message, (str, bytes))
        await self._ws.send(message if raw else json.dumps(message))

    async def types(self, text: str) -> None:
        await self.send({"type": "typed", "text": text})

    async def seen(self, after: int = 0, /, **facts: object) -> Message:
        """The first message after the n-th with these facts, once it is there."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                for message in self.read[after:]:
                    if all(message.get(name) == value for name, value in facts.items()):
                        return message
                if self.close_code is not None:
                    raise AssertionError(f"closed with {self.close_code} before {facts}: {self}")
                self._more.clear()
                await self._more.wait()

    async def asked(self, plan: Plan, question_id: str, after: int = 0) -> None:
        """This question stands on the page and is on record."""
        text = plan.question(question_id).text
        await self.seen(after, type="caption", speaker="interviewer", text=text)

    async def answers(self, plan: Plan, question_id: str, text: str) -> Message:
        """Wait for a question, answer it, and wait until the answer is durable."""
        await self.asked(plan, question_id)
        before = len(self.read)
        await self.types(text)
        return await self.seen(before, type="committed", event="turn_settled")

    async def closed(self) -> int:
        """The code with which the server closes the socket."""
        assert self._reading is not None
        async with asyncio.timeout(WITHIN_S):
            await asyncio.shield(self._reading)
        assert self.close_code is not None
        return self.close_code

    async def ended(self) -> None:
        await self.seen(type="state", state="ended")

    @property
    def lines(self) -> list[str]:
        """What the interviewer said."""
        return [
            str(one["text"])
            for one in self.read
            if one.get("speaker") == "interviewer" and one.get("final")
        ]

    @property
    def notices(self) -> list[Message]:
        return [one for one in self.read if one.get("type") == "notice"]

    def __str__(self) -> str:
        return "\n".join(json.dumps(one, ensure_ascii=False) for one in self.read[-30:])


async def invited(operator: Operator, plan: Plan, name: str = "Ada") -> Invitation:
    """A candidate who has agreed to be interviewed."""
    invitation = await operator.invite(plan, name)
    async with Guest(str(operator._http.base_url), invitation.token) as guest:
        await guest.consent(plan.policy.consent.version, recording=False)
    return invitation


def events_of(entries: list[Mapping[str, Any]], kind: str) -> list[Mapping[str, Any]]:
    """The events of a type, from what the operator reads."""
    return [one["event"] for one in entries if one["event"]["type"] == kind]


def client(base_url: str, token: str = KEY) -> httpx.AsyncClient:
    """Any request, as a program would send it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=20, trust_env=False)
