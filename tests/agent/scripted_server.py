"""A model's server on loopback that says, chunk by chunk, exactly what a test wrote."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Step = str | float | None
"""Bytes of the body, a pause in seconds, or None: the connection breaks."""


@dataclass
class Script:
    """One response."""

    steps: Sequence[Step] = ()
    status: int = 200


@dataclass
class ScriptedServer:
    """Answers one script a request; keeps what was asked and whether a client left early."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """A client closed its connection before its response had ended."""

    answering: set[asyncio.Task[Any]] = field(default_factory=set)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.answering.add(task)
        try:
            self.asked.set()
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length:")[2].split()[0])
            self.requests.append(json.loads(await reader.readexactly(length)))
            script = self.scripts.pop(0)
            writer.write(f"HTTP/1.1 {script.status} Scripted\r\n".encode())
            writer.write(b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")
            writer.write(b"connection: close\r\n\r\n")
            gone = asyncio.ensure_future(reader.read())
            for step in script.steps:
                if not await self._take(step, writer, gone):
                    return
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            gone.cancel()
        except (ConnectionError, asyncio.IncompleteReadError):
            self.left.set()
        except asyncio.CancelledError:
            pass  # the test is over; asyncio's streams log a cancelled handler as an error
        finally:
            self.answering.discard(task)
            writer.close()

    async def _take(
        self, step: Step, writer: asyncio.StreamWriter, gone: asyncio.Future[bytes]
    ) -> bool:
        if step is None:
            gone.cancel()
            return False
        if isinstance(step, str):
            data = step.encode()
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
            return True
        await asyncio.wait([gone], timeout=step)
        if gone.done():
            self.left.set()
        return not gone.done()


@asynccontextmanager
async def scripted(*scripts: Script) -> AsyncIterator[ScriptedServer]:
    told = ScriptedServer(scripts=list(scripts))
    server = await asyncio.start_server(told.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    told.url = f"http://127.0.0.1:{port}/v1"
    async with server:
        yield told
        for task in told.answering:
            task.cancel()
        await asyncio.gather(*told.answering)


# --- chunks as vLLM sends them --------------------------------------------------------------------


def event(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    chunk = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return f"data: {json.dumps(chunk | {'choices': choices} | more)}\n\n"


def named(name: str) -> str:
    function = {"name": name}
    return event(
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}
    )


def arguments(fragment: str) -> str:
    return event({"tool_calls": [{"index": 0, "function": {"arguments": fragment}}]})


ROLE = event({"role": "assistant", "content": ""})
DONE = "data: [DONE]\n\n"


def usage(cached: int = 0) -> str:
    details = {"cached_tokens": cached}
    figures = {"prompt_tokens": 100, "completion_tokens": 9, "total_tokens": 109}
    return event(None, usage=figures | {"prompt_tokens_details": details})


def ending(reason: str = "tool_calls", cached: int = 0) -> list[Step]:
    return [event({}, reason), usage(cached), DONE]


def call(name: str, text: str, *, reason: str = "tool_calls", cached: int = 0) -> Script:
    """A function call whose arguments come in pieces of five characters."""
    pieces = [arguments(text[at : at + 5]) for at in range(0, len(text), 5)]
    return Script([ROLE, named(name), *pieces, *ending(reason, cached)])


def move(name: str, **fields: object) -> Script:
    return call(name, json.dumps(fields))


def content(text: str, reason: str = "stop") -> Script:
    pieces = [event({"content": text[at : at + 5]}) for at in range(0, len(text), 5)]
    return Script([ROLE, *pieces, *ending(reason)])
