"""A call host without media that obeys the port's rules: it needs consent, has places, and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from agent.events import CallJoined, InterviewEnded
from server.api.ports import Answer, BadOffer, Busy, NotConsented, NotLive, Over
from server.bus import Bus
from server.phone.bridge import GatewayState
from server.store import Store

KEY = "an operator's key for tests"
OPERATOR = {"Authorization": f"Bearer {KEY}"}


@dataclass(frozen=True)
class Invited:
    """A candidate of the tests."""

    interview_id: str
    token: str
    url: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


Inviting = Callable[..., Awaitable[Invited]]


class FakeHost:
    def __init__(self, store: Store, places: int = 2) -> None:
        self._store = store
        self._places = places
        self._bus = Bus()
        self.epochs: dict[str, int] = {}
        self.said: list[tuple[str, str]] = []
        self.dropped: list[str] = []

    phone: GatewayState | None = None

    @property
    def live(self) -> int:
        return len(self.epochs)

    async def offer(
        self, interview_id: str, sdp: str, type: str, channel: Literal["web", "phone"] = "web"
    ) -> Answer:
        if not sdp.startswith("v=0"):
            raise BadOffer("it is not SDP")
        return Answer("v=0 answer", "answer", await self._join(interview_id, channel))

    async def open_text(self, interview_id: str) -> int:
        return await self._join(interview_id, "text")

    async def close_text(self, interview_id: str, epoch: int) -> None:
        if self.epochs.get(interview_id) == epoch:
            del self.epochs[interview_id]

    async def typed(self, interview_id: str, text: str) -> None:
        self._check(interview_id)
        self.said.append(("typed", text))
        self.tell(interview_id, {"type": "caption", "speaker": "candidate", "text": text})

    async def typing(self, interview_id: str) -> None:
        self._check(interview_id)
        self.said.append(("typing", ""))

    async def request(self, interview_id: str, request: str) -> None:
        self._check(interview_id)
        self.said.append(("request", request))

    async def hang_up(self, interview_id: str) -> None:
        self._check(interview_id)
        epoch = self.epochs.pop(interview_id)
        ended = InterviewEnded(at=1.0, reason="withdrawn")
        await self._store.append(interview_id, epoch, [ended])
        self.tell(interview_id, {"type": "state", "state": "ended"})

    async def drop(self, interview_id: str) -> None:
        self.dropped.append(interview_id)
        self.epochs.pop(interview_id, None)
        await asyncio.sleep(0)

    def subscribe(self, interview_id: str) -> AsyncIterator[dict[str, Any]]:
        return self._bus.subscribe(interview_id)

    def tell(self, interview_id: str, message: dict[str, Any]) -> None:
        self._bus.publish(interview_id, message)

    async def _join(self, interview_id: str, channel: Literal["web", "phone", "text"]) -> int:
        record = await self._store.interview(interview_id)
        if record.status == "ended":
            raise Over(interview_id)
        if record.status == "invited":
            raise NotConsented(interview_id)
        if interview_id not in self.epochs and self.live >= self._places:
            raise Busy(self.live)
        epoch = await self._store.take_lease(interview_id, "fake")
        joined = CallJoined(at=1.0, channel=channel, epoch=epoch)
        await self._store.append(interview_id, epoch, [joined])
        self.epochs[interview_id] = epoch
        self.tell(interview_id, {"type": "state", "state": "listening"})
        return epoch

    def _check(self, interview_id: str) -> None:
        if interview_id not in self.epochs:
            raise NotLive(interview_id)
