"""`viva phone test`: a call through the operator's PBX, to hear whether telephones can talk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.options import say

if TYPE_CHECKING:
    from server.phone.softphone.phone import Phone
    from server.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Telephones and the PBX.", rich_markup_mode=None)


@app.callback()
def phone() -> None:
    """Telephones and the PBX."""


@app.command()
def test(
    to: Annotated[str, typer.Option(help="The extension or number to call.")],
    registrar: Annotated[
        str | None, typer.Option(help="The PBX: host or host:port [VIVA_PHONE_REGISTRAR].")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="The extension to call from [VIVA_PHONE_USER].")
    ] = None,
    password_stdin: Annotated[
        bool,
        typer.Option(
            "--password-stdin",
            help="Read the password from standard input [VIVA_PHONE_PASSWORD, or it is asked for].",
        ),
    ] = False,
    address: Annotated[
        str | None, typer.Option(help="This machine's address towards it [VIVA_PHONE_ADDRESS].")
    ] = None,
    register: Annotated[
        bool, typer.Option(help="Register first; --no-register calls at once.")
    ] = True,
    keys: Annotated[str, typer.Option(help="Keys to press after the tones.")] = "",
    seconds: Annotated[float, typer.Option(help="How long to listen.", min=2, max=600)] = 10.0,
    srtp: Annotated[bool, typer.Option("--srtp", help="Demand encrypted sound (SDES).")] = False,
    wav: Annotated[Path | None, typer.Option(help="Write what was heard to this WAV file.")] = None,
) -> None:
    """Call an extension as a telephone does: play three tones, listen, and say what came back.
    Exit code 1 if there was no call, or no sound packet came.
    """
    import asyncio

    from server import settings
    from server.phone.softphone import trial

    chosen = settings.load(phone_registrar=registrar, phone_user=user, phone_address=address)
    if not chosen.phone_registrar or not chosen.phone_user:
        raise settings.SettingsError(
            "Say which PBX and which extension: --registrar and --user, or VIVA_PHONE_REGISTRAR"
            " and VIVA_PHONE_USER."
        )
    _check_keys(keys)
    telephone = _telephone(chosen, _password(chosen, user, password_stdin), register, srtp)
    found = asyncio.run(trial.hold(telephone, to, keys=keys, listen_s=seconds, say=say))
    for line in found.told():
        typer.echo(line)
    if wav is not None:
        _write(wav, found.heard.tobytes())
    if not found.good:
        raise typer.Exit(1)


def _check_keys(keys: str) -> None:
    from server.phone.softphone.telephone_event import KEYS

    if strange := "".join(sorted(set(keys.upper()) - set(KEYS))):
        raise typer.BadParameter(f"no keys of a telephone: {strange}", param_hint="--keys")


def _password(chosen: Settings, user: str | None, stdin: bool) -> str:
    """That of the settings belongs to the user of the settings, and to no other."""
    import getpass

    from server import settings

    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    kept = chosen.phone_password.get_secret_value()
    if kept and user in (None, settings.load().phone_user):
        return kept
    return getpass.getpass(f"Password of {chosen.phone_user}: ", stream=sys.stderr)


def _telephone(chosen: Settings, password: str, register: bool, srtp: bool) -> Phone:
    import secrets

    from server.phone.softphone import trial
    from server.phone.softphone.options import Options
    from server.phone.softphone.phone import Phone

    return Phone(
        chosen.phone_address,
        chosen.phone_registrar,
        chosen.phone_user,
        password,
        seed=secrets.randbelow(1 << 30),
        options=Options(srtp=srtp),
        answering=None,
        register=register,
        timers=trial.quick(),
    )


def _write(file: Path, pcm: bytes) -> None:
    import wave

    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(pcm)
