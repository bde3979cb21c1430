"""One call of an OpenAI-compatible model that must end in a move; knows nothing of the interview.

Rules that bind here:

* waiting counts from the end of the candidate's turn, since a speculative call begins before it;
* closing or cancelling the iterator closes the HTTP stream, which frees the server's slot;
* whatever a server does ends in a whole move or in a `TurnFailed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

import openai
from openai.types.chat import ChatCompletionChunk

from agent.moves import Wait
from agent.prompt import Message, Mode, Schema
from agent.reading import (
    Argument,
    BadMove,
    Item,
    ModelStalled,
    ModelUnavailable,
    MoveDecided,
    MoveNamed,
    Reading,
    TurnFailed,
    Usage,
)
from agent.refusal import Reason, Refusal

__all__ = [
    "Argument",
    "BadMove",
    "Countdown",
    "Item",
    "Limits",
    "ModelStalled",
    "ModelUnavailable",
    "MoveDecided",
    "MoveNamed",
    "TurnFailed",
    "TurnModel",
    "Usage",
    "find_mode",
]

T = TypeVar("T")

FIGURES_S = 0.3
"""How long the call's figures are waited for once the move is whole."""


@dataclass(frozen=True)
class Limits:
    """Seconds after the end of the candidate's turn."""

    first_token_s: float = 5.0
    between_tokens_s: float = 2.0
    total_s: float = 8.0
    """For a whole decision, its retry included."""


class NothingEnforced(BadMove):
    """In no mode is the server held to an answer's schema."""

    def __init__(self) -> None:
        super().__init__(Refusal(Reason.NOT_ENFORCED))

    def __str__(self) -> str:
        return "the server enforces neither tool_choice nor response_format json_schema"


class Countdown:
    """The time limits of one decision, counted only once the candidate's turn has ended."""

    def __init__(self, turn_ended: asyncio.Event, limits: Limits) -> None:
        self._turn_ended = turn_ended
        self._limits = limits
        self._ends: float | None = None
        self._first_by: float | None = None

    def begin(self) -> None:
        """A new call: its first token has its full time."""
        self._first_by = None

    async def wait(self, coming: Awaitable[T], *, first: bool) -> T:
        """What is awaited, the first token or a later one; raises `TimeoutError`."""
        async with asyncio.timeout(None) as limit:
            arming = asyncio.ensure_future(self._arm(limit, first))
            try:
                return await coming
            finally:
                arming.cancel()

    async def _arm(self, limit: asyncio.Timeout, first: bool) -> None:
        await self._turn_ended.wait()
        now = asyncio.get_running_loop().time()
        if self._ends is None:
            self._ends = now + self._limits.total_s
        if self._first_by is None:
            self._first_by = now + self._limits.first_token_s
        by = self._first_by if first else now + self._limits.between_tokens_s
        limit.reschedule(min(by, self._ends))


