"""What a call is made of, made once for the process: the recogniser, the voices, the model, the
recorder.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import openai
from livekit import rtc
from livekit.agents import APIError, inference, tts, vad

import prompts
from agent.events import Event
from agent.intents import is_thinking
from agent.interview import Interview
from agent.journal import Journal
from agent.plan import Plan
from agent.prompt import Conversation, Mode
from agent.session import TurnTaking
from agent.turn import Decided, MoveTurn, TurnModel, Words, find_mode
from agent.turn_model import BadMove, TurnFailed
from agent.verbatim import verbatim
from asr.gate import TurnGate
from asr.recognition import Recogniser
from asr.stt import WhisperSTT
from server import stand_ins
from server.clock import Clock
from server.local_voices import LocalVoices
from server.media.recording import Recorder
from server.settings import Settings
from tts.cache import RenderedLines
from tts.chain import ReplyVoice, VoiceChain, VoiceChanged
from tts.espeak_process import EspeakProcess
from tts.voice import speak, voice_id
from tts.voices import Language, build

logger = logging.getLogger(__name__)

ASK_AGAIN_S = 15.0
NO_MODEL = (
    "%s at %s does not answer: %s. Interviews go on by the plan's order without it, and reports"
    " have no scores. Start it, or name another with VIVA_MODEL_URL and VIVA_MODEL; `viva doctor`"
    " tries it."
)
NO_VOICE = (
    "%s does not speak: %s. Until it does, each sentence is said by the voice behind it, %s."
    " `viva doctor` tries it; with VIVA_PRIVACY=local it is not asked."
)
TRY_S = 15.0
TRIED: dict[Language, str] = {"en": "Hello.", "zh": "你好"}
"""What a voice of the network is to say at the start."""
THINKING_HOLD_S = 4.0
"""The silence that "let me think" asks for by itself."""


@dataclass(frozen=True)
class Hearing:
    """The ears of one leg."""

    stt: WhisperSTT
    vad: vad.VAD
    turn_detector: TurnGate


class SessionVoice:
    """One call's voice: a line of the cache or of the chain, one voice for a whole reply."""

    def __init__(self, chain: VoiceChain) -> None:
        self._chain = chain
        self._replies: dict[str, ReplyVoice] = {}

    async def speak(self, text: str, reply_id: str) -> AsyncIterator[rtc.AudioFrame]:
        reply = self._replies.get(reply_id)
        if reply is None:
            # A speculative reply and the one that is heard may overlap; older ones are over.
            self._replies = dict(list(self._replies.items())[-3:])
            reply = self._replies[reply_id] = self._chain.reply()
        async with reply.synthesize(text) as stream:
            async for event in stream:
                yield event.frame


class Unspoken:
    """The voice of a written interview: nothing is rendered, nothing sent to a voice service."""

    async def speak(self, text: str, reply_id: str) -> AsyncIterator[rtc.AudioFrame]:
        """No frames."""
        return
        yield


class SessionDecider:
    """One call's model: its conversation grows with the journal."""

    def __init__(self, model: TurnModel, plan: Plan, past: Sequence[Event], journal: Journal):
        self._conversation = Conversation(plan, model.mode, past)
        self._turn = MoveTurn(model, self._conversation)
        journal.on_added = self._conversation.extend

    def decide(
        self, interview: Interview, at: float, turn_ended: asyncio.Event
    ) -> AsyncIterator[Words | Decided]:
        return self._turn.decide(interview, at, turn_ended)


