"""Which speech models the settings ask for, and where they lie: no network, nothing loaded."""

from __future__ import annotations

from pathlib import Path

from asr import models, rehearsal
from server import stand_ins
from server.settings import Settings

LANGUAGES = ("en", "zh")
"""Of interviews. Where each has a model of its own, none for others is loaded unasked."""
OTHERS = ""
"""The languages that have no model of their own."""


def names(settings: Settings, only: str | None = None) -> dict[str, str]:
    """A name or a folder for each language that has one of its own, and first for `OTHERS`; or for
    one language alone."""
    own = settings.asr_models
    if only is not None:
        return {only: own.get(only) or settings.asr_model or _fitting(settings)}
    if settings.asr_model or not all(language in own for language in LANGUAGES):
        return {OTHERS: settings.asr_model or _fitting(settings), **own}
    return dict(own)


def folders(settings: Settings, only: str | None = None) -> dict[Path, list[str]]:
    """Each model's folder and the languages it is for; raises `HearingError`."""
    found: dict[Path, list[str]] = {}
    for language, name in names(settings, only).items():
        folder = models.resolve(name, settings.models_folder)
        same = next((one for one in found if one.samefile(folder)), folder)
        found.setdefault(same, []).append(language)
    return found


def shown(folder: Path) -> str:
    """What a report and a log call it."""
    if folder.samefile(rehearsal.MODEL_DIR):
        return stand_ins.EARS
    return folder.resolve().name


def floor_s(settings: Settings, folder: Path) -> float | None:
    """The shortest window that is set; None leaves it to what was measured for the model."""
    if settings.asr_window_s is None and folder.samefile(rehearsal.MODEL_DIR):
        return rehearsal.FLOOR_S
    return settings.asr_window_s


def _fitting(settings: Settings) -> str:
    from asr.whisper import choose_device  # heavy: it loads CTranslate2

    return models.default_model(choose_device(settings.asr_device))
