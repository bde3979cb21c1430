"""Where transcriptions go: in which formats, under which names, whole or not at all."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args
from unicodedata import normalize
from zlib import crc32

from asr.subtitles import plain_text, webvtt
from asr.transcription import Transcription

Format = Literal["txt", "json", "vtt"]
FORMATS: tuple[Format, ...] = get_args(Format)


def rendered(transcription: Transcription, form: Format) -> str:
    match form:
        case "txt":
            return plain_text(transcription)
        case "vtt":
            return webvtt(transcription)
        case "json":
            return transcription.model_dump_json(indent=2) + "\n"


def names(paths: Sequence[Path]) -> list[str]:
    """A name for the outputs of each recording, without its ending: as short as tells them apart.

    `a.wav` gives `a`; beside an `a.ogg`, `a.wav`; every interview's `ID/interview.ogg`,
    `ID-interview`. No two are the same, in any case of their letters: a transcript that took
    another's place would be lost.
    """
    found = [path.stem for path in paths]
    deepest = max((len(path.absolute().parts) for path in paths), default=0)
    longer: list[Callable[[Path], str]] = []
    for depth in range(deepest):
        longer += [_prefixed(depth, whole=False), _prefixed(depth, whole=True)]
    for name_of in longer:
        found = _told_apart(paths, found, name_of)
    # Such as X.wav beside x.wav, or /b-x.wav beside /b/x.wav and /c/x.wav.
    return _told_apart(paths, found, lambda path: f"{path.stem}-{_sum(path.absolute())}")


def _told_apart(
    paths: Sequence[Path], found: list[str], name_of: Callable[[Path], str]
) -> list[str]:
    """Those that are not the only ones of their name get another."""
    keys = [normalize("NFC", name).casefold() for name in found]  # as file systems may take them
    often = Counter(keys)
    return [
        name_of(path) if often[key] > 1 else name
        for path, name, key in zip(paths, found, keys, strict=True)
    ]


def _sum(path: Path) -> str:
    return f"{crc32(os.fsencode(path)):08x}"


def _prefixed(depth: int, *, whole: bool) -> Callable[[Path], str]:
    def name(path: Path) -> str:
        above = [part for part in path.absolute().parts[:-1] if part != path.anchor]
        return "-".join([*above[len(above) - depth :], path.name if whole else path.stem])

    return name


def write(target: Path, text: str) -> None:
    """Whole or not at all, whatever happens meanwhile."""
    # Not by the target's whole name, which may be as long as a name can be.
    part = target.with_name(f".{_sum(Path(target.name))}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
