"""Calls against the real host: its own thread, a real store, and candidates over loopback WebRTC.

A caller keeps what the bus said and reads the event log; it knows nothing of the host's inside.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from agent.events import (
    ConsentRecorded,
    Disclosed,
    Event,
    InterviewEnded,
    LineSpoken,
    QuestionAsked,
    TurnSettled,
)
from agent.plan import Plan
from agent.session import TurnTaking
from asr.recognition import Admitting, Recogniser
from server.api.ports import Answer
from server.equipment import Equipment
from server.host import CallHost, Companion, HostSettings
from server.media.client import CallClient
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store, sqlite_url
from server.wiring import model_client
from tests.asr.speech import RATE, say

E = TypeVar("E", bound=Any)
Message = dict[str, Any]
QUICK = TurnTaking(min_delay=0.4, max_delay=0.8, patience_cap=4.0, false_interruption=0.8)
QUIET_S = 1.5
WITHIN_S = 30.0

# Sentences that the rehearsal recogniser hears without a mistake, in this voice.
PYTHON = "I used Python and testing every day."
BANK = "In my last job I built a payment system for a bank."
HOTEL = "In my last job I built a booking system for a hotel."
CALM = "I stayed calm and asked my manager for advice."
SUCCESS = "In the end, the project was a success."
AGREED = "In the end, everyone agreed with the decision."


@dataclass
class Exchange:
    """A host and its store."""

    host: CallHost
    store: Store
    recordings: FolderRecordings
    folder: Path
    ended: list[str] = field(default_factory=list)

    async def invite(
        self,
        plan: Plan,
        *,
        interview: bool = True,
        recording: bool = False,
        rehearsal: bool = True,
    ) -> str:
        """An interview whose candidate was told by the page and aloud. `rehearsal`: whoever made it
        knew of the stand-ins."""
        record = await self.store.create_interview(plan, candidate_name="Ada", rehearsal=rehearsal)
        now = record.created_at
        told = [Disclosed(at=now, version="d1", method=how) for how in ("page", "spoken")]
        consent = ConsentRecorded(
            at=now, interview=True, recording=recording, version="c1", method="click"
        )
        await self.store.append(record.interview_id, None, [*told, consent] if interview else told)
        return record.interview_id


@asynccontextmanager
async def exchange(
    folder: Path,
    rendered: Path,
    model_url: str,
    recogniser: Recogniser,
    *,
    places: int = 4,
    hold_s: float = 120.0,
    store: Store | None = None,
    equipment: Callable[..., Equipment] = Equipment,
    companion: Callable[[Store], Callable[[CallHost, Equipment], Companion]] | None = None,
    ears: Admitting | None = None,
) -> AsyncIterator[Exchange]:
    """`folder`: the store and the recordings; `rendered`: a data folder whose lines are kept."""
    settings = Settings(
        data_dir=rendered,
        model_url=model_url,
        model="viva-stand-in",
        model_mode="tools",
        privacy="local",
    )
    store = store or Store(sqlite_url(folder))
    ended: list[str] = []

    host = CallHost(
        store,
        lambda: equipment(settings, recogniser, model_client(settings), turn_taking=QUICK),
        HostSettings(max_interviews=places, quiet_s=QUIET_S, hold_s=hold_s),
        on_ended=ended.append,
        companion=companion(store) if companion is not None else None,
        ears=ears,
    )
    host.start()
    try:
        recordings = FolderRecordings(settings.recordings_folder)
        yield Exchange(host, store, recordings, settings.recordings_folder, ended)
    finally:
        await host.stop()
        await host.stop()  # once more is once too often for nobody
        await store.aclose()


class Caller:
    """A candidate: one interview, any number of connections one after the other."""

    def __init__(self, at: Exchange, plan: Plan, interview_id: str) -> None:
        self.interview_id = interview_id
        self.plan = plan
        self.read: list[Message] = []
        """Everything that the bus said."""
        self.client: CallClient | None = None
        self.epoch = 0
        self._at = at
        self._all: list[CallClient] = []
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Caller:
        self._reading = asyncio.create_task(self._read())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._reading is not None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for client in self._all:
            await client.close()

    async def _read(self) -> None:
        async for message in self._at.host.subscribe(self.interview_id):
            self.read.append(message)

    # --- the candidate ----------------------------------------------------------------------------
    async def join(self, client: CallClient | None = None) -> Answer:
        """A new connection; whatever was there before is left as it is."""
        client = client or CallClient()
        self._all.append(client)
        answer = await self._at.host.offer(self.interview_id, await client.offer(), "offer")
        await client.accept(answer.sdp)
        await client.connected()
        self.client, self.epoch = client, answer.epoch
        return answer

    async def join_by_text(self) -> int:
        self.epoch = await self._at.host.open_text(self.interview_id)
        return self.epoch

    async def say(self, *parts: str | float) -> None:
        """Words, and seconds of silence; returns when they were sent."""
        assert self.client is not None
        sounds = [sound(part) for part in parts]
        await self.client.say(np.concatenate(sounds), RATE)

    async def type(self, text: str) -> None:
        await self._at.host.typed(self.interview_id, text)

    async def drop(self) -> None:
        """The network is gone."""
        assert self.client is not None
        await self.client.drop()

    # --- what came of it --------------------------------------------------------------------------
    async def log(self) -> list[Event]:
        return [stored.event for stored in await self._at.store.events(self.interview_id)]

    async def all(self, kind: type[E], /, **facts: object) -> list[E]:
        return select(await self.log(), kind, **facts)

    async def event(self, kind: type[E], /, n: int = 1, **facts: object) -> E:
        """The n-th such event, once it is durable."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while len(found := await self.all(kind, **facts)) < n:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no {kind.__name__} {facts}:\n{await self.story()}") from None
        return found[n - 1]

    async def asked(self, question_id: str, n: int = 1) -> None:
        """A question was put to its end, or asked for the n-th time."""
        await self.event(QuestionAsked, question_id=question_id)
        await self.event(LineSpoken, n, kind="question", question_id=question_id)

    async def told(self, after: int = 0, /, **facts: object) -> Message:
        """The first message from the n-th on with these facts, once it is there."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    for message in self.read[after:]:
                        if facts.items() <= message.items():
                            return message
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"never told {facts}:\n{self.read[-30:]}") from None

    async def ended(self) -> str:
        ended: InterviewEnded = await self.event(InterviewEnded)
        await self.told(type="state", state="ended")
        return ended.reason

    async def answers(self) -> dict[str, list[str]]:
        """What was settled, by the question that was open."""
        found: dict[str, list[str]] = {}
        question = ""
        for event in await self.log():
            if isinstance(event, QuestionAsked):
                question = event.question_id
            elif isinstance(event, TurnSettled):
                found.setdefault(question, []).append(event.text)
        return found

    async def story(self) -> str:
        """The log, for a failed test."""
        log = await self.log()
        skipped = {"at", "type", "t0", "t1", "words"}
        return "\n".join(
            f"{e.at - log[0].at:6.2f} {e.type} {e.model_dump(exclude=skipped)}" for e in log
        )

    def states(self) -> list[str]:
        return [message["state"] for message in self.read if message["type"] == "state"]


async def at_once(*talks: Coroutine[Any, Any, None]) -> None:
    """All to their end; where one fails the others end too, while their host still runs."""
    async with asyncio.TaskGroup() as group:
        for talk in talks:
            group.create_task(talk)


def select(events: Sequence[Event], kind: type[E], /, **facts: object) -> list[E]:
    return [
        event
        for event in events
        if isinstance(event, kind)
        and all(getattr(event, name) == value for name, value in facts.items())
    ]


def sound(part: str | float) -> np.ndarray:
    """Words by espeak-ng, or silence, at 16 kHz."""
    if isinstance(part, str):
        return say(part, "en-us", 165)
    return np.zeros(round(part * RATE), np.int16)


async def until(
    condition: Callable[[], object], within_s: float = 30.0, why: Callable[[], str] = str
) -> None:
    try:
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110 — any condition
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(why() or "it did not come to pass in time") from None


def census(host: CallHost) -> Counter[str]:
    """What there is of each kind. The store's readers come and stay, as their pool likes, each
    with its connection to the database; so do the interpreter's own threads."""
    tasks = [f"task {task.get_coro().__qualname__}" for task in asyncio.all_tasks(host._loop)]
    names = [thread.name for thread in threading.enumerate()]
    threads = [f"thread {n}" for n in names if not n.startswith(("asyncio_", "store-reader"))]
    links = [_opened(number) for number in os.listdir("/proc/self/fd")]
    files = [f"file {link.split(':')[0]}" for link in links if "sqlite" not in link and link]
    kept = [
        f"kept {name}" for name in ("locks", "calls", "tasks") for _ in getattr(host, f"_{name}")
    ]
    return Counter([*tasks, *threads, *files, *kept])


def _opened(number: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{number}")
    except OSError:  # the listing's own, closed by now
        return ""
