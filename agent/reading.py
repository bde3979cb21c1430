"""A move as it is read from a model's stream, chunk by chunk; knows nothing of the network.

Rules that bind here:

* the move's name comes before its words, and each is handed on as soon as it is decoded;
* `content` beside a function call is never handed on: servers leak tool-call text into it;
* the client does not validate chunks, so anything may be missing from them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import ChoiceDelta
from pydantic import ValidationError

from agent.arguments import Arguments, BadArguments
from agent.events import Scripted
from agent.moves import MOVE_NAMES, Move, parse_move
from agent.prompt import Mode
from agent.refusal import Reason, Refusal

MAX_ARGUMENT_CHARACTERS = 4000
"""More than any move can need; a runaway model is cut off here."""


class TurnFailed(Exception):
    """The model gave no usable move."""

    scripted: Scripted = "model_unavailable"


class ModelUnavailable(TurnFailed):
    """No connection, an HTTP error, or a stream that broke off."""


class ModelStalled(TurnFailed):
    """Nothing came in time."""

    scripted: Scripted = "model_stalled"


class BadMove(TurnFailed):
    """An answer that is no move: rubbish, truncated, an unknown name, wrong arguments."""

    scripted: Scripted = "illegal_move"

    def __init__(self, refusal: Refusal, move: str = "") -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.move = move


@dataclass
class Usage:
    """What a call cost; zero where the server does not say."""

    first_token_s: float = 0.0
    """Seconds from the request to the first token of the move (TTFT)."""
    total_s: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class MoveNamed:
    name: str


@dataclass(frozen=True)
class Argument:
    """The next characters of a string argument."""

    key: str
    text: str


@dataclass(frozen=True)
class MoveDecided:
    move: Move
    usage: Usage


Item = MoveNamed | Argument | MoveDecided


class Reading:
    """A move as it is read from chunks."""

    def __init__(self, mode: Mode) -> None:
        self.usage = Usage()
        self.name = ""
        self._mode = mode
        self._arguments = Arguments()
        self._size = 0
        self._finish_reason = ""
        self._began_at = asyncio.get_running_loop().time()

    @property
    def begun(self) -> bool:
        """The first token of the move is here."""
        return bool(self.name or self._size)

    @property
    def whole(self) -> bool:
        return self._arguments.complete and bool(self.name)

    @property
    def so_far(self) -> str:
        return f"{self.name or 'no move'} and {self._size} characters of its arguments had come"

    def take(self, chunk: ChatCompletionChunk) -> list[Item]:
        """What a chunk adds; raises `BadMove`."""
        try:
            self._count(chunk)
            if not chunk.choices:
                return []
            choice = chunk.choices[0]
            self._finish_reason = choice.finish_reason or self._finish_reason
            name, fragment = self._parts(choice.delta)
        except (AttributeError, TypeError, IndexError, KeyError) as error:
            raise BadMove(Refusal(Reason.RUBBISH), self.name) from error
        return [*self._named(name), *self._decoded(fragment)]

    def _parts(self, delta: ChoiceDelta) -> tuple[str, str]:
        if self._mode == "json_schema":
            return "", delta.content or ""
        for call in delta.tool_calls or ():
            if call.index == 0 and call.function is not None:  # a second call is not asked for
                return call.function.name or "", call.function.arguments or ""
        return "", ""

    def _named(self, name: str) -> list[Item]:
        if not name or self.name:
            return []
        if name not in MOVE_NAMES:
            raise BadMove(Refusal(Reason.NO_SUCH_MOVE), name[:40])
        self._note_begin()
        self.name = name
        return [MoveNamed(name)]

    def _decoded(self, fragment: str) -> list[Item]:
        if not fragment or self.whole:
            return []
        self._note_begin()
        self._size += len(fragment)
        try:
            pieces = self._arguments.feed(fragment)
        except BadArguments as error:
            raise BadMove(Refusal(Reason.NO_JSON, str(error)), self.name) from error
        if self._size > MAX_ARGUMENT_CHARACTERS:
            raise BadMove(Refusal(Reason.TOO_LONG), self.name)
        named = self._named(str(self._arguments.values.get("name", "")))
        return [*named, *(Argument(key, text) for key, text in pieces if key != "name")]

    def _note_begin(self) -> None:
        if not self.begun:
            self.usage.first_token_s = asyncio.get_running_loop().time() - self._began_at

    def _count(self, chunk: ChatCompletionChunk) -> None:
        self.usage.total_s = asyncio.get_running_loop().time() - self._began_at
        if (usage := chunk.usage) is None:
            return
        self.usage.prompt_tokens = usage.prompt_tokens
        self.usage.completion_tokens = usage.completion_tokens
        if usage.prompt_tokens_details is not None:
            self.usage.cached_tokens = usage.prompt_tokens_details.cached_tokens or 0

    def move(self) -> Move:
        """The whole move; raises `BadMove`."""
        if not self.whole:
            raise BadMove(Refusal(self._why_not_whole()), self.name)
        fields = {key: value for key, value in self._arguments.values.items() if key != "name"}
        try:
            return parse_move(self.name, fields)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"][1:])
            wrong = Refusal(Reason.WRONG_ARGUMENTS, where)
            raise BadMove(wrong, self.name) from error

    def _why_not_whole(self) -> Reason:
        if self._finish_reason == "length":
            return Reason.CUT_OFF
        return Reason.NOT_WHOLE if self.name else Reason.NO_CALL
