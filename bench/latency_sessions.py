"""Real AgentSessions in real time, without a room: LiveKit's own, and ours as a call makes it.

A candidate's microphone plays an answer at the wall clock's pace; what the session decides and
what it lets sound is noted in one `Trace`, in seconds of the event loop. It judges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import openai
from livekit import rtc
from livekit.agents import Agent, AgentSession, inference, llm, stt, tts
from livekit.agents.voice import io

from agent.events import (
    ConsentRecorded,
    Disclosed,
    Event,
    InterviewCreated,
    MoveHeard,
    TurnSettled,
)
from agent.journal import Journal
from agent.plan import Plan
from agent.session import TurnTaking
from bench.human_speech import RATE, Pcm
from bench.latency_stubs import (
    Calls,
    Delays,
    Script,
    ScriptedRecogniser,
    ScriptedSTT,
    StubDecider,
    StubLLM,
    StubTTS,
    StubVoice,
)
from server.bus import Bus
from server.call import Call, LeaveReason, Leg
from server.clock import Clock
from server.equipment import Equipment
from server.media.output import RtcAudioOutput
from server.settings import Settings

FRAME = 320
"""20 ms, as WebRTC brings it."""
LOUD = 200
REPLY = "Thank you. What did you do after that?"
NEXT = REPLY.removeprefix("Thank you. ")
LONG_LINE = (
    "Before we begin let me tell you how this conversation will go what I shall ask you about "
    "and how long it takes and that you may stop me at any time whenever something is not clear "
    "to you"
)
"""One sentence of some eleven seconds, to be talked over."""


@dataclass(frozen=True)
class Setting:
    """One arm at one setting of its turn taking."""

    arm: str
    min_delay: float
    max_delay: float
    rendered: bool = False
    """Ours only: every line comes from the rendered-line cache."""

    @property
    def name(self) -> str:
        cache = ", lines rendered before" if self.rendered else ""
        return f"{self.arm}{cache} {self.min_delay:g}/{self.max_delay:g}"


@dataclass
class Trace:
    """What happened in one session."""

    began: float = 0.0
    """Loop time of the first sample that the candidate said."""
    decisions: list[float] = field(default_factory=list)
    """When a turn was taken as ended."""
    starts: list[float] = field(default_factory=list)
    """When a stretch of the agent's speech began to sound."""
    sounds: list[tuple[float, float]] = field(default_factory=list)
    """Stretches in which the agent was audible."""
    calls: Calls = field(default_factory=Calls)

    def sounded(self, begin: float, end: float) -> None:
        if self.sounds and begin - self.sounds[-1][1] < 0.005:
            self.sounds[-1] = (self.sounds[-1][0], end)
        else:
            self.sounds.append((begin, end))


class Microphone(io.AudioInput):
    """Plays at the clock's pace whatever it is given, and a room's hiss between."""

    def __init__(self) -> None:
        super().__init__(label="microphone")
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.time()
        self._pcm = np.zeros(0, np.int16)
        noise = np.random.default_rng(7).normal(0, 6, RATE)
        self._hiss = np.asarray(np.round(noise), np.int16)
        self.on_heard: Callable[[rtc.AudioFrame, float], None] | None = None

    def say(self, pcm: Pcm) -> float:
        """Begin now; the loop time of its first sample."""
        self._pcm = pcm
        return self._next

    async def __anext__(self) -> rtc.AudioFrame:
        begin = self._next
        self._next += FRAME / RATE
        # A frame is there when its last sample has been said; after a lag they come at once.
        await asyncio.sleep(max(0.0, self._next - self._loop.time()))
        piece, self._pcm = self._pcm[:FRAME], self._pcm[FRAME:]
        rest = FRAME - len(piece)
        at = int(begin * 50) % 49 * FRAME
        sound = np.concatenate((piece, self._hiss[at : at + rest]))
        frame = rtc.AudioFrame(sound.tobytes(), RATE, 1, FRAME)
        if self.on_heard is not None:
            self.on_heard(frame, begin)
        return frame


