"""An AgentSession tuned for interviews: on-device turn taking, speculative replies, and nothing of
the cloud's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from livekit.agents import AgentSession, llm, stt, tts, vad
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS, NOT_GIVEN, APIConnectOptions
from livekit.agents.voice.turn import _StreamingTurnDetector


@dataclass(frozen=True)
class TurnTaking:
    """When a turn is over and what interrupts. Seconds."""

    min_delay: float = 0.8
    """The least silence before an answer may be taken as finished. Against 0.5 it takes a third off
    the false cut-offs and adds 0.05 s to the wait, for the reply is made meanwhile
    (docs/benchmarks.md)."""
    max_delay: float = 2.5
    """The silence after which it is, whatever the turn detector thinks; a question's think time
    may raise it (`patience_after`)."""
    patience_cap: float = 5.0
    """No think time raises `max_delay` beyond this: more is the silence ladder's."""
    barge_in: float = 0.6
    """Speech of this length stops the interviewer's voice; a "mm-hmm" is shorter, even with the
    tenth of a second that the voice activity detector adds."""
    false_interruption: float = 1.5
    """After a stop without words the voice goes on."""

    def patience_after(self, think_time: float) -> float:
        """`max_delay` while a question with this think time is open."""
        return min(max(self.max_delay, think_time), self.patience_cap)


class NoModel(llm.LLM):
    """Stands where LiveKit wants an LLM; the interviewer's `llm_node` never asks it."""

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[Any] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: Any = NOT_GIVEN,
        tool_choice: Any = NOT_GIVEN,
        extra_kwargs: Any = NOT_GIVEN,
    ) -> llm.LLMStream:
        raise NotImplementedError("moves are decided in Interviewer.llm_node")


def spoken_session(
    *,
    ears: stt.STT,
    voice_activity: vad.VAD,
    turn_detector: _StreamingTurnDetector,
    voice: tts.TTS,
    turn_taking: TurnTaking,
) -> AgentSession[None]:
    """A session that hears and speaks; its audio input and output are set by the caller."""
    return AgentSession(
        stt=ears,
        vad=voice_activity,
        llm=NoModel(),
        tts=voice,
        turn_handling={
            # Given as an object: by name, or in LIVEKIT_DEV_MODE, LiveKit would pick its cloud's.
            "turn_detection": turn_detector,
            "endpointing": {
                "mode": "fixed",
                "min_delay": turn_taking.min_delay,
                "max_delay": turn_taking.max_delay,
            },
            "interruption": {
                "mode": "vad",  # unset, dev mode would pick the cloud's adaptive detector
                "min_duration": turn_taking.barge_in,
                "resume_false_interruption": True,
                "false_interruption_timeout": turn_taking.false_interruption,
                # A cut-in is not interruptible, and the end of the answer under it must be heard.
                "discard_audio_if_uninterruptible": False,
            },
            # Interview answers are long and paused in: the defaults (10 s, 3 tries) would never
            # speculate on one. `llm_node` waits for quiet, so tries cost nothing by themselves.
            "preemptive_generation": {
                "enabled": True,
                "preemptive_tts": True,
                "max_speech_duration": 600.0,
                "max_retries": 100,
            },
        },
        tts_text_transforms=None,  # parts are matched to their words
        user_away_timeout=None,  # the silence ladder is ours
        aec_warmup_duration=None,  # it would feed the recogniser silence while the candidate speaks
        session_close_transcript_timeout=0.0,
    )


def written_session() -> AgentSession[None]:
    """A session without a microphone: answers are typed, lines are read."""
    return AgentSession(
        vad=None,
        llm=NoModel(),
        turn_handling={"turn_detection": "manual", "preemptive_generation": {"enabled": False}},
        user_away_timeout=None,
        session_close_transcript_timeout=0.0,
    )
