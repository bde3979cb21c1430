"""One turn's decision: asks the model, checks its move and words, and always ends in a legal reply.

Rules that bind here:

* nothing is written: what happened on the way (a refused move, a failed model) rides on `Decided`;
* words go out only when their sentence is whole and checked, and their move is legal; after that
  the move stands, whatever the model still does;
* a move that is refused gets one retry with the reason; then, or where the model fails, the
  machine's own default.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

from agent.events import Event, ModelFailed, MoveRefused, Scripted
from agent.interview import IllegalMove, Interview, Reply
from agent.moves import (
    FREE_PROBE,
    AskProbe,
    EndInterview,
    Move,
    NextQuestion,
    SkipQuestion,
)
from agent.prompt import Conversation, lengths_for, request_fields, with_refusal
from agent.sentences import check_acknowledgement, check_free_probe, first_sentence, neutralise
from agent.turn_model import (
    Argument,
    BadMove,
    Item,
    MoveDecided,
    MoveNamed,
    TurnFailed,
    TurnModel,
    Usage,
    find_mode,
)

__all__ = ["Decided", "MoveTurn", "TurnModel", "Words", "find_mode"]

logger = logging.getLogger(__name__)

ATTEMPTS = 2
MAX_ACKNOWLEDGEMENT = 200
"""Characters; a sentence that has not ended by then gives way to a stock line."""
MAX_REASON = 200
DRAIN_S = 0.5
"""How long the rest of a stream is read, for its figures, once its words are out."""


@dataclass(frozen=True)
class Words:
    """An acknowledgement that may be spoken: one whole, checked sentence of a legal move."""

    text: str


@dataclass(frozen=True)
class Decided:
    """The decision, last of all."""

    reply: Reply
    findings: tuple[Event, ...] = ()
    """What happened on the way, to be written with the reply."""
    usage: Usage = field(default_factory=Usage)


class MoveTurn:
    """Decides the turns of one interview."""

    def __init__(self, model: TurnModel, conversation: Conversation) -> None:
        self._model = model
        self._conversation = conversation
        self._fields = request_fields(conversation.plan, model.mode)

    async def decide(
        self, interview: Interview, at: float, turn_ended: asyncio.Event
    ) -> AsyncGenerator[Words | Decided]:
        """At most one `Words`, then `Decided`. `interview` is a view whose turn is settled."""
        countdown = self._model.countdown(turn_ended)
        messages = self._conversation.messages_for(interview, at)
        findings: list[Event] = []
        scripted: Scripted = "illegal_move"
        for _ in range(ATTEMPTS):
            attempt = _Attempt(interview, at)
            try:
                stream = self._model.stream(messages, self._fields, countdown)
                async with aclosing(attempt.run(stream)) as released:
                    async for words in released:
                        yield words
                yield Decided(attempt.reply(), tuple(findings), attempt.usage)
                return
            except (IllegalMove, BadMove) as error:
                findings.append(attempt.refused(error))
                messages = with_refusal(messages, error.refusal, interview.plan)
            except TurnFailed as failure:
                scripted = failure.scripted
                findings.append(attempt.failed(failure))
                break
        yield Decided(default_reply(interview, at, scripted), tuple(findings))


def default_reply(interview: Interview, at: float, scripted: Scripted) -> Reply:
    """The machine's own move."""
    return interview.reply(interview.default(at), at, scripted=scripted)


class _Attempt:
    """One call of the model for a turn, from its stream to a legal move."""

    def __init__(self, interview: Interview, at: float) -> None:
        self._interview = interview
        self._at = at
        settled, question = interview.settled, interview.open_question
        self._turn_id = settled.turn_id if settled else interview.turn_id
        self._heard = settled.text if settled else interview.heard_text
        if question is not None:  # what was said of the question before may be named as well
            self._heard = f"{interview.answer_text(question.id)}\n{self._heard}"
        self._name = ""
        self._words = ""
        self._move: Move | None = None
        self.usage = Usage()

    async def run(self, stream: AsyncGenerator[Item]) -> AsyncGenerator[Words]:
        """Reads the stream; raises `IllegalMove` or `TurnFailed`, but never after `Words`."""
        async with aclosing(stream):
            async for item in stream:
                match item:
                    case MoveNamed(name=name):
                        self._begin(name)
                    case Argument("acknowledgement", text) if self._name == "next_question":
                        if (sentence := self._grow(text)) is not None:
                            self._move = self._acknowledge(sentence)
                            yield Words(self._move.acknowledgement)
                            await self._drain(stream)
                            return
                    case MoveDecided(move=move, usage=usage):
                        self.usage = usage
                        self._move = self._allowed(move)

    def reply(self) -> Reply:
        assert self._move is not None
        return self._interview.reply(self._move, self._at)

    def refused(self, error: IllegalMove | BadMove) -> MoveRefused:
        name = error.move if isinstance(error, BadMove) else self._name
        logger.info("the model's move %s was refused: %s", name or "(none)", error.refusal.reason)
        return MoveRefused(
            at=self._at, turn_id=self._turn_id, move=name or "none", reason=str(error.refusal)
        )

    def failed(self, failure: TurnFailed) -> ModelFailed:
        logger.warning("the model failed: %s", failure)
        return ModelFailed(at=self._at, turn_id=self._turn_id, reason=str(failure))

    def _begin(self, name: str) -> None:
        """Refuses by the name alone, before a word is out."""
        self._name = name
        legal = self._interview.legal(self._at)
        if name not in legal.moves:
            raise IllegalMove(legal.notes[name])
        if name == "next_question":
            self._interview.check(NextQuestion(), self._at)

    def _grow(self, text: str) -> str | None:
        """The sentence, once whole, or what there is of one that does not end."""
        self._words += text
        if len(self._words) > MAX_ACKNOWLEDGEMENT:
            return self._words
        return first_sentence(self._words)

    def _acknowledge(self, words: str) -> NextQuestion:
        """The move with these words, or with stock words where they do not pass."""
        language = self._interview.plan.language
        lengths = lengths_for(self._interview)
        refusal = (
            check_acknowledgement(words, self._heard, language, lengths) if words.strip() else None
        )
        if refusal is not None:
            logger.info("stock words in place of an acknowledgement: %s", refusal.reason)
            words = self._interview.stock("acknowledgement")
        return NextQuestion(acknowledgement=words.strip())

    def _allowed(self, move: Move) -> Move:
        """The move with its words checked or dropped; raises `IllegalMove`."""
        match move:
            case NextQuestion(acknowledgement=words):
                move = self._acknowledge(words)
            case AskProbe(probe_id=probe_id, question=words):
                free = probe_id == FREE_PROBE
                move = AskProbe(probe_id=probe_id, question=words.strip() if free else "")
                self._interview.check(move, self._at)
                if free:
                    self._check_free_probe(words)
            case SkipQuestion() | EndInterview():
                reason = neutralise(move.reason)[:MAX_REASON]
                move = move.model_copy(update={"reason": reason})
            case _:
                pass
        self._interview.check(move, self._at)
        return move

    def _check_free_probe(self, words: str) -> None:
        question, plan = self._interview.open_question, self._interview.plan
        assert question is not None, "a probe is legal only on an open question"
        lengths = lengths_for(self._interview)
        refusal = check_free_probe(words, question, plan, plan.language, self._heard, lengths)
        if refusal is not None:
            raise IllegalMove(refusal)

    async def _drain(self, stream: AsyncGenerator[Item]) -> None:
        """The rest of a stream whose words are out, read for its figures only."""
        with suppress(TurnFailed, TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                async for item in stream:
                    if isinstance(item, MoveDecided):
                        self.usage = item.usage
