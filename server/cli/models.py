"""`viva models`: fetch models (the only command that downloads any), list those that are here, and
measure them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from server.cli import check_model
from server.cli.options import DataDir, ModelsDir, say

if TYPE_CHECKING:
    from server.catalogue import Known

app = typer.Typer(help="Speech models and voices.", no_args_is_help=True)
check_model.add_to(app)


@app.command()
def fetch(
    name: Annotated[
        str | None, typer.Argument(help="A name of `viva models list`, or owner/name [as set].")
    ] = None,
    source: Annotated[
        str, typer.Option(help="hub, modelscope, or the address of a mirror of the hub.")
    ] = "hub",
    repository: Annotated[
        str | None, typer.Option(help="owner/name there, where the source names it otherwise.")
    ] = None,
    revision: Annotated[str | None, typer.Option(help="A branch, tag or commit.")] = None,
    models_dir: ModelsDir = None,
    data_dir: DataDir = None,
) -> None:
    """Download a speech model or a voice, checked; an interrupted download goes on."""
    from server import catalogue, settings, speech_models

    chosen = settings.load(models_dir=models_dir, data_dir=data_dir)
    voices = [one for one in map(chosen.local_voice, chosen.local_languages) if not _is_path(one)]
    as_set = [*speech_models.names(chosen).values(), *voices]
    wanted = [name] if name else [*dict.fromkeys(as_set)]
    if repository and len(wanted) > 1:
        raise typer.BadParameter("it is of one model: name it", param_hint="--repository")
    for known in [catalogue.find(one) for one in wanted]:
        folder = _fetched(
            known,
            chosen.models_folder,
            source=source,
            repository=repository or known.repository,
            revision=revision,
        )
        say(f"{known.name} is in {folder}.")


def _is_path(voice: str) -> bool:
    return voice.startswith((".", "/", "~")) or Path(voice).is_dir()


def _fetched(known: Known, folder: Path, **options: Any) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from server import fetching

    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}

        def arrived(file: str, done: int, total: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=total)
            progress.update(tasks[file], completed=done)

        return fetching.fetch(known.name, folder, kinds=known.kinds, progress=arrived, **options)


@app.command("list")
def list_models(models_dir: ModelsDir = None, data_dir: DataDir = None) -> None:
    """Say which models there are, and which of them are on this machine."""
    from asr import models
    from server import catalogue, settings

    folder = settings.load(models_dir=models_dir, data_dir=data_dir).models_folder
    known: dict[str, object] = dict.fromkeys(catalogue.known())
    if folder.is_dir():
        others = (one.name.replace("--", "/", 1) for one in sorted(folder.iterdir()))
        known |= dict.fromkeys(name for name in others if not name.startswith("."))
    for name in (*known, models.REHEARSAL):
        typer.echo(f"{name:20} {_state(name, folder)}")


def _state(name: str, folder: Path) -> str:
    from asr import models
    from asr.errors import HearingError
    from server.fetching import folder_name
    from tts import neural_folder, neural_models

    with contextlib.suppress(HearingError):
        return f"here: {models.resolve(name, folder)}"
    with contextlib.suppress(neural_models.VoiceUnusable):
        return f"here: {neural_folder.find(neural_models.resolve(name, folder)).path}"
    return "damaged; fetch it again" if (folder / folder_name(name)).exists() else "not here"
