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


MOST_LINES = 50


def brief(text: str) -> str:
    """The first lines of many: a file that is no plan at all has a problem in each of its own."""
    lines = text.splitlines()
    left_out = lines[MOST_LINES:]
    return "\n".join(
        lines[:MOST_LINES] + [f"... and {len(left_out)} more problems."] * bool(left_out)
    )


def say(text: str) -> None:
    """To a person; standard output is for what programs read."""
    typer.echo(text, err=True)