class Equipment:
    """What calls are made of; constructed on the call loop's side, once for the process."""

    def __init__(
        self,
        settings: Settings,
        recogniser: Recogniser,
        client: openai.AsyncOpenAI,
        *,
        clock: Clock | None = None,
        turn_taking: TurnTaking | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.turn_taking = turn_taking or TurnTaking()
        self._settings = settings
        self._recogniser = recogniser
        self._client = client
        self._mode: Mode | None = None if settings.model_mode == "auto" else settings.model_mode
        self._cache = RenderedLines(settings.data_dir / "rendered")
        self._process = EspeakProcess()
        self._local = LocalVoices(settings, self._process)
        self._chains: dict[str, VoiceChain] = {}
        self._rendering: set[asyncio.Task[object]] = set()

    async def find_mode(self, *, ask_again_s: float = ASK_AGAIN_S) -> None:
        """Ask the model's server what it enforces, again until it answers; meanwhile function calls
        are tried.
        """
        model, url = self._settings.model, self._settings.model_url
        told = False
        while self._mode is None:
            try:
                self._mode = await find_mode(self._client, model, timeout_s=20)
                logger.info("%s at %s answers: moves are asked for by %s", model, url, self._mode)
            except BadMove as failure:
                logger.warning("%s at %s answers, but %s. See docs/model.md.", model, url, failure)
                return
            except TurnFailed as failure:
                if not told:
                    logger.warning(NO_MODEL, model, url, failure)
                told = True
                await asyncio.sleep(ask_again_s)

    async def try_voices(self) -> None:
        """Say once which voices of the network answer; nothing waits for it. Asks nobody where what
        is spoken stays on this machine."""
        if not self._settings.speaks_with_edge:
            return
        for language, text in TRIED.items():
            voice, behind = self._chain(language).voices[:2]
            try:
                async with asyncio.timeout(TRY_S):
                    async for _ in speak(voice, text):
                        pass
                logger.info("%s speaks", voice_id(voice))
            except (APIError, TimeoutError, OSError) as error:
                why = str(error) or type(error).__name__
                logger.warning(NO_VOICE, voice_id(voice), why, voice_id(behind))

    async def warm_up(self) -> None:
        """Load what speaks, so that the first interview's first word does not wait for it."""
        await self._local.start()

    @property
    def stand_ins(self) -> tuple[str, ...]:
        """Parts that make a rehearsal of whatever is held with them."""
        return stand_ins.of(self._settings)

    @property
    def mode(self) -> Mode | None:
        """How moves are asked for; None until the model's server has answered."""
        return self._mode

    def lines(self, language: str) -> prompts.Lines:
        """The stock lines of a language."""
        return prompts.lines(language)

    def decider(self, plan: Plan, past: Sequence[Event], journal: Journal) -> SessionDecider:
        model = TurnModel(self._client, self._settings.model, mode=self._mode or "tools")
        return SessionDecider(model, plan, past, journal)

    def voice(self, plan: Plan, on_changed: Callable[[str, str], None]) -> SessionVoice:
        chain = self._chain(plan.language)
        session = chain.for_session()

        def changed(change: VoiceChanged) -> None:
            on_changed(change.voice, change.reason)

        session.on("voice_changed", changed)
        self._render(verbatim(plan, prompts.lines(plan.language)), chain)
        return SessionVoice(session)

    def reception_voice(self, language: Language, lines: Sequence[str]) -> SessionVoice:
        """Who speaks to a caller before the interview; `lines` are made ready."""
        chain = self._chain(language)
        self._render(lines, chain)
        return SessionVoice(chain.for_session())

    @property
    def recogniser(self) -> Recogniser:
        return self._recogniser

    def session_tts(self, plan: Plan) -> tts.TTS:
        """What LiveKit takes for the session's voice; `Interviewer.tts_node` speaks by `voice`."""
        return self._chain(plan.language)

    def hearing(self, plan: Plan, holds_back: Callable[[str, bool], bool]) -> Hearing:
        ears = WhisperSTT(
            self._recogniser,
            language=plan.language,
            hotwords=plan.terms,
            is_backchannel=holds_back,
        )
        gate = TurnGate(
            # Named: the default picks the cloud's detector when LIVEKIT_DEV_MODE is set.
            inference.TurnDetector(version="v1-mini"),
            ears,
            extra_hold=lambda text: THINKING_HOLD_S if is_thinking(text) else 0.0,
        )
        return Hearing(ears, inference.VAD(), gate)

    def recorder(self, interview_id: str, on_failed: Callable[[str], None]) -> Recorder:
        folder = self._settings.recordings_folder / interview_id
        return Recorder(folder, on_failed=on_failed)

    async def aclose(self) -> None:
        for task in self._rendering:
            task.cancel()
        await asyncio.gather(*self._rendering, return_exceptions=True)
        for chain in self._chains.values():
            await chain.aclose()
        await self._local.aclose()
        await self._process.aclose()
        await self._client.close()

    def _chain(self, language: Language) -> VoiceChain:
        settings = self._settings
        if language not in self._chains:
            self._chains[language] = build(
                "network" if settings.speaks_with_edge else "local",
                language,
                local=self._local.of(language),
                edge_voice=settings.edge_voice(language) or None,
                cache=self._cache,
                process=self._process,
            )
        return self._chains[language]

    def _render(self, lines: Sequence[str], chain: VoiceChain) -> None:
        """Have lines ready before they are needed, by the voice that will say them."""
        task = asyncio.create_task(self._cache.render(lines, chain.voices[0]), name="render-lines")
        self._rendering.add(task)
        task.add_done_callback(self._rendering.discard)
