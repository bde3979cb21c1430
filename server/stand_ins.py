"""Parts that stand in for real ones: an interview with any of them is a rehearsal and decides
nothing.
"""

from __future__ import annotations

from pathlib import Path

from asr import rehearsal
from asr.models import REHEARSAL
from server.settings import Settings

MODEL = "viva-stand-in"
"""What the rehearsal's language model calls itself."""
EARS = "viva-rehearsal-whisper"
"""The recogniser that understands only the rehearsal's voices."""


def of(settings: Settings) -> tuple[str, ...]:
    """The names of those that an installation is set up with."""
    found = {settings.model, settings.grader_model} & {MODEL}
    return tuple(sorted(found | ({EARS} if hears_rehearsals(settings) else set())))


def hears_rehearsals(settings: Settings) -> bool:
    """By its name, or by its folder; in any language."""
    given = filter(None, (settings.asr_model, *settings.asr_models.values()))
    # The name alone needs no disk; a folder may be written in many ways.
    return any(one == REHEARSAL or _same(Path(one), rehearsal.MODEL_DIR) for one in given)


def _same(one: Path, other: Path) -> bool:
    return one.expanduser().resolve() == other.resolve()
