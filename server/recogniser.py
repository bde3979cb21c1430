"""The recogniser that the settings name: loaded here, or at the other end of VIVA_ASR_URL.

Apart from `server.wiring`, since `viva asr` needs this and must not load LiveKit.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from asr.engine import Engine
from asr.router import Router
from asr.service.client import RemoteRecogniser
from asr.service.server import Service
from asr.whisper import choose_device
from server import asr_token, speech_models, stand_ins
from server.settings import Settings, SettingsError


def load_recogniser(
    settings: Settings, *, only: str | None = None, max_wait_s: float = 8.0
) -> Engine | Router:
    """Into this process, one engine for each model; raises `asr.errors.HearingError`. `only`: what
    hears this language, and nothing else."""
    device = choose_device(settings.asr_device)
    engines: dict[str, Engine] = {}
    with ExitStack() as loaded:
        for folder, languages in speech_models.folders(settings, only).items():
            engine = loaded.enter_context(
                Engine.load(
                    folder,
                    name=speech_models.shown(folder),
                    device=device,
                    compute_type=settings.asr_compute_type or None,
                    floor_s=speech_models.floor_s(settings, folder),
                    languages=() if speech_models.OTHERS in languages else languages,
                    max_wait_s=max_wait_s,
                )
            )
            engines |= dict.fromkeys(languages, engine)
        loaded.pop_all()
    default = engines.pop(speech_models.OTHERS, None)
    return default if default and not engines else Router(default, engines)


def recogniser_of(settings: Settings) -> Engine | Router | RemoteRecogniser:
    """The one recogniser of a server's process; raises `HearingError` and `SettingsError`."""
    return connect_recogniser(settings) if settings.asr_url else load_recogniser(settings)


def connect_recogniser(settings: Settings) -> RemoteRecogniser:
    remote = RemoteRecogniser(settings.asr_url, token=asr_token.of_worker(settings))
    heard_by = {remote.model, *(one.model for one in remote.languages.values())}
    if stand_ins.EARS in heard_by and not stand_ins.hears_rehearsals(settings):
        remote.close()
        # Interviews are marked as rehearsals when they are made, which may be before any call.
        raise SettingsError(
            f"{settings.asr_url} has the rehearsal's recogniser, which understands only the"
            " rehearsal's voices: give `viva asr` another model, or set VIVA_ASR_MODEL=rehearsal"
            " here too, so that interviews are marked as rehearsals."
        )
    return remote


def serve(settings: Settings, host: str, port: int, token: str) -> None:
    """`viva asr`: blocks until a signal."""
    with load_recogniser(settings) as engine:
        asyncio.run(Service(engine, token=token, device=engine.device).run(host, port))