class TurnModel:
    """A model behind an OpenAI-compatible URL."""

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        *,
        mode: Mode = "tools",
        temperature: float = 0.2,
        max_tokens: int = 200,
        limits: Limits | None = None,
    ) -> None:
        self.model = model
        self.mode: Mode = mode
        self.limits = limits or Limits()
        # One quick retry covers a connection the server has closed; more would eat the time limit.
        self._client = client.with_options(max_retries=1, timeout=60.0)
        self._options = {"temperature": temperature, "max_tokens": max_tokens}

    def countdown(self, turn_ended: asyncio.Event) -> Countdown:
        """For all calls of one decision."""
        return Countdown(turn_ended, self.limits)

    async def stream(
        self, messages: list[Message], fields: Schema, countdown: Countdown
    ) -> AsyncGenerator[Item]:
        """The move as it comes: its name, its words, the whole; raises `TurnFailed`.

        `fields` is `prompt.request_fields(plan, mode)`.
        """
        countdown.begin()
        reading = Reading(self.mode)
        try:
            async with aclosing(self._chunks(messages, fields, countdown, reading)) as chunks:
                async for chunk in chunks:
                    for item in reading.take(chunk):
                        yield item
        except TurnFailed:
            if not reading.whole:  # a stream that fails behind a whole move has done its work
                raise
        yield MoveDecided(reading.move(), reading.usage)

    async def _chunks(
        self, messages: list[Message], fields: Schema, countdown: Countdown, reading: Reading
    ) -> AsyncGenerator[ChatCompletionChunk]:
        try:
            opening = self._open(messages, fields)
            async with await countdown.wait(opening, first=True) as stream:
                chunks = aiter(stream)
                while not reading.whole:
                    yield await countdown.wait(anext(chunks), first=not reading.begun)
                async with asyncio.timeout(FIGURES_S):
                    figures = [chunk async for chunk in chunks]
                for chunk in figures:
                    yield chunk
        except StopAsyncIteration:
            return
        except (TimeoutError, openai.APITimeoutError) as error:
            raise ModelStalled(f"stalled: nothing came in time; {reading.so_far}") from error
        except openai.APIStatusError as error:
            raise ModelUnavailable(f"the model's server answered {error.status_code}") from error
        except openai.OpenAIError as error:
            kind = type(error).__name__
            raise ModelUnavailable(
                f"the model's server broke off ({kind}); {reading.so_far}"
            ) from error
        except ValueError as error:  # an event that is no JSON
            raise BadMove(Refusal(Reason.RUBBISH), reading.name) from error

    async def _open(
        self, messages: list[Message], fields: Schema
    ) -> openai.AsyncStream[ChatCompletionChunk]:
        request: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            "stream_options": {"include_usage": True},
            **self._options,
            **fields,
        }
        stream: openai.AsyncStream[ChatCompletionChunk]
        stream = await self._client.chat.completions.create(stream=True, **request)
        return stream


async def find_mode(client: openai.AsyncOpenAI, model: str, *, timeout_s: float = 60.0) -> Mode:
    """Which mode a server can be held to, by one real strict call each; raises `TurnFailed`.

    The question asks for plain words and the schema for something no model says by itself: only a
    server that enforces both answers with it.
    """
    for mode in MODES:
        limits = Limits(timeout_s, timeout_s, timeout_s)
        tried = TurnModel(client, model, mode=mode, temperature=0.0, limits=limits)
        try:
            await _enforced(tried)
        except BadMove:
            continue
        return mode
    raise NothingEnforced


async def _enforced(model: TurnModel) -> None:
    ended = asyncio.Event()
    ended.set()
    fields = _PROBE_FIELDS[model.mode]
    async with aclosing(model.stream(_PROBE, fields, model.countdown(ended))) as items:
        async for item in items:
            if isinstance(item, MoveDecided) and item.move != Wait(kind="not_finished"):
                raise BadMove(Refusal(Reason.NOT_ENFORCED))


_PROBE: list[Message] = [
    {"role": "user", "content": "Do not call a function and write no JSON. Only say: hello."}
]
_PROBE_SHAPE: Schema = {
    "type": "object",
    "properties": {"kind": {"type": "string", "enum": ["not_finished"]}},
    "required": ["kind"],
    "additionalProperties": False,
}
_PROBE_TOOL = {"name": "wait", "description": "Wait.", "strict": True, "parameters": _PROBE_SHAPE}
_PROBE_JSON = _PROBE_SHAPE | {
    "properties": {"name": {"type": "string", "enum": ["wait"]}, **_PROBE_SHAPE["properties"]},
    "required": ["name", "kind"],
}
_PROBE_FIELDS: dict[Mode, Schema] = {
    "tools": {
        "tools": [{"type": "function", "function": _PROBE_TOOL}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    },
    "json_schema": {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "move", "strict": True, "schema": _PROBE_JSON},
        }
    },
}
MODES: tuple[Mode, ...] = ("tools", "json_schema")
