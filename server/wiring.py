"""The only place where parts are constructed: settings in, a running server out."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

import openai
import uvicorn

import prompts
from agent.grading import Grader
from agent.plan import Plan
from agent.prompt import Mode
from agent.report import Provenance
from agent.report_schema import ModelUsed
from agent.session import TurnTaking
from asr import rehearsal
from asr.engine import Engine
from asr.models import REHEARSAL, default_compute_type, default_model, resolve
from asr.recognition import Recogniser
from asr.whisper import FLOOR_S, choose_device
from server.api.keys import operator_key
from server.app import WebServer, create_app, uvicorn_options
from server.equipment import Equipment
from server.host import CallHost, HostSettings
from server.jobs import ReportRunner
from server.media.ice import IceSettings, PortRange, TurnServer
from server.recordings import FolderRecordings
from server.settings import Settings
from server.store import Store
from server.store.engine import sqlite_url
from server.version import code_version

logger = logging.getLogger(__name__)

REHEARSAL_TURNS = TurnTaking(min_delay=1.2, max_delay=1.6)
"""The turn detector was not made for espeak's voice, whose pauses it takes for ends at random: a
rehearsal's answers pause for up to 0.9 s, and end by the silence behind them."""

STAND_IN = "viva-stand-in"
"""The rehearsal's model calls itself this (`server.rehearsal.model.NAME`)."""


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
        floor_s=window_s(settings),
    )


def window_s(settings: Settings) -> float:
    """The recogniser's shortest window."""
    return settings.asr_window_s or (
        rehearsal.FLOOR_S if settings.asr_model == REHEARSAL else FLOOR_S
    )


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
    equipment: list[Equipment] = []

    def make_equipment() -> Equipment:
        turns = REHEARSAL_TURNS if settings.asr_model == REHEARSAL else TurnTaking()
        client = model_client(settings)
        equipment.append(Equipment(settings, recogniser, client, turn_taking=turns))
        return equipment[0]

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
