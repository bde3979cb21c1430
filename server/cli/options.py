"""Options that several commands share, named as the settings are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None, typer.Option(help="The folder for everything that must not be lost [data].")
]
ModelsDir = Annotated[
    Path | None, typer.Option(help="The folder of speech models [DATA_DIR/models].")
]
PublicUrl = Annotated[
    str | None, typer.Option(help="The address that candidates' browsers see, for invites.")
]


def say(text: str) -> None:
    """To a person; standard output is for what programs read."""
    typer.echo(text, err=True)
