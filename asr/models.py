"""Which speech models there are, what they consist of, and where they lie on this machine.

Each has a folder of its own under the models folder, or is a folder that the operator names.
Nothing here uses the network: `viva models fetch` does (`server/fetching.py`).
"""

from dataclasses import dataclass
from pathlib import Path

from asr import rehearsal
from asr.errors import ModelDamaged, ModelMissing, UnknownModel


@dataclass(frozen=True)
class Kind:
    """What a kind of model consists of."""

    title: str
    needed: tuple[tuple[str, ...], ...]
    """Of each group the first that is there; without one the model is not whole."""
    wanted: tuple[str, ...] = ()
    """Fetched where they are there; names may be patterns."""


WHISPER = Kind(
    "CTranslate2 Whisper model",
    (
        ("config.json",),
        ("model.bin",),
        ("tokenizer.json",),
        ("vocabulary.json", "vocabulary.txt"),
    ),
    ("preprocessor_config.json",),
)
SHERPA = Kind(
    "sherpa-onnx recogniser",
    (("model.int8.onnx", "model.onnx"), ("tokens.txt",)),
    ("LICENSE*",),
)
KINDS = (WHISPER, SHERPA)

REHEARSAL = "rehearsal"
CATALOGUE = {
    "tiny": ("Systran/faster-whisper-tiny", WHISPER),
    "base": ("Systran/faster-whisper-base", WHISPER),
    "small": ("Systran/faster-whisper-small", WHISPER),
    "medium": ("Systran/faster-whisper-medium", WHISPER),
    "large-v2": ("Systran/faster-whisper-large-v2", WHISPER),
    "large-v3": ("Systran/faster-whisper-large-v3", WHISPER),
    "large-v3-turbo": ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", WHISPER),
    "distil-large-v3": ("Systran/faster-distil-whisper-large-v3", WHISPER),
    "sensevoice": ("csukuangfj/sherpa-onnx-sense-voice-zh-en-ja-ko-yue-2024-07-17", SHERPA),
    # The one of its makers' exports that gives word times.
    "paraformer-zh": ("csukuangfj/sherpa-onnx-paraformer-zh-2023-09-14", SHERPA),
}
"""Repository at the hub and kind, by name. Any other `owner/name` of such a kind works too."""


def default_model(device: str) -> str:
    return "large-v3-turbo" if device == "cuda" else "small"


def default_compute_type(device: str) -> str:
    return "float16" if device == "cuda" else "int8"


def resolve(name_or_path: str, folder: Path) -> Path:
    """The model's folder on this machine. Never downloads."""
    if name_or_path == REHEARSAL:
        return rehearsal.MODEL_DIR
    if _is_path(name_or_path):
        path = Path(name_or_path).expanduser()
        if not path.is_dir():
            raise ModelMissing(f"There is no folder {path}. Name a model to fetch: {_names()}.")
        kind_of(path)
        return path
    if name_or_path not in CATALOGUE and not is_repository(name_or_path):
        raise UnknownModel(
            f"There is no speech model {name_or_path!r}. Known: {_names()}, or owner/name."
        )
    path = folder / name_or_path.replace("/", "--")
    if not path.is_dir():
        raise ModelMissing(
            f"The speech model {name_or_path!r} is not in {folder}."
            f" Fetch it once: viva models fetch {name_or_path}"
        )
    kind_of(path)
    return path


def kind_of(path: Path) -> Kind:
    """By the files that are there; raises `ModelMissing` and `ModelDamaged`."""
    if not path.is_dir():
        raise ModelMissing(f"There is no model folder {path}.")
    kind = SHERPA if any(path.glob("*.onnx")) else WHISPER
    check_files(path, kind)
    return kind


def check_files(path: Path, kind: Kind = WHISPER) -> None:
    if not path.is_dir():
        raise ModelMissing(f"There is no model folder {path}.")
    missing = [g[0] for g in kind.needed if not any((path / name).is_file() for name in g)]
    if missing:
        raise ModelDamaged(
            f"{path} is not a whole {kind.title}: {', '.join(missing)} missing."
            " Fetch it again: viva models fetch"
        )


def is_repository(name: str) -> bool:
    """Whether it is written as `owner/name`."""
    parts = name.split("/")
    return len(parts) == 2 and all(part and not part.startswith(".") for part in parts)


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or Path(text).is_dir()


def _names() -> str:
    return ", ".join(CATALOGUE)
