"""What a call is made of, made once for the process: the recogniser, the voices, the model, the
recorder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from livekit.agents import tts, vad

from agent.events import Event
from agent.journal import Journal
from agent.plan import Plan
from agent.ports import Decider, Voice
from agent.session import TurnTaking
from asr.gate import TurnGate
from asr.stt import WhisperSTT
from prompts import Lines
from server.clock import Clock
from server.media.recording import Recorder


@dataclass(frozen=True)
class Hearing:
    """The ears of one leg."""

    stt: WhisperSTT
    vad: vad.VAD
    turn_detector: TurnGate


class Equipment(Protocol):
    """Made in `server.wiring`; tests make their own."""

    @property
    def clock(self) -> Clock: ...
    @property
    def turn_taking(self) -> TurnTaking: ...

    def lines(self, language: str) -> Lines: ...
    def decider(self, plan: Plan, past: Sequence[Event], journal: Journal) -> Decider: ...
    def voice(self, plan: Plan, on_changed: Callable[[str, str], None]) -> Voice: ...
    def session_tts(self, plan: Plan) -> tts.TTS:
        """What LiveKit takes for the session's voice; `Interviewer.tts_node` speaks by `voice`."""

    def hearing(self, plan: Plan, holds_back: Callable[[str, bool], bool]) -> Hearing: ...
    async def find_mode(self) -> None:
        """Learn how the model's server is asked for moves, if it answers."""

    async def aclose(self) -> None: ...
    def recorder(self, interview_id: str, on_failed: Callable[[str], None]) -> Recorder: ...
