"""The only place where parts are constructed: settings in, a running server out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence

import openai
import uvicorn
from livekit import rtc
from livekit.agents import inference, tts

import prompts
from agent.events import Event
from agent.grading import Grader
from agent.intents import is_thinking
from agent.interview import Interview
from agent.journal import Journal
from agent.plan import Plan
from agent.prompt import Conversation, Mode
from agent.report import Provenance
from agent.report_schema import ModelUsed
from agent.session import TurnTaking
from agent.turn import Decided, MoveTurn, TurnModel, Words, find_mode
from agent.turn_model import TurnFailed
from agent.verbatim import verbatim
from asr import rehearsal
from asr.engine import Engine
from asr.gate import TurnGate
from asr.models import REHEARSAL, default_compute_type, default_model, resolve
from asr.recognition import Recogniser
from asr.stt import WhisperSTT
from asr.whisper import FLOOR_S, choose_device
from server.api.keys import operator_key
from server.api.status import code_version
from server.app import create_app, uvicorn_options
from server.clock import Clock
from server.equipment import Hearing
from server.host import CallHost, HostSettings
from server.jobs import ReportRunner
from server.media.ice import IceSettings, PortRange, TurnServer
from server.media.recording import Recorder
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store
from server.store.engine import sqlite_url
from tts.cache import RenderedLines
from tts.chain import ReplyVoice, VoiceChain, VoiceChanged
from tts.espeak_process import EspeakProcess
from tts.voices import build

logger = logging.getLogger(__name__)

STAND_IN = "viva-stand-in"
"""The rehearsal's model calls itself this (`server.rehearsal.model.NAME`)."""
THINKING_HOLD_S = 4.0
"""The silence that "let me think" asks for by itself."""


def model_client(settings: Settings, *, grading: bool = False) -> openai.AsyncOpenAI:
    """A client of the interviewing or the grading model; one for each event loop."""
    url = (settings.grader_url if grading else "") or settings.model_url
    return openai.AsyncOpenAI(base_url=url, api_key=settings.model_api_key.get_secret_value())


def ice_settings(settings: Settings) -> IceSettings:
    turn = TurnServer(
        settings.turn_url, settings.turn_user, settings.turn_password.get_secret_value()
    )
    return IceSettings(
        media_ip=settings.media_ip or None,
        ports=PortRange(*settings.media_ports) if settings.media_ports else None,
        stun=settings.stun or None,
        turn=turn if settings.turn_url else None,
    )


def load_recogniser(settings: Settings) -> Engine:
    """The one recogniser of the process; raises `asr.errors.HearingError`."""
    device = choose_device(settings.asr_device)
    name = settings.asr_model or default_model(device)
    return Engine.load(
        resolve(name, settings.models_folder),
        device=device,
        compute_type=settings.asr_compute_type or None,
        floor_s=rehearsal.FLOOR_S if name == REHEARSAL else FLOOR_S,
    )


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


