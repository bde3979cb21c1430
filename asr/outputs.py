"""Where transcriptions go: in which formats, under which names, whole or not at all."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args
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
    `ID-interview`.
    """
    found = [path.stem for path in paths]
    deepest = max((len(path.absolute().parts) for path in paths), default=0)
    longer: list[Callable[[Path], str]] = []
    for depth in range(deepest):
        longer += [_prefixed(depth, whole=False), _prefixed(depth, whole=True)]
    for name_of in longer:
        often = Counter(name.casefold() for name in found)
        if max(often.values(), default=0) < 2:
            break
        found = [
            name_of(path) if often[name.casefold()] > 1 else name
            for path, name in zip(paths, found, strict=True)
        ]
    return found


def _prefixed(depth: int, *, whole: bool) -> Callable[[Path], str]:
    def name(path: Path) -> str:
        above = [part for part in path.absolute().parts[:-1] if part != path.anchor]
        return "-".join([*above[len(above) - depth :], path.name if whole else path.stem])

    return name


def write(target: Path, text: str) -> None:
    """Whole or not at all, whatever happens meanwhile."""
    # Not by the target's whole name, which may be as long as a name can be.
    part = target.with_name(f".{crc32(os.fsencode(target.name)):08x}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
