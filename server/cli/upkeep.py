"""`viva backup | doctor | version`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import DataDir, ModelsDir, say


def add_to(app: typer.Typer) -> None:
    for command in (backup, doctor, version):
        app.command()(command)


def backup(
    target: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    data_dir: DataDir = None,
) -> None:
    """Copy database and recordings while the server runs. Restoring: docs/operations.md."""
    from server import settings
    from server.store import sqlite_url
    from server.store.backup import backup_folder

    chosen = settings.load(data_dir=data_dir)
    url = chosen.database_url or sqlite_url(chosen.data_dir)
    for written in backup_folder(url, chosen.data_dir, target):
        typer.echo(str(written))


def doctor(
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check this machine and its settings, and say what to do. Asks the model one real question.
    Settings that are wrong are findings, too; what does not rest on them is checked all the same.
    """
    import asyncio

    from server import doctor as examine
    from server import logs, settings

    found = settings.usable(data_dir=data_dir, models_dir=models_dir)
    logs.configure("error")
    findings = asyncio.run(examine.examine(found.settings, found.faults, found.left_out))
    if as_json:
        typer.echo(json.dumps([vars(one) for one in findings], indent=2, ensure_ascii=False))
    else:
        for one in findings:
            typer.echo(f"{one.state:4} {one.name}: {one.text}")
            if one.to_do:
                typer.echo(f"       {one.to_do}")
    bad = sum(one.state == "bad" for one in findings)
    if bad:
        say(f"{bad} of {len(findings)} checks failed.")
        raise typer.Exit(1)


def version() -> None:
    """Print the version."""
    from server.version import code_version

    typer.echo(code_version())
