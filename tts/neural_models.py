"""Which neural voices can be fetched by name, what each kind consists of, and where a voice lies.

Nothing here uses the network: `viva models fetch` does (`server/fetching.py`).
"""

from dataclasses import dataclass
from pathlib import Path

VOCODERS = ("vocos*.onnx", "hifigan*.onnx")


class VoiceUnusable(Exception):
    """A voice that was asked for cannot be used; the message is for the operator."""


@dataclass(frozen=True)
class Kind:
    """What a repository must have, and what is taken beside: see `server.fetching.Kind`."""

    title: str
    needed: tuple[tuple[str, ...], ...]
    wanted: tuple[str, ...] = (
        *VOCODERS,
        "*.onnx.json",
        "*lexicon*.txt",
        "*.fst",
        "*.far",
        "MODEL_CARD",
        "LICENSE*",
    )


KOKORO = Kind("Kokoro voice", (("model.onnx", "model.int8.onnx"), ("voices.bin",), ("tokens.txt",)))
MATCHA = Kind("Matcha voice", (("model-steps-*.onnx",), ("tokens.txt",)))
PIPER = Kind(
    "Piper voice", (("*.onnx",), ("*.onnx.json", "espeak-ng-data/phontab"), ("tokens.txt",))
)
MELO = Kind(
    "VITS voice with a lexicon",
    (("model.onnx", "model.int8.onnx", "vits-*.onnx"), ("lexicon.txt",), ("tokens.txt",)),
)
KINDS = (KOKORO, MATCHA, MELO, PIPER)
CATALOGUE = {
    "piper-en": ("csukuangfj/vits-piper-en_US-amy-low", PIPER),
    "piper-zh": ("csukuangfj/vits-piper-zh_CN-huayan-medium", PIPER),
    "kokoro": ("csukuangfj/kokoro-multi-lang-v1_0", KOKORO),
    "kokoro-int8": ("csukuangfj/kokoro-int8-multi-lang-v1_0", KOKORO),
    "kokoro-zh": ("csukuangfj/kokoro-multi-lang-v1_1", KOKORO),
    # Its vocoder is published elsewhere, as a file of its own: it is laid into the folder by hand.
    "matcha-zh": ("csukuangfj/matcha-icefall-zh-baker", MATCHA),
    "melo-zh-en": ("csukuangfj/vits-melo-tts-zh_en", MELO),
}
"""Repository at the hub and kind, by name."""


def resolve(name_or_path: str, folder: Path) -> Path:
    """The voice's folder on this machine; raises `VoiceUnusable`. Never downloads."""
    if name_or_path.startswith((".", "/", "~")) or Path(name_or_path).is_dir():
        return Path(name_or_path).expanduser()
    if name_or_path not in CATALOGUE and name_or_path.count("/") != 1:
        known = ", ".join(CATALOGUE)
        raise VoiceUnusable(f"There is no voice {name_or_path!r}. Known: {known}, or owner/name.")
    path = folder / name_or_path.replace("/", "--")
    if not path.is_dir():
        raise VoiceUnusable(
            f"The voice {name_or_path!r} is not in {folder}."
            f" Fetch it once: viva models fetch {name_or_path}"
        )
    return path
