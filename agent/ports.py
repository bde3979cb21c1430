"""What the interviewer needs of others, whom it must not import: a chooser of moves, a voice, a
watcher."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal, Protocol

from livekit import rtc

from agent.events import EndReason
from agent.interview import Interview
from agent.turn import Decided, Words

Speaker = Literal["candidate", "interviewer"]


class Decider(Protocol):
    """Chooses the move for a settled turn."""

    def decide(
        self, interview: Interview, at: float, turn_ended: asyncio.Event
    ) -> AsyncIterator[Words | Decided]:
        """Checked words as they are released, then the decision. Never raises but for
        cancellation."""


class Voice(Protocol):
    """Speaks lines, from the rendered-line cache or by a voice."""

    def speak(self, text: str, reply_id: str) -> AsyncIterator[rtc.AudioFrame]:
        """Frames of one line; one voice for all lines of a reply. Raises only if no voice works."""


class Observer(Protocol):
    """Who watches the call: the candidate's page, the operator's view. Called on the call's
    loop."""

    def caption(self, speaker: Speaker, text: str, *, final: bool, utterance_id: str) -> None: ...

    def state(self, state: str) -> None:
        """LiveKit's agent state has changed."""

    async def line_holds(self) -> bool:
        """Whether the candidate was still there to be heard when a turn seemed to end; waits while
        nothing comes and it is not known why."""

    def over(self, reason: EndReason) -> None:
        """The interview has ended; its closing words were said."""
