"""`viva models check`: which window is right for a speech model, measured here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import DataDir, ModelsDir, say

if TYPE_CHECKING:
    from asr.windows import LanguageCheck
    from server.model_check import Checked, Listening


def add_to(app: typer.Typer) -> None:
    app.command()(check)


def check(
    name: Annotated[
        str | None, typer.Argument(help="A model that is here, or its folder [as set].")
    ] = None,
    language: Annotated[
        str,
        typer.Option(
            help="What is spoken, by comma [en and zh, as the model knows them; en of recordings]."
        ),
    ] = "",
    audio: Annotated[
        Path | None, typer.Option(help="A recording to listen to, in place of rendered speech.")
    ] = None,
    speech: Annotated[
        Path | None, typer.Option(help="A folder of recordings, with transcripts as NAME.txt.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    asr_device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto].")] = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> None:
    """Verify a speech model, load it, and measure which window is right for it; keep that."""
    from server import logs, model_check, settings, speech_models

    chosen = settings.load(models_dir=models_dir, data_dir=data_dir, asr_device=asr_device)
    logs.configure("error")
    languages = tuple(one.strip() for one in language.split(",") if one.strip())
    files = model_check.recordings(speech) if speech else ()
    files = (*files, *([audio] if audio else []))
    if files and not languages:
        languages = ("en",)
    listening = model_check.Listening(languages, files)
    names = [name] if name else [*dict.fromkeys(speech_models.names(chosen).values())]
    results = []
    for one in names:
        results.append(_checked(one, chosen, listening))
        if not as_json:
            say("\n".join(_told(results[-1])))
    if as_json:
        typer.echo(json.dumps([_as_json(one) for one in results], indent=2, ensure_ascii=False))


def _checked(name: str, chosen: object, listening: Listening) -> Checked:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

    from server import model_check
    from server.settings import Settings

    assert isinstance(chosen, Settings)
    columns = ("{task.description}", BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks = {"": progress.add_task(f"{name}: checked and loaded", total=None)}

        def tell(language: str, done: int, of: int) -> None:
            if language not in tasks:
                tasks[language] = progress.add_task(f"{name}, {language}", total=of)
            progress.update(tasks[language], completed=done)

        return model_check.check(name, chosen, listening, tell)


def _told(one: Checked) -> Iterator[str]:
    yield f"{one.name}: {one.folder}"
    if one.verified is not None:
        yield f"  {one.verified} files are as they were fetched."
    if one.found is None:
        yield "  It loads and computes. It hears audio as long as it is: no window to choose."
        for language, rate in one.heard:
            wrong = "not known, without a transcript" if rate is None else f"{rate:.1%}"
            yield f"  {language}: wrong of what was said: {wrong}."
        return
    found = one.found
    yield f"  It loads and computes: {found.compute_type} on {found.device}."
    for measured in found.languages:
        yield from _table(measured, found.speech)
    if one.kept:
        yield f"  Kept in {one.kept}; used where VIVA_ASR_WINDOW_S is not set."
    elif found.floors:
        longest = max(found.floors.values())
        yield f"  Not kept: {one.why_not_kept}. Set VIVA_ASR_WINDOW_S={longest:g}"
    else:
        yield f"  Not kept: {one.why_not_kept}."


def _table(measured: LanguageCheck, speech: str) -> Iterator[str]:
    yield (
        f"  {measured.language}, by {measured.pieces} pieces of {speech}"
        f" ({measured.units} {measured.unit}s):"
    )
    yield "    window   differ from 30 s   wrong     a piece   of 30 s's time"
    for window in measured.windows:
        wrong = "-" if window.error_rate is None else f"{window.error_rate:.1%}"
        yield (
            f"    {window.window_s:>4} s {window.disagreement:>16.1%} {wrong:>9}"
            f" {window.seconds * 1000:>8.0f} ms {window.cost:>12.0%}"
        )
    margins = ", ".join(f"{m.margin_s:g} s {m.disagreement:.1%}" for m in measured.margins)
    yield f"    differ by silence behind the speech: {margins}"
    floor = "none" if measured.floor_s is None else f"{measured.floor_s:g} s"
    yield f"    recommended: {floor}. {measured.reason}"


def _as_json(one: Checked) -> dict[str, object]:
    return {
        "name": one.name,
        "folder": str(one.folder),
        "verified_files": one.verified,
        "windows": one.found.model_dump(mode="json") if one.found else None,
        "error_rates": dict(one.heard),
        "kept": str(one.kept) if one.kept else None,
        "not_kept": one.why_not_kept or None,
    }
