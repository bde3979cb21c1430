"""Which window is right for a model, as `viva models check` has measured it: kept beside it."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

logger = logging.getLogger(__name__)

FILE = "viva-check.json"
SHORTEST_S, LONGEST_S = 5.0, 30.0


class _Measured(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Window(_Measured):
    """Everything said, in windows of at least this length."""

    window_s: int
    disagreement: float
    """Words that differ from what the model hears in 30 s, as a share of those."""
    error_rate: float | None
    """Words that differ from what was said; null without a transcript."""
    seconds: float
    """To recognise a piece, on average."""
    cost: float
    """The same, as a share of what 30 s take."""


class Margin(_Measured):
    """Everything said, in windows that end so long after it."""

    margin_s: float
    disagreement: float


class LanguageCheck(_Measured):
    language: str
    unit: Literal["word", "character"]
    pieces: int
    units: int
    """Words or characters that the model hears in 30 s."""
    windows: tuple[Window, ...]
    margins: tuple[Margin, ...]
    floor_s: float | None = Field(default=None, ge=SHORTEST_S, le=LONGEST_S)
    """The shortest window to use; null where this speech cannot tell."""
    reason: str


class ModelCheck(_Measured):
    model: str
    bytes: int
    """Of `model.bin`, so that the record is not taken for another model's."""
    compute_type: str
    device: str
    speech: str
    """What was listened to."""
    tolerance: float
    languages: tuple[LanguageCheck, ...]

    @property
    def floors(self) -> dict[str, float]:
        return {one.language: one.floor_s for one in self.languages if one.floor_s is not None}


def recorded_floors(model_dir: Path) -> Mapping[str, float]:
    """The shortest window of each language that was measured; empty where none was.

    A record that cannot be used costs time, and no start: it is named in the log, and left aside.
    """
    file = model_dir / FILE
    try:
        record = ModelCheck.model_validate_json(file.read_bytes())
        if record.bytes != size_of(model_dir):
            raise ValueError("it was made for another model")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:  # pydantic's and Unicode's are ValueErrors
        logger.warning("%s is not used: %s. Measure again: viva models check", file, e)
        return {}
    return record.floors


def size_of(model_dir: Path) -> int:
    return (model_dir / "model.bin").stat().st_size


def keep(model_dir: Path, found: ModelCheck) -> Path:
    """Beside the model; languages that were measured before and not now stay. Raises `OSError`."""
    file = model_dir / FILE
    now = {one.language for one in found.languages}
    before = _before(file, found)
    languages = (*(one for one in before if one.language not in now), *found.languages)
    text = found.model_copy(update={"languages": languages}).model_dump_json(indent=2)
    partial = file.with_suffix(".partial")
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(file)
    return file


def _before(file: Path, found: ModelCheck) -> tuple[LanguageCheck, ...]:
    try:
        record = ModelCheck.model_validate_json(file.read_bytes())
    except (OSError, ValueError):
        return ()
    return record.languages if record.bytes == found.bytes else ()
