"""`viva rehearse`: a whole interview on this machine, with a synthetic candidate."""

from __future__ import annotations

from collections.abc import Mapping
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
    phone: Annotated[
        bool, typer.Option("--phone", help="Call by telephone: Janus, kamailio and a SIP phone.")
    ] = False,
    loss: Annotated[
        float,
        typer.Option(help="Percent of the telephone's packets lost, each way.", min=0, max=50),
    ] = 0.0,
    jitter: Annotated[
        float,
        typer.Option(help="Up to so many milliseconds' delay of each of them.", min=0, max=1000),
    ] = 0.0,
    reorder: Annotated[
        float, typer.Option(help="Percent of them that the next ones overtake.", min=0, max=50)
    ] = 0.0,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the server's data here [a temporary folder].")
    ] = None,
) -> None:
    """Hold a whole interview on this machine: no download, no GPU, nobody needed."""
    if lang not in ("en", "zh"):
        raise typer.BadParameter("en or zh", param_hint="--lang")

    _check_way(phone, text, model, {"--loss": loss, "--jitter": jitter, "--reorder": reorder})

    from server.phone.softphone.impairment import Impairment
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
        phone=phone,
        line=Impairment(loss=loss / 100, jitter_s=jitter / 1000, reorder=reorder / 100),
        data_dir=data_dir,
    )
    raise typer.Exit(main(options))


def _check_way(phone: bool, text: bool, model: str | None, line: Mapping[str, float]) -> None:
    if phone and text:
        raise typer.BadParameter("a telephone has no keyboard", param_hint="--text")
    if phone and model is not None:
        raise typer.BadParameter(
            "the telephone's rehearsal has a network of its own, which no model outside is in",
            param_hint="--model",
        )
    for name, amount in line.items():
        if amount and not phone:
            raise typer.BadParameter("only --phone has a line that is bad", param_hint=name)
