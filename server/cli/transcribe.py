"""`viva transcribe`: recordings to text, JSON and subtitles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import DataDir, ModelsDir, say

if TYPE_CHECKING:
    from asr.engine import Engine
    from asr.files import FileOptions
    from asr.router import Router
    from server.settings import Settings
    from server.transcribing import Work

INTERRUPTED = 130


def add_to(app: typer.Typer) -> None:
    app.command()(transcribe)


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Recordings, of any format FFmpeg reads.")],
    out: Annotated[
        Path | None, typer.Option(help="The folder for the transcripts [the screen].")
    ] = None,
    formats: Annotated[
        str, typer.Option("--format", help="txt, json, vtt; several by comma, with --out.")
    ] = "txt",
    channels: Annotated[
        str,
        typer.Option(help="split: one speaker a channel; mix: all channels as one; or auto."),
    ] = "auto",
    speakers: Annotated[
        str,
        typer.Option(
            help="The channels' speakers, by comma, such as Ada,Interviewer: a channel each."
        ),
    ] = "",
    language: Annotated[
        str, typer.Option(help="What is spoken: en, zh, or another that the model knows.")
    ] = "en",
    hotwords: Annotated[
        str, typer.Option(help="Names and terms to listen for, by comma; the first ones count.")
    ] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite transcripts that are there.")
    ] = False,
    asr_model: Annotated[
        str | None, typer.Option(help="Speech model: a name or a folder [fits the device].")
    ] = None,
    asr_device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto].")] = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> None:
    """Turn recordings into text. It never downloads, and nothing leaves this machine."""
    wanted, named = _by_comma(formats), _by_comma(speakers)
    _check(wanted, channels, named, out, len(files))

    from server import logs, settings

    chosen = settings.load(
        asr_model=asr_model,
        asr_models={} if asr_model else None,  # what is named here is for this language
        asr_device=asr_device,
        models_dir=models_dir,
        data_dir=data_dir,
    )
    logs.configure("error")

    from asr.files import FileOptions
    from server.transcribing import Request, Work, named_once

    options = FileOptions(
        language=language,
        hotwords=_by_comma(hotwords),
        channels=channels,  # type: ignore[arg-type] # checked above
        speakers=named,
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    request = Request(named_once(files), wanted, out, force)  # type: ignore[arg-type] # checked above
    work = Work(request, write=lambda text: typer.echo(text, nl=False))
    if work.left:
        _work(work, options, chosen)
    if work.outcome.failed:
        failed, given = len(work.outcome.failed), len(request.files)
        if given > 1:
            say(f"{failed} of {given} recordings could not be transcribed, or not whole.")
        raise typer.Exit(1)


def _by_comma(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))


def _check(
    formats: tuple[str, ...],
    channels: str,
    speakers: tuple[str, ...],
    out: Path | None,
    files: int,
) -> None:
    unknown = [one for one in formats if one not in ("txt", "json", "vtt")]
    if unknown or not formats:
        raise typer.BadParameter("txt, json or vtt", param_hint="--format")
    if channels not in ("split", "mix", "auto"):
        raise typer.BadParameter("split, mix or auto", param_hint="--channels")
    if channels == "mix" and len(speakers) > 1:
        raise typer.BadParameter(
            "one name at most where all channels are heard as one", param_hint="--speakers"
        )
    if out is None and len(formats) > 1:
        raise typer.BadParameter("several formats need a folder", param_hint="--out")
    if out is None and formats == ("vtt",) and files > 1:
        raise typer.BadParameter("subtitles of several files need a folder", param_hint="--out")


def _work(work: Work, options: FileOptions, chosen: Settings) -> None:
    import asyncio

    from asr.files import Transcriber

    async def run(engine: Engine | Router) -> None:
        transcriber = Transcriber(engine, options)
        await transcriber.try_language()
        await work.run(transcriber)

    try:
        with _load(chosen, options.language) as engine:
            asyncio.run(run(engine))
    except KeyboardInterrupt:
        say(work.stopped())
        raise typer.Exit(INTERRUPTED) from None


def _load(chosen: Settings, language: str) -> Engine | Router:
    """As the server's, but for patience (files wait) and only the language's. It loads nothing of
    LiveKit."""
    import math

    from asr.decoder import base_language
    from server.recogniser import load_recogniser

    return load_recogniser(chosen, only=base_language(language), max_wait_s=math.inf)
