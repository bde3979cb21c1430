"""The only place where parts are constructed: settings in, a running server out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

import openai
import uvicorn

import prompts
from agent.events import Event, Incident
from agent.grading import Grader
from agent.plan import Plan
from agent.prompt import Mode
from agent.report import Provenance
from agent.report_schema import ModelUsed
from agent.session import TurnTaking
from asr.recognition import Recogniser, model_of
from server import stand_ins
from server.api.keys import operator_key
from server.app import WebServer, create_app, uvicorn_options
from server.equipment import Equipment
from server.host import CallHost, HostSettings
from server.jobs import ReportRunner
from server.local_voices import LocalVoices
from server.media.ice import IceSettings, PortRange
from server.media.turn import stun_url, turn_server
from server.phone.wiring import switchboard_of
from server.recogniser import recogniser_of
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store
from server.store.engine import sqlite_url
from server.version import code_version
from tts.espeak import VOICES, EspeakTTS
from tts.espeak_process import EspeakProcess
from tts.voice import voice_id

logger = logging.getLogger(__name__)

REHEARSAL_TURNS = TurnTaking(min_delay=1.2, max_delay=1.6)
"""The turn detector was not made for espeak's voice, whose pauses it takes for ends at random: a
rehearsal's answers pause for up to 0.9 s, and end by the silence behind them."""


def model_client(settings: Settings, *, grading: bool = False) -> openai.AsyncOpenAI:
    """A client of the interviewing or the grading model; one for each event loop."""
    url = (settings.grader_url if grading else "") or settings.model_url
    return openai.AsyncOpenAI(
        base_url=url,
        api_key=(settings.grader_key if grading else settings.model_api_key).get_secret_value(),
        # A proxy in the environment would carry words off the machine.
        http_client=openai.DefaultAsyncHttpxClient(trust_env=settings.privacy != "local"),
    )


def ice_settings(settings: Settings) -> IceSettings:
    return IceSettings(
        media_ip=settings.media_ip or None,
        ports=PortRange(*settings.media_ports) if settings.media_ports else None,
        stun=stun_url(settings) or None,
        turn=turn_server(settings),
    )


class Ears(Protocol):
    """What a report says of the recogniser."""

    @property
    def model(self) -> str: ...
    @property
    def compute_type(self) -> str: ...


def provenance_of(
    settings: Settings, ears: Ears, mode: Callable[[], Mode | None]
) -> Callable[[Plan, Sequence[Event], str], Provenance]:
    """What made a report, for its readers; stand-ins are named."""
    # Asked now: a report is also made when a voice's folder has gone in the meantime.
    names = {language: voice_names(settings, language) for language in VOICES}

    def provenance(plan: Plan, events: Sequence[Event], log_hash: str) -> Provenance:
        heard_by = model_of(ears, plan.language) or ears
        voices = voices_heard(names[plan.language], events)
        models = (
            ModelUsed(role="interviewer", name=settings.model),
            ModelUsed(role="grader", name=settings.grader_model or settings.model),
            ModelUsed(role="asr", name=heard_by.model, quantisation=heard_by.compute_type),
            *(ModelUsed(role="tts", name=voice) for voice in voices),
            ModelUsed(role="vad", name="livekit-local-inference vad"),
            ModelUsed(role="turn_detector", name="livekit-local-inference v1-mini"),
        )
        return Provenance(
            models=models,
            mode=mode(),
            stand_ins=stand_ins.of(settings),
            prompt_hashes=prompts.hashes(plan.language),
            code_version=code_version(),
            event_log_hash=log_hash,
        )

    return provenance


def voice_names(settings: Settings, language: str) -> tuple[str, ...]:
    """The voices of the chain, the configured one first, as its incidents name them."""
    local = LocalVoices(settings, EspeakProcess()).of(language)
    names = tuple(voice_id(voice) for voice in (*local, EspeakTTS(language)))
    if not settings.speaks_with_edge:
        return names
    from tts import edge  # only here: it loads an HTTP client

    chosen = edge.EdgeTTS(settings.edge_voice(language) or edge.VOICES[language])
    return (voice_id(chosen), *names)


def voices_heard(names: Sequence[str], events: Sequence[Event]) -> tuple[str, ...]:
    """The configured voice, and those that spoke in its place."""
    changes = [
        event.detail
        for event in events
        if isinstance(event, Incident) and event.kind == "voice_changed"
    ]
    first, *others = names
    spoke = [name for name in others if any(detail.startswith(name) for detail in changes)]
    return (first, *spoke)


class OnCallLoop:
    """The equipment, made where the calls are; the reports' loop reads only its mode."""

    def __init__(self, settings: Settings, recogniser: Recogniser) -> None:
        self._settings, self._recogniser = settings, recogniser
        self._made: Equipment | None = None

    def make(self) -> Equipment:
        hears_rehearsals = stand_ins.hears_rehearsals(self._settings)
        self._made = Equipment(
            self._settings,
            self._recogniser,
            model_client(self._settings),
            turn_taking=REHEARSAL_TURNS if hears_rehearsals else TurnTaking(),
        )
        return self._made

    def mode(self) -> Mode | None:
        return self._made.mode if self._made else None


async def run_server(settings: Settings) -> None:
    """Serve until a signal; raises what a part refuses to start with, each error a sentence."""
    store = Store(settings.database_url or sqlite_url(settings.data_dir))
    recogniser = await asyncio.to_thread(recogniser_of, settings)
    equipment = OnCallLoop(settings, recogniser)
    client = model_client(settings, grading=True)
    priority = settings.grader_priority
    extra = None if priority is None else {"priority": priority}
    reports = ReportRunner(
        store,
        lambda plan: Grader(
            client,
            settings.grader_model or settings.model,
            language=plan.language,
            extra_body=extra,
        ),
        provenance_of(settings, recogniser, equipment.mode),
        owner=socket.gethostname(),
        rejoin_s=settings.rejoin_minutes * 60,
    )
    ice = ice_settings(settings)
    host = CallHost(
        store,
        equipment.make,
        HostSettings(max_interviews=settings.max_interviews, ice=ice),
        on_ended=lambda _interview_id: reports.wake(),
        companion=switchboard_of(settings, store) if settings.phone else None,
        ears=recogniser,
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
    server = WebServer(
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
