"""The recogniser that the settings name: loaded here, or at the other end of VIVA_ASR_URL.

Apart from `server.wiring`, since `viva asr` needs this and must not load LiveKit.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from asr import rehearsal
from asr.engine import Engine
from asr.models import default_model, resolve
from asr.service.client import RemoteRecogniser
from asr.service.server import Service
from asr.whisper import FLOOR_S, choose_device
from server import asr_token, stand_ins
from server.settings import Settings, SettingsError


def load_recogniser(settings: Settings) -> Engine:
    """Into this process; raises `asr.errors.HearingError`."""
    device = choose_device(settings.asr_device)
    name = settings.asr_model or default_model(device)
    return Engine.load(
        resolve(name, settings.models_folder),
        name=stand_ins.EARS if stand_ins.hears_rehearsals(settings) else Path(name).name,
        device=device,
        compute_type=settings.asr_compute_type or None,
        floor_s=window_s(settings),
    )


def window_s(settings: Settings) -> float:
    """The recogniser's shortest window."""
    default = rehearsal.FLOOR_S if stand_ins.hears_rehearsals(settings) else FLOOR_S
    return settings.asr_window_s or default


def recogniser_of(settings: Settings) -> Engine | RemoteRecogniser:
    """The one recogniser of a server's process; raises `HearingError` and `SettingsError`."""
    return connect_recogniser(settings) if settings.asr_url else load_recogniser(settings)


def connect_recogniser(settings: Settings) -> RemoteRecogniser:
    remote = RemoteRecogniser(settings.asr_url, token=asr_token.of_worker(settings))
    if remote.model == stand_ins.EARS and not stand_ins.hears_rehearsals(settings):
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
    device = choose_device(settings.asr_device)
    with load_recogniser(settings) as engine:
        asyncio.run(Service(engine, token=token, device=device).run(host, port))
