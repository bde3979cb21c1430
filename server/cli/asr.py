"""`viva asr`: the recogniser as a service, for servers on this or another machine."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.options import DataDir, ModelsDir, say


def add_to(app: typer.Typer) -> None:
    app.command()(asr)


def asr(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8090,
    asr_model: Annotated[
        str | None, typer.Option(help="Speech model: a name or a folder [fits the device].")
    ] = None,
    asr_device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto].")] = None,
    data_dir: DataDir = None,
    models_dir: ModelsDir = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error [info].")
    ] = None,
) -> None:
    """Serve one speech model to servers that name it in VIVA_ASR_URL. Never downloads anything."""
    from server import asr_token, logs, preflight, settings

    chosen = settings.load(
        asr_model=asr_model,
        asr_device=asr_device,
        data_dir=data_dir,
        models_dir=models_dir,
        log_level=log_level,
    )
    logs.configure(chosen.log_level)
    preflight.check_port(host, port)
    preflight.check_models(chosen)
    if not chosen.asr_token:
        preflight.check_folder(chosen.data_dir)  # where the token is kept
    token = asr_token.of_service(chosen)
    if token.file:
        made = "A new token was made: it" if token.new else "The token"
        say(f"{made} stands in {token.file}.")

    from server import recogniser

    recogniser.serve(chosen, host, port, token.value)
