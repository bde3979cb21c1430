"""The stand-in model: rules behind the OpenAI-compatible API, so that a rehearsal needs no weights.

It speaks what vLLM speaks (models, chat completions, streamed or not, tools and JSON schemas) on
loopback only, names itself, and decides nothing about anyone: reports made with it say so.

    python -m server.rehearsal.model --port 8001
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.moves import MOVE_NAMES
from server import stand_ins
from server.rehearsal import marking, rules
from server.rehearsal.faults import REHEARSAL, Faults, Misbehaviour

NAME = stand_ins.MODEL
STALL_S = 60.0
"""How long a stall lasts, if the client does not give up before."""
HELD_S = 0.05
"""How often it is asked whether an answer is still held."""
PIECE = 12
"""Characters of arguments in one chunk."""

Json = dict[str, Any]


class Dropped(Exception):
    """The connection is to break here."""


@dataclass(frozen=True)
class Answer:
    """What the model says: a function call, or content."""

    name: str = ""
    text: str = ""
    """Arguments of the call, or the content."""
    misbehaviour: Misbehaviour | None = None


# --- deciding -------------------------------------------------------------------------------------


def answer(body: Json, faults: Faults, seed: int = 0) -> Answer:
    """The model's answer to a request; a pure function of it."""
    schemas = _shapes(body)
    if document := marking.read(str(body["messages"][-1].get("content", ""))):
        text = marking.mark(document, faults, first_try=not body.get("temperature"))
        return Answer(text=text)
    situation = rules.read(body["messages"], _fields(schemas))
    if situation is None or not set(schemas) <= set(MOVE_NAMES):
        return _filled(body, schemas)
    place = faults.interviewer
    fault = place.get(situation.turn_id) or place.get(situation.question_id)
    fault = None if situation.retry else fault
    if fault == "illegal_move":
        choice = rules.illegal(situation)
    elif fault == "free_probe" and "free" in situation.probe_ids:
        choice = rules.free_probe(situation)
    else:
        choice = rules.choose(situation, seed=seed)
    return _spoken(body, choice.name, choice.arguments, fault)


def _spoken(body: Json, name: str, fields: Json, fault: Misbehaviour | None = None) -> Answer:
    if body.get("tools"):
        return Answer(name, json.dumps(fields, ensure_ascii=False), fault)
    return Answer("", json.dumps({"name": name, **fields}, ensure_ascii=False), fault)


def _shapes(body: Json) -> dict[str, Json]:
    """The schemas of what may be answered, by the move's name where there is one."""
    if body.get("tools"):
        return {t["function"]["name"]: t["function"]["parameters"] for t in body["tools"]}
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    return {
        shape.get("properties", {}).get("name", {}).get("enum", ["answer"])[0]: shape
        for shape in schema.get("anyOf", [schema])
    }


def _fields(shapes: Mapping[str, Json]) -> Json:
    return {k: v for shape in shapes.values() for k, v in shape.get("properties", {}).items()}


def _filled(body: Json, shapes: Mapping[str, Json]) -> Answer:
    """The smallest answer that a schema allows: for calls that are no turn of an interview."""
    name, shape = next(iter(shapes.items()))
    if not shape:
        return Answer(text="hello")
    text = json.dumps(_smallest(shape))
    return Answer(name, text) if body.get("tools") else Answer(text=text)


def _smallest(shape: Json) -> Any:
    if "enum" in shape:
        return shape["enum"][0]
    match shape.get("type"):
        case "object":
            return {k: _smallest(v) for k, v in shape.get("properties", {}).items()}
        case "array":
            return [_smallest(shape["items"])] * shape.get("minItems", 0)
        case "boolean":
            return False
        case "integer" | "number":
            return 0
    return ""


# --- speaking the protocol ------------------------------------------------------------------------


