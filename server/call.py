"""One leg of an interview: a candidate's connection, the session that talks over it, and what is
written of it.

A reload, a lost network or a crash ends a leg, never the interview: the next leg is made anew from
the event log and goes on at the same question. Everything here runs on the call host's loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
from livekit import rtc
from livekit.agents import AgentSession

from agent.events import (
    STAND_INS,
    AudioMeasured,
    CallJoined,
    CallLeft,
    EndReason,
    Event,
    Incident,
    RequestMade,
    Word,
    is_rehearsal,
)
from agent.interview import Interview
from agent.interviewer import Interviewer
from agent.journal import Journal
from agent.plan import Plan
from agent.ports import Speaker
from agent.session import spoken_session, written_session
from agent.turns import Heard
from asr.gate import TurnGate
from asr.heard import HeardSegment
from asr.stt import WhisperSTT
from server.api.limits import TokenBucket
from server.api.notices import notice
from server.audio_clock import AudioClock
from server.bus import Bus
from server.clock import Clock
from server.equipment import Equipment, Unspoken
from server.media.input import RtcAudioInput
from server.media.output import RtcAudioOutput
from server.media.peer import Peer
from server.media.receiver import Hearing
from server.media.recording import Recorder
from server.microphone import Microphone

logger = logging.getLogger(__name__)

Channel = Literal["web", "phone", "text"]
LeaveReason = Literal["dropped", "hung_up", "replaced", "server_stopped"]
OnLeft = Callable[[LeaveReason | None], None]
"""Told why a leg is over; None where the interview is."""
LOOK_S = 0.5
"""How often the microphone is looked at."""
LINE_S = 0.05
"""How often a line that has stopped is looked at."""
DRAIN_S = 2.0
"""How long a leg that is over waits for the recogniser to finish what was said."""
KEYS_AT_ONCE, KEYS_PER_S = 20, 2.0
"""Of a telephone's keys more are not obeyed: each `*` is a turn in the log."""
LAST_WORD_S = 0.1
"""After so long without sound the last words of a leg that is over are cut."""


@dataclass(frozen=True)
class Leg:
    """What identifies a leg."""

    interview_id: str
    epoch: int
    channel: Channel