class Loudspeaker:
    """Our call's own audio output, played to nobody in the same time; every arm has one."""

    def __init__(self, trace: Trace) -> None:
        self.output = RtcAudioOutput()
        self.output.detach()
        self.output.on_played = self._played
        self.output.on("playback_started", self._started)
        self._trace = trace
        self._loop = asyncio.get_running_loop()

    def _played(self, frame: rtc.AudioFrame, at: float) -> None:
        if np.abs(np.frombuffer(frame.data, np.int16)).max() > LOUD:
            self._trace.sounded(at, at + frame.duration)

    def _started(self, event: object) -> None:
        self._trace.starts.append(self._loop.time())


@dataclass
class Talk:
    """A session that runs."""

    trace: Trace
    microphone: Microphone

    def say(self, pcm: Pcm) -> None:
        self.trace.began = self.microphone.say(pcm)


@asynccontextmanager
async def talk(
    setting: Setting,
    delays: Delays,
    folder: Path,
    *,
    words: str | None = None,
    opening: str = "Welcome.",
) -> AsyncIterator[Talk]:
    """A session of the setting's arm that has begun its opening line. `words`: all that its
    recogniser ever hears."""
    open_session = _ours if setting.arm == OURS else _livekits
    async with open_session(setting, delays, folder, Script(words), opening) as running:
        yield running


# LiveKit's.

DEFAULT = "livekit"
"""As it comes."""
TUNED = "livekit tuned"
"""Recognition after 0.2 s of silence, no delay of its own, preemptive generation and voice. The
session's own VAD stays at 0.25 s: with 0.2 s LiveKit refuses to run its turn detector."""
LIFTED = "livekit tuned, no limits"
"""And preemptive generation in answers of any length, as often as there is a pause."""
SILENCE = "livekit tuned, VAD alone"
"""As tuned, with 0.2 s for the session too, which leaves it without a turn detector."""
OURS = "ours"
ARMS = (DEFAULT, TUNED, LIFTED, SILENCE, OURS)


class Replier(Agent):
    """Notes when its turn has come, and leaves the rest to LiveKit."""

    def __init__(self, trace: Trace, opening: str) -> None:
        super().__init__(instructions="")
        self._trace, self._opening = trace, opening

    async def on_enter(self) -> None:
        self.session.say(self._opening)

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        self._trace.decisions.append(asyncio.get_running_loop().time())


def turn_handling(setting: Setting) -> dict[str, Any]:
    """What each of LiveKit's arms changes of LiveKit's defaults."""
    handling: dict[str, Any] = {
        # Named, since the defaults would pick the cloud's where LIVEKIT_DEV_MODE is set.
        "turn_detection": "vad"
        if setting.arm == SILENCE
        else inference.TurnDetector(version="v1-mini"),
        "interruption": {"mode": "vad"},
        "endpointing": {"min_delay": setting.min_delay, "max_delay": setting.max_delay},
    }
    if setting.arm != DEFAULT:
        handling["preemptive_generation"] = {"enabled": True, "preemptive_tts": True}
    if setting.arm == LIFTED:
        handling["preemptive_generation"] |= {"max_speech_duration": 600.0, "max_retries": 100}
    return handling


@asynccontextmanager
async def _livekits(
    setting: Setting, delays: Delays, folder: Path, script: Script, opening: str
) -> AsyncIterator[Talk]:
    trace = Trace()
    ears: stt.STT = ScriptedSTT(delays, trace.calls, script)
    if setting.arm != DEFAULT:
        ears = stt.StreamAdapter(stt=ears, vad=inference.VAD(min_silence_duration=0.2))
    session: AgentSession[None] = AgentSession(
        stt=ears,
        vad=inference.VAD(min_silence_duration=0.2 if setting.arm == SILENCE else 0.25),
        llm=StubLLM(delays, trace.calls, REPLY),
        tts=StubTTS(delays, trace.calls),
        turn_handling=turn_handling(setting),  # type: ignore[arg-type]
        user_away_timeout=None,
        session_close_transcript_timeout=0.0,
    )
    microphone, loudspeaker = Microphone(), Loudspeaker(trace)
    session.input.audio, session.output.audio = microphone, loudspeaker.output
    await session.start(Replier(trace, opening), record=False)
    try:
        yield Talk(trace, microphone)
    finally:
        await session.aclose()
        loudspeaker.output.close()
        trace.calls.heard = max(0, len(trace.starts) - 1)


# Ours.