def _usage(body: Json, said: Answer) -> Json:
    """Tokens as about four characters each."""
    prompt = len(json.dumps(body["messages"])) // 4
    completion = (len(said.name) + len(said.text)) // 4 + 1
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def _whole(body: Json, said: Answer) -> Json:
    message: Json = {"role": "assistant", "content": said.text}
    if said.name:
        function = {"name": said.name, "arguments": said.text}
        call = {"id": "call_0", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    reason = "tool_calls" if said.name else "stop"
    return {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "created": 0,
        "model": NAME,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": _usage(body, said),
    }


def _deltas(said: Answer) -> Iterator[Json]:
    yield {"role": "assistant", "content": ""}
    if said.name:
        function = {"name": said.name}
        yield {
            "tool_calls": [{"index": 0, "id": "call_0", "type": "function", "function": function}]
        }
    for at in range(0, len(said.text), PIECE):
        piece = said.text[at : at + PIECE]
        if said.name:
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        else:
            yield {"content": piece}


def _event(choices: list[Json], **more: Any) -> str:
    head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 0, "model": NAME}
    return f"data: {json.dumps(head | {'choices': choices} | more, ensure_ascii=False)}\n\n"


async def _events(body: Json, said: Answer) -> AsyncIterator[str]:
    if said.misbehaviour == "silent":
        await asyncio.sleep(STALL_S)
    deltas = list(_deltas(said))
    for number, delta in enumerate(deltas):
        if number >= 2 and number * 2 >= len(deltas):
            if said.misbehaviour == "stall":
                await asyncio.sleep(STALL_S)
            if said.misbehaviour == "drop":
                raise Dropped
        yield _event([{"index": 0, "delta": delta, "finish_reason": None}])
    reason = "tool_calls" if said.name else "stop"
    yield _event([{"index": 0, "delta": {}, "finish_reason": reason}])
    if (body.get("stream_options") or {}).get("include_usage"):
        yield _event([], usage=_usage(body, said))
    yield "data: [DONE]\n\n"


def create_app(
    faults: Faults = REHEARSAL,
    *,
    seed: int = 0,
    delay_s: float = 0.0,
    held: Callable[[], bool] = lambda: False,
) -> Starlette:
    """The stand-in as an ASGI application; every answer begins after `delay_s`, and not while it is
    `held`."""

    async def models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    async def health(request: Request) -> Response:
        return Response()

    async def completions(request: Request) -> Response:
        body = await request.json()
        await asyncio.sleep(delay_s)
        while held():  # noqa: ASYNC110 — whoever holds it is in another thread
            await asyncio.sleep(HELD_S)
        said = answer(body, faults, seed)
        if said.misbehaviour == "error":
            return JSONResponse({"error": {"message": "a scripted failure"}}, status_code=500)
        if said.misbehaviour == "rubbish":
            said = Answer(said.name, "<tool_call>{nonsense", said.misbehaviour)
        if body.get("stream"):
            return StreamingResponse(_events(body, said), media_type="text/event-stream")
        return JSONResponse(_whole(body, said))

    routes = [
        Route("/v1/models", models),
        Route("/health", health),
        Route("/v1/chat/completions", completions, methods=["POST"]),
    ]
    return Starlette(routes=routes)


# --- serving --------------------------------------------------------------------------------------


@contextmanager
def serving(
    faults: Faults = REHEARSAL,
    *,
    seed: int = 0,
    port: int = 0,
    delay_s: float = 0.0,
    held: Callable[[], bool] = lambda: False,
) -> Iterator[str]:
    """Serves on loopback from a thread of its own; gives the base URL."""
    app = create_app(faults, seed=seed, delay_s=delay_s, held=held)
    config = uvicorn.Config(app, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", port))
    # asyncio sets this itself only on sockets that name their protocol: without it 40 ms a reply.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    address: tuple[str, int] = listener.getsockname()
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="stand-in-model", daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{address[1]}/v1"
    finally:
        server.should_exit = True
        server.force_exit = True  # a stalled stream is not waited for
        thread.join(timeout=10)
        listener.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m server.rehearsal.model", description=__doc__)
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    uvicorn.run(create_app(seed=options.seed), host="127.0.0.1", port=options.port)


if __name__ == "__main__":
    main()
