"""What lies in a folder of a neural voice, as sherpa-onnx's author publishes them.

    family   told by             needs besides tokens.txt
    kokoro   voices.bin          model(.int8).onnx; for Chinese lexicon-zh.txt
    matcha   model-steps-N.onnx  one vocoder: vocos*.onnx or hifigan*.onnx, here or in vocoder/
    vits     anything else       one .onnx: Piper, MeloTTS, the VITS exports

English text goes in as espeak-ng's phonemes, save where a folder has only a lexicon; Chinese text
as it is, by the folder's lexicon, save for Piper's voices, which have none. Numbers, dates and
telephone numbers in Chinese are written out by the folder's own rules (*.fst, *.far).
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tts.neural_models import VOCODERS, VoiceUnusable

PHONEMES = {"en": "en-us", "zh": "cmn"}
"""As `tts.espeak.VOICES`, which is not imported: this must load no LiveKit, for `viva models`."""
Family = Literal["vits", "matcha", "kokoro"]
_RULES = ("phone", "date", "number")
"""The order in which its author applies them: a telephone number is not a quantity."""


@dataclass(frozen=True)
class VoiceFolder:
    path: Path
    family: Family
    model: Path
    tokens: Path
    voices: Path | None = None
    vocoder: Path | None = None
    lexicons: tuple[Path, ...] = ()
    rules: tuple[Path, ...] = ()
    archives: tuple[Path, ...] = ()
    taught_by: str = ""
    """The espeak-ng voice whose phonemes the model was taught, where a Piper voice names it."""

    @property
    def fingerprint(self) -> str:
        """Changes when other weights are put into the folder."""
        files = [file for file in (self.model, self.voices, self.vocoder) if file]
        sizes = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
        return hashlib.sha256("\n".join(sizes).encode()).hexdigest()[:8]

    def phonemes(self, language: str) -> str | None:
        """The espeak-ng voice that spells a text for the model; None if it reads text itself.

        Raises `VoiceUnusable` for a language that the folder does not speak.
        """
        english = language == "en"
        if self.taught_by:
            if self.taught_by.startswith("en") != english:
                raise VoiceUnusable(f"{self.path} speaks {self.taught_by!r}, not {language!r}.")
            return self.taught_by
        if self.lexicons and not (english and self.family == "kokoro"):
            return None
        if self.family == "kokoro" and not english:
            raise VoiceUnusable(
                f"{self.path} has no lexicon-zh.txt: this Kokoro voice speaks no Chinese."
            )
        return PHONEMES[language]


def find(path: Path) -> VoiceFolder:
    """What the folder holds; raises `VoiceUnusable`, which names what is missing."""
    if not path.is_dir():
        raise VoiceUnusable(f"There is no folder {path}.")
    tokens = path / "tokens.txt"
    if not tokens.is_file():
        raise VoiceUnusable(f"{path} is no voice's folder: tokens.txt is missing.")
    family = _family(path)
    model = _model(path, family)
    return VoiceFolder(
        path,
        family,
        model,
        tokens,
        voices=path / "voices.bin" if family == "kokoro" else None,
        vocoder=_vocoder(path) if family == "matcha" else None,
        lexicons=_lexicons(path),
        rules=tuple(sorted(path.glob("*.fst"), key=_place)),
        archives=tuple(sorted(path.glob("*.far"))),
        taught_by=_taught_by(model),
    )


def _family(path: Path) -> Family:
    if (path / "voices.bin").is_file():
        return "kokoro"
    return "matcha" if any(path.glob("model-steps-*.onnx")) else "vits"


def _model(path: Path, family: Family) -> Path:
    """The full model before its int8 one: where both lie, somebody fetched the better one."""
    pattern = "model-steps-*.onnx" if family == "matcha" else "*.onnx"
    vocoders = set(_any_of(path, VOCODERS))
    found = [file for file in sorted(path.glob(pattern)) if file not in vocoders]
    if not found:
        raise VoiceUnusable(f"{path} is no voice's folder: it has no {pattern}.")
    whole = [file for file in found if ".int8." not in file.name and ".fp16." not in file.name]
    return (whole or found)[-1]  # of Matcha's, the one with the most steps


def _vocoder(path: Path) -> Path:
    found = [*_any_of(path, VOCODERS), *_any_of(path / "vocoder", VOCODERS)]
    if len(found) == 1:
        return found[0]
    raise VoiceUnusable(
        f"{path} is a Matcha voice, which needs one vocoder beside it, such as"
        f" vocos-22khz-univ.onnx; it has {len(found) or 'none'}."
    )


def _lexicons(path: Path) -> tuple[Path, ...]:
    """One English lexicon: the American one where there are two, as its author does."""
    found = sorted(path.glob("lexicon*.txt"))
    american = any("us" in file.stem for file in found)
    return tuple(file for file in found if not (american and "gb" in file.stem))


def _place(rule: Path) -> tuple[int, str]:
    named = [i for i, name in enumerate(_RULES) if rule.stem.startswith(name)]
    return (named[0] if named else len(_RULES), rule.name)


def _any_of(path: Path, patterns: Sequence[str]) -> Iterable[Path]:
    return [file for pattern in patterns for file in sorted(path.glob(pattern))]


def _taught_by(model: Path) -> str:
    """Piper writes it beside the model."""
    notes = model.with_name(model.name + ".json")
    try:
        return str(json.loads(notes.read_text(encoding="utf-8"))["espeak"]["voice"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
