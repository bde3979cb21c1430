"""`viva serve`: start the server, or say in a sentence why it cannot start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from server.cli import password
from server.cli.options import DataDir, ModelsDir, PublicUrl, say

PHONE_HERE_ONLY = (
    "--phone is this server's alone. Set VIVA_PHONE=true: without it `viva invite` makes no PIN,"
    " `viva phone call` calls nobody, and `viva doctor` does not look at the telephone."
)


def add_to(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [8080].")] = None,
    public_url: PublicUrl = None,
    tls_cert: Annotated[Path | None, typer.Option(help="TLS certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's key, PEM.")] = None,
    trusted_proxies: Annotated[
        str | None, typer.Option(help="Addresses of reverse proxies before this server.")
    ] = None,
    max_interviews: Annotated[
        int | None, typer.Option(help="Live interviews at the same time [4].")
    ] = None,
    privacy: Annotated[
        str | None, typer.Option(help="network, or local: nothing leaves this machine [network].")
    ] = None,
    model_url: Annotated[
        str | None,
        typer.Option(help="The OpenAI-compatible model server [http://127.0.0.1:8000/v1]."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The interviewing model [Qwen/Qwen2.5-7B-Instruct].")
    ] = None,
    model_mode: Annotated[
        str | None, typer.Option(help="auto, tools or json_schema [auto].")
    ] = None,
    grader_url: Annotated[
        str | None, typer.Option(help="The grading model's server [the model's].")
    ] = None,
    grader_model: Annotated[
        str | None, typer.Option(help="The grading model [the interviewing one].")
    ] = None,
    asr_model: Annotated[
        str | None, typer.Option(help="Speech model: a name or a folder [fits the device].")
    ] = None,
    asr_device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto].")] = None,
    asr_url: Annotated[
        str | None,
        typer.Option(help="A recogniser elsewhere: the address of `viva asr` [in this process]."),
    ] = None,
    models_dir: ModelsDir = None,
    voice: Annotated[str | None, typer.Option(help="auto, edge, neural or espeak [auto].")] = None,
    media_ip: Annotated[
        str | None, typer.Option(help="The address to offer for media, behind a NAT.")
    ] = None,
    media_ports: Annotated[
        str | None, typer.Option(help="UDP ports for media, such as 40000-40100.")
    ] = None,
    stun: Annotated[str | None, typer.Option(help="STUN server, host:port [none].")] = None,
    turn_url: Annotated[
        str | None, typer.Option(help="TURN server, turn:host:port; several by comma [none].")
    ] = None,
    turn_user: Annotated[str | None, typer.Option(help="User name at the TURN server.")] = None,
    phone: Annotated[
        bool | None,
        typer.Option("--phone", help="Take telephone calls; better VIVA_PHONE=true [no]."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error [info].")
    ] = None,
    plan: Annotated[
        list[Path] | None,
        typer.Option(help="Check this plan and have it ready for invites; may be repeated."),
    ] = None,
) -> None:
    """Start the server. It never downloads anything; secrets are given as VIVA_… variables only."""
    given = dict(locals())
    plans = given.pop("plan")

    from server import logs, preflight, settings

    chosen = settings.load(**given)
    if phone and not settings.load(**given | {"phone": None}).phone:
        say(PHONE_HERE_ONLY)
    logs.configure(chosen.log_level)
    ask = password.ask_at_start if sys.stdin.isatty() else None
    ready = preflight.check(chosen, plans or (), ask_password=ask)
    for line in ready.remarks:
        say(line)

    from server import wiring

    wiring.serve(chosen)
