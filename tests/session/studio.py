"""A studio: a real call, AgentSession and all, between a microphone and a loudspeaker in memory.

The microphone plays in real time, the loudspeaker paces what it is given and can pause; hearing,
turn taking, voice, model client and journal are the ones that `viva serve` uses.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from livekit.agents import AgentSession

from agent.events import (
    ConsentRecorded,
    Disclosed,
    Event,
    InterviewCreated,
    InterviewEnded,
    LineSpoken,
    MoveHeard,
    QuestionAsked,
    TurnSettled,
)
from agent.plan import Plan
from agent.session import TurnTaking
from asr.recognition import Recogniser
from server.bus import Bus
from server.call import Call, LeaveReason, Leg
from server.equipment import Equipment
from server.media.input import SAMPLE_RATE
from server.settings import load
from server.wiring import model_client
from tests.session.devices import Loudspeaker, Microphone
from tests.session.tapes import Tape, TapeRecogniser, tape

E = TypeVar("E", bound=Any)

QUICK = TurnTaking(min_delay=0.4, max_delay=0.8, patience_cap=4.0, false_interruption=0.8)
"""espeak-ng's speech never ends by the turn detector's lights, so each turn waits `max_delay`."""
NOWHERE = "http://127.0.0.1:9/v1"
"""A model's server that is not there."""