class Call:
    """Made by `CallHost`; `join_spoken` or `join_written` once, then `close` once."""

    def __init__(
        self,
        leg: Leg,
        plan: Plan,
        past: Sequence[Event],
        equipment: Equipment,
        bus: Bus,
        *,
        write: Callable[[Sequence[Event]], Awaitable[int]],
        on_over: Callable[[Call, LeaveReason | None], None],
    ) -> None:
        self.leg = leg
        self.interview = Interview(plan, equipment.lines(plan.language), past)
        self.ended: EndReason | None = None
        self._past = past
        self._equipment = equipment
        self._bus = bus
        self._on_over = on_over
        self._clock: Clock = equipment.clock
        self._state = "connecting"
        self._heard_clock = AudioClock()
        self._heard_s = 0.0
        self._stream_started_at = 0.0
        self._stream_base = 0.0
        """Seconds of this leg's audio before the recogniser's present stream."""
        self._joining = asyncio.Lock()
        """Held while the leg begins; nothing is closed under it."""
        self._joined = False
        self._leaving = self._hung_up = False
        self._closing: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        self._microphone = Microphone()
        self._keys = TokenBucket(KEYS_PER_S, KEYS_AT_ONCE, time.monotonic())
        self._ears: WhisperSTT | None = None
        self._gate: TurnGate | None = None
        self._peer: Peer | None = None
        self._heard_before = Hearing()
        """By the peer, before this leg: a telephone's hears for the reception, and several legs."""
        self._on_left: OnLeft | None = None
        self._heard: RtcAudioInput | None = None
        self._recorder: Recorder | None = None
        self._journal = Journal(
            self.interview,
            write,
            on_committed=self._committed,
            on_fenced=lambda: self._over("replaced"),
        )
        self._interviewer = Interviewer(
            self._journal,
            equipment.decider(plan, past, self._journal),
            Unspoken() if leg.channel == "text" else equipment.voice(plan, self._voice_changed),
            self,
            clock=self._clock,
            turn_taking=equipment.turn_taking,
            past=past,
        )

    @property
    def live(self) -> bool:
        """Whether it has begun and nothing has ended it."""
        return self._joined and self._closing is None

    # --- joining ----------------------------------------------------------------------------------
    async def join_spoken(self, peer: Peer, on_left: OnLeft | None = None) -> None:
        """Talk over a peer that is being connected. Closing the call closes it, unless somebody
        else has it, who is told why the call has left it: a telephone line goes on behind the
        interview."""
        async with self._joining:
            self._peer, self._on_left = peer, on_left
            self._heard_before = peer.hearing
            if on_left is None:
                self._stack.push_async_callback(peer.close)
            heard, played = RtcAudioInput(), RtcAudioOutput()
            heard.on_heard = self._note_heard
            heard.attach(peer)
            played.attach(peer.track)
            self._stack.callback(played.close)
            self._stack.callback(heard.close)
            self._heard = heard
            await self._record(heard, played)
            session = self._spoken()
            session.input.audio, session.output.audio = heard, played
            await self._begin(session)
            self._watch(peer)

    async def join_written(self) -> None:
        """Exchange text."""
        async with self._joining:
            await self._begin(written_session())

    def _watch(self, peer: Peer) -> None:
        peer.on_quiet(lambda: self._quiet(peer))
        peer.on_closed(lambda: self._over("dropped"))
        if peer.closed:
            self._over("dropped")
        watching = asyncio.create_task(self._mind_the_microphone(peer), name="microphone")
        self._stack.callback(watching.cancel)

    def _spoken(self) -> AgentSession[None]:
        plan = self.interview.plan
        hearing = self._equipment.hearing(plan, self._interviewer.holds_back)
        self._ears, self._gate = hearing.stt, hearing.turn_detector
        hearing.stt.on_segment(self._segment)
        return spoken_session(
            ears=hearing.stt,
            voice_activity=hearing.vad,
            turn_detector=hearing.turn_detector,
            voice=self._equipment.session_tts(plan),
            turn_taking=self._equipment.turn_taking,
        )

    async def _begin(self, session: AgentSession[None]) -> None:
        self._journal.start()
        self._stack.push_async_callback(self._journal.aclose)
        self._stack.callback(self._end_if_hung_up)
        joined = CallJoined(at=self._clock(), channel=self.leg.channel, epoch=self.leg.epoch)
        self._journal.add(joined)
        self._note_stand_ins()
        self._stack.push_async_callback(session.aclose)
        session.on("close", self._session_closed)
        if self._gate is not None:
            self._gate.attach(session)
        self._interviewer.attach(session)
        await session.start(self._interviewer, record=False)
        self._joined = True

    def _note_stand_ins(self) -> None:
        """Whoever made the interview may not have known what this server is set up with."""
        used = self._equipment.stand_ins
        if used and not is_rehearsal(self._past):
            self._journal.add(Incident(at=self._clock(), kind=STAND_INS, detail=", ".join(used)))

    async def _record(self, heard: RtcAudioInput, played: RtcAudioOutput) -> None:
        """Record both sides, if the candidate allows it; a disk that fails ends only the
        recording.
        """
        if not self.interview.recording_allowed:
            return
        self._recorder = self._equipment.recorder(self.leg.interview_id, self._recording_failed)
        recorder = self._recorder
        self._stack.push_async_callback(recorder.stop)
        await recorder.start()

        def noted(frame: rtc.AudioFrame, at: float) -> None:
            self._note_heard(frame, at)
            recorder.heard(frame, at)

        heard.on_heard = noted
        played.on_played = recorder.played

    # --- leaving ----------------------------------------------------------------------------------
    async def close(self, reason: LeaveReason | None) -> None:
        """End the leg; what was said is recognised and written first. `None` after the interview's
        end.
        """
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(reason))
        await asyncio.shield(self._closing)

    async def _close(self, reason: LeaveReason | None) -> None:
        try:
            async with self._joining:
                await self._wind_up(reason)
        finally:
            # Whoever has the line waits for it, and the caller with them, whatever failed here.
            if self._on_left is not None:
                self._on_left(reason)

    async def _wind_up(self, reason: LeaveReason | None) -> None:
        if self._ears is not None and self._heard is not None:
            self._heard.detach()  # whoever has left is not listened to
            await self._drain(self._ears)
        if self._peer is not None:
            self._measure(self._peer)
        if reason is not None and self.interview.ended is None:
            self._journal.add(CallLeft(at=self._clock(), reason=reason))
        self._hung_up = reason == "hung_up"
        await self._stack.aclose()

    def _end_if_hung_up(self) -> None:
        """Who hangs up into the last words has heard enough of them: nobody comes back for more."""
        ending = self.interview.ending
        if self._hung_up and ending is not None and self.interview.ended is None:
            self._interviewer.end(ending)

    async def _drain(self, ears: WhisperSTT) -> None:
        """Let what was said be recognised; a stream that hears nothing more cuts by itself, and the
        next leg waits for that."""
        ears.stalled_after_s = LAST_WORD_S
        await self._recognised(ears)

    async def _recognised(self, ears: WhisperSTT) -> None:
        """Wait until the recogniser has nothing open, not for long."""
        done = asyncio.Event()

        def look() -> None:
            if not (ears.pending.open or ears.pending.recognising):
                done.set()

        ears.on_change(look)
        look()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await done.wait()

    def leave(self, reason: LeaveReason) -> None:
        """Whoever has the line says that it is gone, or on hold."""
        self._over(reason)

    def _over(self, reason: LeaveReason) -> None:
        if self._closing is None and not self._leaving:
            self._leaving = True
            self._on_over(self, reason)

    def _session_closed(self, event: object) -> None:
        """LiveKit closes a session after repeated errors; the host then makes a new leg of it."""
        if self._closing is None and self.ended is None:
            logger.error("the session closed by itself: %s", event)
            self._journal.add(Incident(at=self._clock(), kind="session_closed"))
            self._over("dropped")

    # --- what the candidate does ------------------------------------------------------------------
    async def typed(self, text: str) -> None:
        await self._interviewer.typed(text)

    def typing(self) -> None:
        self._interviewer.typing()

    async def request(self, request: RequestMade) -> None:
        await self._interviewer.request(request)

    async def pressed(self, key: str) -> None:
        """A key of the telephone."""
        if not self._keys.take(time.monotonic()):
            return
        if key == "#":
            await self._finish_answer()
        else:
            await self._interviewer.pressed(key)

    async def _finish_answer(self) -> None:
        if self._ears is not None:
            self._ears.cut()
            await self._recognised(self._ears)
        await self._interviewer.finish_answer()

    def now(self) -> float:
        """Unix seconds."""
        return self._clock()

    def withdraw(self) -> None:
        """The candidate hung up on purpose."""
        self._interviewer.end("withdrawn")

    def _segment(self, heard: HeardSegment) -> None:
        clock = self._heard_clock
        if heard.stream_started_at != self._stream_started_at:
            first = not self._stream_started_at
            self._stream_started_at = heard.stream_started_at
            self._stream_base = 0.0 if first else clock.position_of(heard.stream_started_at)

        def at(position: float) -> float:
            return clock.time_of(self._stream_base + position)

        self._interviewer.heard(
            Heard(
                text=heard.text,
                t0=at(heard.start_s),
                t1=at(heard.end_s),
                confidence=heard.confidence,
                verdict=heard.verdict,
                words=tuple(
                    Word(
                        text=word.text,
                        t0=at(word.start_s),
                        t1=at(word.end_s),
                        probability=word.probability,
                    )
                    for word in heard.words
                ),
            )
        )

    # --- what is noticed --------------------------------------------------------------------------
    def _note_heard(self, frame: rtc.AudioFrame, at: float) -> None:
        self._heard_clock.note(self._heard_s, self._clock.at(at))
        self._heard_s += frame.duration
        sound = np.frombuffer(frame.data, np.int16)
        self._microphone.heard(max(int(sound.max()), -int(sound.min())))

    def _quiet(self, peer: Peer) -> None:
        """No packet for a while: the line is dead, unless there never was one, which is a
        microphone that is not there. A telephone line has no page to say so: it waits."""
        if peer.hearing.packets_arrived or self._on_left is not None:
            self._over("dropped")

    async def _mind_the_microphone(self, peer: Peer) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            missing = self._microphone.look(
                self._clock(),
                connected=peer.connected,
                packets=peer.hearing.packets_arrived,
                listening=self._state == "listening",
            )
            if missing is not None and self.live:
                said = notice(missing, self.interview.plan.language)
                self._publish({"type": "notice", "code": said.code, "text": said.text})
                self._journal.add(Incident(at=self._clock(), kind=missing))

    def _measure(self, peer: Peer) -> None:
        heard = peer.hearing.since(self._heard_before)
        self._journal.add(
            AudioMeasured(
                at=self._clock(),
                packets=heard.packets_arrived,
                lost=heard.packets_lost,
                recovered=heard.frames_recovered,
                concealed_s=heard.seconds_concealed,
            )
        )

    def _voice_changed(self, voice: str, reason: str) -> None:
        detail = f"{voice}: {reason}"
        self._journal.add(Incident(at=self._clock(), kind="voice_changed", detail=detail))

    def _recording_failed(self, reason: str) -> None:
        self._journal.add(Incident(at=self._clock(), kind="recording_stopped", detail=reason))

    # --- Observer ---------------------------------------------------------------------------------
    async def line_holds(self) -> bool:
        """A line that has stopped comes back, or counts as dead within seconds and ends the leg."""
        peer = self._peer
        if peer is None or not peer.stopped:
            return True
        while peer.stopped and self._closing is None:  # noqa: ASYNC110 - any packet changes it
            await asyncio.sleep(LINE_S)
        return self._closing is None

    def caption(self, speaker: Speaker, text: str, *, final: bool, utterance_id: str) -> None:
        self._publish(
            {
                "type": "caption",
                "speaker": speaker,
                "text": text,
                "final": final,
                "utterance_id": utterance_id,
            }
        )

    def state(self, state: str) -> None:
        if self._ears is not None:
            self._ears.agent_speaking = state == "speaking"
        if state in ("listening", "thinking", "speaking") and self.ended is None:
            self._state = state
            self.publish_state()

    def over(self, reason: EndReason) -> None:
        self.ended = reason
        if not self._leaving:
            self._leaving = True
            self._on_over(self, None)

    def publish_state(self, state: str | None = None) -> None:
        """Where the interview stands, for the candidate's page."""
        question, questions = self.interview.progress()
        stage = self.interview.stage
        now = "paused" if self._state == "listening" and self.interview.paused else self._state
        self._publish(
            {
                "type": "state",
                "state": state or now,
                "stage": stage.title if stage is not None else "",
                "practice": stage is not None and stage.kind == "practice",
                "question": question,
                "questions": questions,
                "time_left_s": round(self.interview.time_left(self._clock())),
            }
        )

    def _committed(self, events: Sequence[Event], last_seq: int) -> None:
        first = last_seq - len(events) + 1
        for seq, event in enumerate(events, first):
            self._publish(
                {
                    "type": "committed",
                    "seq": seq,
                    "event": event.type,
                    "turn_id": getattr(event, "turn_id", None),
                    "sha256": hashlib.sha256(event.model_dump_json().encode()).hexdigest(),
                }
            )

    def _publish(self, message: dict[str, object]) -> None:
        self._bus.publish(self.leg.interview_id, message)
