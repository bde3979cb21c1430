"""`viva rehearse`: a whole interview on this machine, with a synthetic candidate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    app.command()(rehearse)


def rehearse(
    plan: Annotated[Path | None, typer.Option(help="The plan [the rehearsal's own].")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="What the candidate says [made for the plan].")
    ] = None,
    lang: Annotated[
        str, typer.Option(help="en, or zh: Chinese rehearsals type their answers.")
    ] = "en",
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("out/rehearsal"),
    seed: Annotated[int, typer.Option(help="Another seed, another order of small things.")] = 0,
    model: Annotated[
        str | None, typer.Option(help="Base URL of a real model [a stand-in].")
    ] = None,
    model_name: Annotated[str | None, typer.Option(help="The real model's name.")] = None,
    recording: Annotated[bool, typer.Option(help="Whether the candidate lets it record.")] = True,
    text: Annotated[bool, typer.Option("--text", help="Type every answer; no WebRTC.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the server's data here [a temporary folder].")
    ] = None,
) -> None:
    """Hold a whole interview on this machine: no download, no GPU, nobody needed."""
    if lang not in ("en", "zh"):
        raise typer.BadParameter("en or zh", param_hint="--lang")

    from server.rehearsal.run import Options, main

    options = Options(
        plan=plan,
        answers=answers,
        lang="zh" if lang == "zh" else "en",
        out=out,
        seed=seed,
        model=model,
        model_name=model_name,
        recording=recording,
        text=text,
        data_dir=data_dir,
    )
    raise typer.Exit(main(options))