class BenchEquipment(Equipment):
    """A call's own equipment but for recogniser, model and voice."""

    def __init__(
        self, setting: Setting, delays: Delays, folder: Path, script: Script, calls: Calls
    ) -> None:
        super().__init__(
            Settings(data_dir=folder, privacy="local"),
            ScriptedRecogniser(delays, calls, script),
            _nobody(),
            clock=Clock(),
            turn_taking=TurnTaking(
                min_delay=setting.min_delay,
                max_delay=setting.max_delay,
                patience_cap=setting.max_delay,
            ),
        )
        self._setting, self._delays, self._calls = setting, delays, calls

    def decider(self, plan: Plan, past: Sequence[Event], journal: Journal) -> Any:
        return StubDecider(self._delays, self._calls)

    def voice(self, plan: Plan, on_changed: Callable[[str, str], None]) -> Any:
        return StubVoice(self._delays, self._calls, rendered=self._setting.rendered)

    def session_tts(self, plan: Plan) -> tts.TTS:
        return StubTTS(self._delays, self._calls)


class BenchCall(Call):
    """A leg whose peer is a microphone and a loudspeaker in memory."""

    async def join_bench(self, microphone: Microphone, loudspeaker: Loudspeaker) -> None:
        microphone.on_heard = self._note_heard
        session = self._spoken()
        session.input.audio, session.output.audio = microphone, loudspeaker.output
        await self._begin(session)


@asynccontextmanager
async def _ours(
    setting: Setting, delays: Delays, folder: Path, script: Script, opening: str
) -> AsyncIterator[Talk]:
    trace = Trace()
    equipment = BenchEquipment(setting, delays, folder, script, trace.calls)
    plan = plan_of(opening)
    written = 0

    async def write(events: Sequence[Event]) -> int:
        nonlocal written
        await asyncio.sleep(delays.commit)
        for event in events:
            if isinstance(event, TurnSettled):
                trace.decisions.append(event.at - equipment.clock.at(0.0))
            trace.calls.heard += isinstance(event, MoveHeard)
        written += len(events)
        return written

    def over(call: Call, reason: LeaveReason | None) -> None:
        del call, reason  # a bench's call ends with its block

    past = consented(plan, equipment.clock())
    call = BenchCall(
        Leg("bench", 1, "web"), plan, past, equipment, Bus(), write=write, on_over=over
    )
    microphone, loudspeaker = Microphone(), Loudspeaker(trace)
    await call.join_bench(microphone, loudspeaker)
    try:
        yield Talk(trace, microphone)
    finally:
        await call.close("dropped")
        loudspeaker.output.close()
        await equipment.aclose()


def consented(plan: Plan, now: float) -> tuple[Event, ...]:
    """The candidate has been told and has agreed, so that the call begins with the greeting."""
    return (
        InterviewCreated(
            at=now,
            interview_id="bench",
            plan_id=plan.plan_id,
            plan_version=plan.version,
            plan_hash=plan.hash,
            language=plan.language,
        ),
        *(Disclosed(at=now, version="d1", method=how) for how in ("page", "spoken")),
        ConsentRecorded(at=now, interview=True, recording=False, version="c1", method="click"),
    )


def plan_of(greeting: str) -> Plan:
    """Questions without end, no think time, a silence ladder that is out of reach."""
    questions = [
        {"id": f"q{i}", "text": NEXT, "rephrase": NEXT, "max_probes": 0, "think_time_s": 0}
        for i in range(80)
    ]
    return Plan.model_validate(
        {
            "plan_id": "bench",
            "version": "1",
            "language": "en",
            "title": "Bench",
            "job": {"title": "Engineer", "level": "mid"},
            "stages": [
                {"id": "work", "kind": "technical", "title": "Work", "questions": questions},
                {"id": "closing", "kind": "closing", "title": "Closing", "scored": False},
            ],
            "policy": {
                "disclosure": "I am an AI.",
                "disclosure_version": "d1",
                "greeting": greeting,
                "closing_line": "Goodbye.",
                "consent": {"version": "c1", "text": "Consent.", "recording_text": "Recording."},
                "escalation_contact": "the front desk",
                "total_time_s": 36000,
                "wrap_up_s": 1,
                "silence_ladder_s": (600.0, 700.0, 800.0),
            },
        }
    )


def _nobody() -> openai.AsyncOpenAI:
    """A client that is never asked."""
    return openai.AsyncOpenAI(base_url="http://127.0.0.1:9/v1", api_key="none")