class CallEquipment:
    """What calls are made of; constructed on the call loop's side, once for the process."""

    def __init__(
        self,
        settings: Settings,
        recogniser: Recogniser,
        *,
        clock: Clock | None = None,
        turn_taking: TurnTaking | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.turn_taking = turn_taking or TurnTaking()
        self._settings = settings
        self._recogniser = recogniser
        self._client = model_client(settings)
        self._mode: Mode | None = None if settings.model_mode == "auto" else settings.model_mode
        self._cache = RenderedLines(settings.data_dir / "rendered")
        self._process = EspeakProcess()
        self._chains: dict[str, VoiceChain] = {}
        self._rendering: set[asyncio.Task[object]] = set()

    async def find_mode(self) -> None:
        """Ask the model's server once what it enforces; until it answers, function calls are
        tried.
        """
        if self._mode is None:
            try:
                self._mode = await find_mode(self._client, self._settings.model, timeout_s=20)
                logger.info("moves are asked for by %s", self._mode)
            except TurnFailed as failure:
                logger.warning(
                    "the model did not answer (%s); trying again with each call", failure
                )

    @property
    def mode(self) -> Mode | None:
        """How moves are asked for; None until the model's server has answered."""
        return self._mode

    def lines(self, language: str) -> prompts.Lines:
        return prompts.lines(language)

    def decider(self, plan: Plan, past: Sequence[Event], journal: Journal) -> SessionDecider:
        model = TurnModel(self._client, self._settings.model, mode=self._mode or "tools")
        return SessionDecider(model, plan, past, journal)

    def voice(self, plan: Plan, on_changed: Callable[[str, str], None]) -> SessionVoice:
        chain = self._chain(plan)
        session = chain.for_session()

        def changed(change: VoiceChanged) -> None:
            on_changed(change.voice, change.reason)

        session.on("voice_changed", changed)
        self._render(plan, chain)
        return SessionVoice(session)

    def session_tts(self, plan: Plan) -> tts.TTS:
        return self._chain(plan)

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
        await self._process.aclose()
        await self._client.close()

    def _chain(self, plan: Plan) -> VoiceChain:
        settings, language = self._settings, plan.language
        if language not in self._chains:
            self._chains[language] = build(
                "network" if settings.speaks_with_edge else "local",
                language,
                edge_voice=(settings.voice_zh if language == "zh" else settings.voice_en) or None,
                cache=self._cache,
                process=self._process,
            )
        return self._chains[language]

    def _render(self, plan: Plan, chain: VoiceChain) -> None:
        """Have the plan's lines ready before they are needed, by the voice that will say them."""
        lines = verbatim(plan, prompts.lines(plan.language))
        task = asyncio.create_task(self._cache.render(lines, chain.voices[0]), name="render-lines")
        self._rendering.add(task)
        task.add_done_callback(self._rendering.discard)


def provenance_of(
    settings: Settings, recogniser: Recogniser, mode: Callable[[], Mode | None]
) -> Callable[[Plan, str], Provenance]:
    """What made a report, for its readers; stand-ins are named."""

    def provenance(plan: Plan, log_hash: str) -> Provenance:
        grader = settings.grader_model or settings.model
        models = (
            ModelUsed(role="interviewer", name=settings.model),
            ModelUsed(role="grader", name=grader),
            ModelUsed(
                role="asr",
                name=recogniser.model,
                quantisation=settings.asr_compute_type or default_compute_type("cpu"),
            ),
            ModelUsed(role="tts", name="edge-tts" if settings.speaks_with_edge else "espeak-ng"),
            ModelUsed(role="vad", name="livekit-local-inference vad"),
            ModelUsed(role="turn_detector", name="livekit-local-inference v1-mini"),
        )
        stand_ins = {settings.model, grader} & {STAND_IN}
        if settings.asr_model == REHEARSAL:
            stand_ins.add("viva-rehearsal-whisper")
        return Provenance(
            models=models,
            mode=mode(),
            stand_ins=tuple(sorted(stand_ins)),
            prompt_hashes=prompts.hashes(plan.language),
            code_version=code_version(),
            event_log_hash=log_hash,
        )

    return provenance


async def run_server(settings: Settings) -> None:
    """Serve until a signal; raises what a part refuses to start with, each error a sentence."""
    store = Store(settings.database_url or sqlite_url(settings.data_dir))
    recogniser = await asyncio.to_thread(load_recogniser, settings)
    equipment: list[CallEquipment] = []

    def make_equipment() -> CallEquipment:
        equipment.append(CallEquipment(settings, recogniser))
        return equipment[0]

    client = model_client(settings, grading=True)
    reports = ReportRunner(
        store,
        lambda plan: Grader(
            client, settings.grader_model or settings.model, language=plan.language
        ),
        provenance_of(settings, recogniser, lambda: equipment[0].mode),
        owner=socket.gethostname(),
        rejoin_s=settings.rejoin_minutes * 60,
    )
    host = CallHost(
        store,
        make_equipment,
        HostSettings(max_interviews=settings.max_interviews, ice=ice_settings(settings)),
        on_ended=lambda _interview_id: reports.wake(),
    )
    host.start()
    reports.start()
    app = create_app(
        store,
        host,
        settings,
        recordings=FolderRecordings(settings.recordings_folder),
        key=operator_key(settings),
    )
    server = uvicorn.Server(
        uvicorn.Config(app, timeout_graceful_shutdown=5, **uvicorn_options(settings))
    )
    try:
        await server.serve()
    finally:
        await host.stop()
        await reports.aclose()
        await client.close()
        await asyncio.to_thread(recogniser.close)
        await store.aclose()


def serve(settings: Settings) -> None:
    """`viva serve`: blocks until a signal."""
    asyncio.run(run_server(settings))
