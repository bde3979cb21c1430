"""A model's folder to a model in memory, whatever kind it is of."""

from collections.abc import Sequence
from pathlib import Path

from asr.models import SHERPA, default_compute_type, kind_of
from asr.sherpa import Sherpa
from asr.whisper import FLOOR_S, Whisper
from asr.windows import recorded_floors


def load_model(
    model_dir: Path,
    *,
    name: str = "",
    device: str,
    compute_type: str | None = None,
    workers: int = 1,
    floor_s: float | None = None,
    languages: Sequence[str] = (),
) -> Whisper | Sherpa:
    """Raises `HearingError`. `compute_type` and windows are Whisper's: a model for sherpa-onnx is
    held as its file is, and hears audio as long as it is.

    `floor_s`: the shortest window; None takes what `viva models check` has found for each language.
    """
    if kind_of(model_dir) is SHERPA:
        only = languages[0] if len(languages) == 1 else ""
        return Sherpa(model_dir, name=name, device=device, language=only)
    return Whisper(
        model_dir,
        name=name,
        device=device,
        compute_type=compute_type or default_compute_type(device),
        workers=workers,
        floor_s=FLOOR_S if floor_s is None else floor_s,
        floors=recorded_floors(model_dir) if floor_s is None else {},
    )
