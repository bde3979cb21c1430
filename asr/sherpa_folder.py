"""The files of a SenseVoice or Paraformer for sherpa-onnx, looked at before it loads them.

The library ends the whole process, without a word to Python, where an entry of the metadata or a
line of the tokens is not what it expects; and it looks tokens up by numbers that may not be there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from asr.errors import ModelDamaged
from asr.models import SHERPA, check_files
from asr.onnx_file import metadata

_FEATURES = 80
_VECTORS = ("neg_mean", "inv_stddev")
_PARAFORMER_KEYS = ("vocab_size", "lfr_window_size", "lfr_window_shift", *_VECTORS)
_SENSE_VOICE_LANGUAGES = ("zh", "en", "ja", "ko", "yue")
_SENSE_VOICE_KEYS = (
    *_PARAFORMER_KEYS,
    "normalize_samples",
    "with_itn",
    "without_itn",
    "lang_auto",
    *(f"lang_{language}" for language in _SENSE_VOICE_LANGUAGES),
)
Family = Literal["sense_voice", "paraformer"]


@dataclass(frozen=True)
class Folder:
    """A model's files, looked at and found whole."""

    family: Family
    model: Path
    tokens: Path

    @property
    def compute_type(self) -> str:
        return "int8" if ".int8" in self.model.name else "float32"

    @property
    def languages(self) -> tuple[str, ...]:
        return _SENSE_VOICE_LANGUAGES if self.family == "sense_voice" else ("zh", "en")


def look_at(folder: Path) -> Folder:
    """Raises `ModelDamaged`, before the library can end the process over it."""
    check_files(folder, SHERPA)
    model = next(f for name in SHERPA.needed[0] if (f := folder / name).is_file())
    found = metadata(model)
    family: Family = "sense_voice" if "lang_auto" in found else "paraformer"
    keys = _SENSE_VOICE_KEYS if family == "sense_voice" else _PARAFORMER_KEYS
    missing = [key for key in keys if not found.get(key)]
    if missing:
        raise ModelDamaged(
            f"{model} is no SenseVoice or Paraformer made for sherpa-onnx: its metadata lack"
            f" {', '.join(missing)}."
        )
    _check_numbers(model, found, keys)
    tokens = folder / "tokens.txt"
    _check_tokens(tokens, int(found["vocab_size"]), family)
    return Folder(family, model, tokens)


def _check_numbers(model: Path, found: dict[str, str], keys: Sequence[str]) -> None:
    for key in keys:
        if key not in _VECTORS and not found[key].isdecimal():
            raise ModelDamaged(f"{model}: {key} in its metadata is {found[key]!r}, and no number.")
    size = _FEATURES * int(found["lfr_window_size"])
    for key in _VECTORS:
        try:
            values = [float(one) for one in found[key].split(",")]
        except ValueError:
            values = []
        if len(values) != size:
            raise ModelDamaged(f"{model}: {key} in its metadata is not {size} numbers.")


def _check_tokens(tokens: Path, size: int, family: Family) -> None:
    """Every number that the model can give needs a name: the library looks it up unasked."""
    numbers: set[int] = set()
    names: set[bytes] = set()
    for line in tokens.read_bytes().split(b"\n"):  # bytes, since tokens hold Unicode's white space
        *name, number = line.split() or [b"-1"]
        if len(name) > 1 or not number.removeprefix(b"-").isdigit():
            shown = line.decode(errors="replace")
            raise ModelDamaged(f"{tokens} is not a list of tokens and numbers: {shown!r}.")
        numbers.add(int(number))
        names.update(name)
    missing = next((number for number in range(size) if number not in numbers), None)
    if missing is not None:
        raise ModelDamaged(
            f"{tokens} is not of this model: it names no token {missing}, and the model has {size}."
        )
    if family == "paraformer" and b"</s>" not in names:
        raise ModelDamaged(f"{tokens} is not of this model: it has no </s>.")