class Log:
    """The store's place: what was committed, in order. It can be made to fail."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events = list(events)
        self.broken = False
        self.refused = 0
        """Writes that failed."""

    async def write(self, events: Sequence[Event]) -> int:
        await asyncio.sleep(0)
        if self.broken:
            self.refused += 1
            raise OSError("database is locked")
        self.events += events
        return len(self.events)


class SpokenCall(Call):
    """A leg over a microphone and a loudspeaker in memory, or by text."""

    session: AgentSession[None]

    async def join_studio(self, microphone: Microphone, speaker: Loudspeaker) -> None:
        microphone.on_heard = self._note_heard
        self._heard = microphone
        self._stack.callback(speaker.output.close)
        self._stack.callback(microphone.close)
        session = self._spoken()
        session.input.audio, session.output.audio = microphone, speaker.output
        self.session = session
        await self._begin(session)


@dataclass
class Talk:
    """One call, as a test sees it."""

    call: SpokenCall
    log: Log
    microphone: Microphone
    speaker: Loudspeaker
    recogniser: Recogniser
    over: asyncio.Event = field(default_factory=asyncio.Event)
    left: LeaveReason | None = None

    # --- the candidate ---------------------------------------------------------------------------
    async def say(self, *parts: str | float | Tape) -> None:
        """Words, tapes and seconds of silence; returns when they were said."""
        for part in parts:
            if isinstance(part, str):
                part = tape(part)
            if isinstance(part, Tape):
                if isinstance(self.recogniser, TapeRecogniser):
                    self.recogniser.learn(part)
                self.microphone.say(part.pcm)
            else:
                self.microphone.say(np.zeros(round(part * SAMPLE_RATE), np.int16))
        while self.microphone.left_s:  # noqa: ASYNC110 — more may be said meanwhile
            await asyncio.sleep(self.microphone.left_s)

    async def answer(self, question_id: str, *parts: str | float | Tape) -> None:
        """Speak when the question has been asked to its end."""
        await self.asked(question_id)
        await self.say(*parts)

    # --- what came of it -------------------------------------------------------------------------
    def all(self, kind: type[E], /, **facts: object) -> list[E]:
        """Committed events of a kind, with these facts."""
        return [
            event
            for event in self.log.events
            if isinstance(event, kind)
            and all(getattr(event, name) == value for name, value in facts.items())
        ]

    async def seen(
        self, kind: type[E], /, *, n: int = 1, within: float = 20.0, **facts: object
    ) -> E:
        """The n-th such event, once it is committed."""
        try:
            async with asyncio.timeout(within):
                while len(found := self.all(kind, **facts)) < n:  # noqa: ASYNC110 — any event
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} {facts} in:\n{self}") from None
        return found[n - 1]

    async def asked(self, question_id: str) -> None:
        """The question was heard, whole or not."""
        question = self.call.interview.plan.question(question_id)
        await self.seen(QuestionAsked, question_id=question_id)
        await self.seen(LineSpoken, kind="question", text=question.text)

    async def opened(self, question_id: str) -> None:
        """The question has begun to sound."""
        await self.seen(QuestionAsked, question_id=question_id)

    async def ended(self, within: float = 20.0) -> str:
        return (await self.seen(InterviewEnded, within=within)).reason

    async def sounding(self, kind: str, seconds: float = 0.6) -> None:
        """A line of this kind has sounded for so long."""
        async with asyncio.timeout(20):
            while not (part := self.part) or part.kind != kind:  # noqa: ASYNC110 — any part
                await asyncio.sleep(0.02)
        await asyncio.sleep(seconds)

    @property
    def part(self) -> Any:
        """The part of a reply that is being played."""
        playing = self.call._interviewer._playout.playing
        if playing is None or playing.played >= len(playing.audible):
            return None
        return playing.audible[playing.played]

    @property
    def turns(self) -> list[str]:
        return [event.text for event in self.all(TurnSettled)]

    @property
    def moves(self) -> list[str]:
        return [event.move.name for event in self.all(MoveHeard)]

    @property
    def lines(self) -> list[str]:
        return [event.text for event in self.all(LineSpoken)]

    def kinds(self, *kinds: type) -> list[str]:
        """The order of events of some kinds."""
        return [event.type for event in self.log.events if isinstance(event, kinds)]

    def __str__(self) -> str:
        """The log, for a failed test."""
        start = self.log.events[0].at
        skipped = {"at", "type", "t0", "t1", "words"}
        return "\n".join(
            f"{e.at - start:6.2f} {e.type} {e.model_dump(exclude=skipped)}" for e in self.log.events
        )


class Studio:
    """Makes calls on one loop; all of them share voice, recogniser and rendered lines."""

    def __init__(
        self,
        folder: Path,
        model_url: str = NOWHERE,
        recogniser: Recogniser | None = None,
        turn_taking: TurnTaking = QUICK,
    ) -> None:
        self.recogniser = recogniser or TapeRecogniser()
        settings = load(data_dir=folder, privacy="local", model_url=model_url)
        self.equipment = Equipment(
            settings, self.recogniser, model_client(settings), turn_taking=turn_taking
        )
        self._epoch = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def past(self, plan: Plan, **facts: Any) -> list[Event]:
        """Created, told by the page and aloud, consented; nothing is recorded."""
        now = self.equipment.clock()
        created = InterviewCreated(
            at=now,
            interview_id="one",
            plan_id=plan.plan_id,
            plan_version=plan.version,
            plan_hash=plan.hash,
            language=plan.language,
            **facts,
        )
        consent = ConsentRecorded(
            at=now, interview=True, recording=False, version="c1", method="click"
        )
        told = [Disclosed(at=now, version="d1", method=how) for how in ("page", "spoken")]
        return [created, *told, consent]

    @asynccontextmanager
    async def talk(
        self,
        plan: Plan,
        log: Log | None = None,
        *,
        written: bool = False,
        channel: Literal["web", "phone"] = "web",
    ) -> AsyncIterator[Talk]:
        """A leg of an interview, begun and left; give the log of another to rejoin it."""
        log = log or Log(self.past(plan))
        self._epoch += 1
        leg = Leg("one", self._epoch, "text" if written else channel)
        talk: Talk

        def over(call: Call, reason: LeaveReason | None) -> None:
            talk.left = reason
            task = asyncio.create_task(call.close(reason))
            self._tasks.add(task)
            task.add_done_callback(lambda _: talk.over.set())

        call = SpokenCall(
            leg, plan, tuple(log.events), self.equipment, Bus(), write=log.write, on_over=over
        )
        talk = Talk(call, log, Microphone(), Loudspeaker(), self.recogniser)
        if written:
            await call.join_written()
        else:
            await call.join_studio(talk.microphone, talk.speaker)
        try:
            yield talk
        finally:
            await call.close("dropped")
            talk.microphone.close()

    async def aclose(self) -> None:
        await asyncio.gather(*self._tasks)
        await self.equipment.aclose()
