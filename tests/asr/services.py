"""A service on loopback in the test's own loop, or as a process; and clients that talk to it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from asr.errors import AtCapacity
from asr.service import authorisation, protocol
from asr.service.protocol import End, Ended, Error, Final, FromService, Hello, Ready, Sound
from asr.service.server import Service
from tests.asr.hearing import ScriptedRecogniser, by_level

ROOT = Path(__file__).parents[2]
TOKEN = "the-token-of-the-tests"
VIVA = (sys.executable, "-c", "from server.cli import main; main()")


class ScriptedEngine(ScriptedRecogniser):
    """`asr.engine.Engine`'s surface over a script."""

    compute_type = "none"
    queued = 0
    promised = 0.0

    def __init__(self) -> None:
        super().__init__(by_level)
        self.room = 1_000
        self.inside: set[Hashable] = set()

    @property
    def sessions(self) -> int:
        return len(self.inside)

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        if len(self.inside) >= self.room and not regardless:
            raise AtCapacity(f"{len(self.inside)} sessions are here.")
        self.inside.add(session)

    def leave(self, session: Hashable) -> None:
        self.inside.discard(session)


@asynccontextmanager
async def served(engine: Any, **options: Any) -> AsyncIterator[tuple[Service, str]]:
    """The service and its address."""
    service = Service(engine, token=TOKEN, device="cpu", **options)
    async with await service.listen("127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        try:
            yield service, f"ws://127.0.0.1:{port}"
        finally:
            service.drain()
            await service.drained()


def hello(**fields: Any) -> str:
    return json.dumps({"type": "hello", **fields})


def knock(url: str, token: str = TOKEN, **options: Any) -> connect:
    """A connection before its hello."""
    header = authorisation.header(token)
    return connect(url, additional_headers=header, proxy=None, compression=None, **options)


@asynccontextmanager
async def admitted(url: str, **fields: Any) -> AsyncIterator[ClientConnection]:
    """A connection whose hello was taken."""
    async with knock(url) as socket:
        await socket.send(hello(**fields))
        assert isinstance(protocol.from_service(str(await socket.recv())), Ready)
        yield socket


async def send_sound(
    socket: ClientConnection, pcm: np.ndarray, *, at: int = 0, segment: int = 0, frame: int = 8_000
) -> None:
    for start in range(0, len(pcm), frame):
        piece = pcm[start : start + frame]
        await socket.send(protocol.pack(Sound(segment, at + start, piece)))


async def rest(socket: ClientConnection) -> tuple[list[FromService], int | None]:
    """Everything until the connection is closed, and WebSocket's code of it."""
    said: list[FromService] = []
    try:
        async with asyncio.timeout(120):  # a busy machine recognises what sixteen said
            while True:
                said.append(protocol.from_service(str(await socket.recv())))
    except ConnectionClosed as e:
        return said, e.rcvd.code if e.rcvd else None


async def refusal(socket: ClientConnection) -> tuple[str, int | None]:
    said, code = await rest(socket)
    assert isinstance(said[-1], Error)
    assert said[-1].text
    return said[-1].code, code


def finals(said: Sequence[FromService]) -> list[Final]:
    return [one for one in said if isinstance(one, Final)]


async def listen(url: str, pcm: np.ndarray, **fields: Any) -> list[FromService]:
    """A whole stream, sent no faster than it is recognised."""
    async with admitted(url, **fields) as socket:
        await send_sound(socket, pcm)
        await socket.send(End().model_dump_json())
        said, code = await rest(socket)
    assert code == 1000
    assert said[-1] == Ended(samples=len(pcm))
    return said


def get(url: str) -> tuple[int, str, str]:
    """Status, content type and text of a page of the service."""
    try:
        with urllib.request.urlopen(url.replace("ws:", "http:")) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as e:
        with e:
            return e.code, e.headers["Content-Type"], e.read().decode()


class AsrProcess:
    """`viva asr` with the rehearsal's model; killed and started as often as wanted."""

    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self._command = (*VIVA, "asr", "--port", str(port), "--asr-device", "cpu")
        mine = {name: value for name, value in os.environ.items() if not name.startswith("VIVA_")}
        self._environment = mine | {
            "PYTHONPATH": str(ROOT),
            "VIVA_DATA_DIR": str(folder),
            "VIVA_ASR_MODEL": "rehearsal",
            "VIVA_ASR_TOKEN": TOKEN,
        }
        self._log = folder / "asr.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        self.start()
        await self.answers()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log
            )

    async def answers(self) -> None:
        """Until it can be asked."""
        async with asyncio.timeout(240):  # as a busy machine starts it
            while True:
                assert self._running.poll() is None, self.log
                try:
                    await asyncio.to_thread(get, f"{self.url}/healthz")
                    return
                except OSError:
                    await asyncio.sleep(0.05)

    def freeze(self) -> None:
        """It takes in what comes, and answers nothing."""
        self._running.send_signal(signal.SIGSTOP)

    async def kill(self) -> None:
        self._running.kill()
        await asyncio.to_thread(self._running.wait)

    async def stop(self) -> int:
        """By SIGTERM; the exit code."""
        if self._running.poll() is None:
            self._running.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._running.wait, 20)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def _running(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process


def greeting(**fields: Any) -> Hello:
    return Hello(**fields)
