"""What the web application needs of the parts behind it: the call host's message port, recordings.

`server.host.CallHost` is the real host; tests have one of their own that obeys the same rules. All
methods are called from the web application's loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from server.media.errors import BadOffer
from server.phone.bridge import GatewayState

__all__ = [
    "Answer",
    "BadOffer",
    "Busy",
    "Host",
    "HostError",
    "NotConsented",
    "NotLive",
    "Over",
    "Recordings",
]


class HostError(Exception):
    """The host refuses; nothing has changed."""


class Busy(HostError):
    """As many interviews are live as this server holds; its argument is how many."""


class NotConsented(HostError):
    """The candidate has not yet agreed to be interviewed."""


class NotLive(HostError):
    """No call of this interview is connected."""


class Over(HostError):
    """The interview has ended."""


@dataclass(frozen=True)
class Answer:
    """The answer to a WebRTC offer."""

    sdp: str
    type: str
    epoch: int


class Host(Protocol):
    """Every live call, behind one message port."""

    @property
    def live(self) -> int: ...
    @property
    def phone(self) -> GatewayState | None:
        """How the telephone does; None where there is none."""

    async def offer(
        self, interview_id: str, sdp: str, type: str, channel: Literal["web", "phone"] = "web"
    ) -> Answer:
        """Join, or rejoin, by WebRTC. Raises `Busy`, `BadOffer`, `NotConsented`, `Over`."""

    async def open_text(self, interview_id: str) -> int:
        """Join without a microphone; returns the epoch. Raises as `offer`."""

    async def close_text(self, interview_id: str, epoch: int) -> None:
        """The socket of a text call is gone; nothing happens where a newer leg has begun."""

    async def typed(self, interview_id: str, text: str) -> None:
        """A typed answer. Raises `NotLive`."""

    async def typing(self, interview_id: str) -> None:
        """A typed answer is being written. Raises `NotLive`."""

    async def request(self, interview_id: str, request: str) -> None:
        """A button. Raises `NotLive`."""

    async def hang_up(self, interview_id: str) -> None:
        """The candidate ends the interview for good. Raises `NotLive`."""

    async def drop(self, interview_id: str) -> None:
        """End the call, if there is one, and leave the interview as it is: its invite was revoked
        or its words are to be erased. When this returns the call writes and records no more."""

    def subscribe(self, interview_id: str) -> AsyncIterator[dict[str, Any]]:
        """Messages from now on, the last known state first."""


class Recordings(Protocol):
    """Where the audio of interviews lies."""

    async def audio(self, interview_id: str) -> Path | None:
        """One file with the whole interview; None if nothing was recorded."""

    async def started_at(self, interview_id: str) -> float | None:
        """When that file begins, in Unix seconds."""

    async def erase(self, interview_id: str) -> None:
        """Remove every file of the interview, temporary ones included."""
