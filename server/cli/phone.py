"""`viva phone test | call | number`: whether telephones can talk, and having a candidate called."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from server.cli.options import DataDir, say

if TYPE_CHECKING:
    from server.phone.softphone.phone import Phone
    from server.settings import Settings
    from server.store import CallOut, Store

T = TypeVar("T")
NO_SERVER = (
    "No server with a telephone runs on this data folder: the call is kept, and made by the next"
    " one that does."
)

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
    Exit code 1 if there was no call, or no packet came.
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
    own = user in (None, settings.load().phone_user)
    word = _password(chosen, own, password_stdin)
    telephone = _telephone(chosen, word, chosen.phone_login if own else "", register, srtp)
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


def _password(chosen: Settings, own: bool, stdin: bool) -> str:
    """That of the settings belongs to the user of the settings (`own`), and to no other."""
    import getpass

    if stdin:
        return sys.stdin.readline().rstrip("\r\n")
    kept = chosen.phone_password.get_secret_value()
    if kept and own:
        return kept
    return getpass.getpass(f"Password of {chosen.phone_user}: ", stream=sys.stderr)


def _telephone(chosen: Settings, password: str, login: str, register: bool, srtp: bool) -> Phone:
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
        login=login,
    )


def _write(file: Path, pcm: bytes) -> None:
    import wave

    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(pcm)


@app.command()
def call(
    interview: Annotated[str, typer.Option(help="The interview's id.")],
    to: Annotated[str, typer.Option(help="The candidate's number, with its country: +49 30 1234.")],
    zone: Annotated[
        str,
        typer.Option(help="The candidate's time zone, such as Europe/Berlin [VIVA_PHONE_ZONE]."),
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Have a candidate called, as soon as hours and caps allow. The running server makes the call;
    where none runs, this says so. Exit code 1 if it is refused.
    """
    import asyncio
    import time

    from server import interviews
    from server.phone.janus.examine import START, kept_state

    def ask(store: Store, chosen: Settings) -> tuple[CallOut, bool]:
        made = asyncio.run(interviews.call(store, chosen, interview, to, zone, time.time()))
        return made, kept_state(chosen) is not None

    made, served = _with_store(data_dir, ask)
    typer.echo(f"{made.number} is called {_when(made.not_before, made.zone)}.")
    if not served:
        say(f"{NO_SERVER} {START}")


@app.command()
def number(
    interview: Annotated[str, typer.Option(help="The interview's id.")],
    number: Annotated[
        str, typer.Option(help="A number with its country, or an extension of the PBX.")
    ] = "",
    days: Annotated[float, typer.Option(help="Days for which it is kept.", min=0.01, max=366)] = 14,
    forget: Annotated[
        bool, typer.Option("--forget", help="Give it back; without --number, all of the interview.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Keep a number or an extension for one interview: who calls it, or calls from it, is greeted
    as its candidate. The PIN is asked for all the same.
    """
    import asyncio

    from server.interviews import DAY_S
    from server.phone.pins import Pins, pin_key

    kept = _digits(number) if number or not forget else ""

    def keep(store: Store, chosen: Settings) -> int:
        pins = Pins(store, pin_key(chosen))
        if forget:
            return asyncio.run(pins.give_back(interview, kept))
        asyncio.run(pins.reserve(interview, kept, days * DAY_S))
        return 1

    count = _with_store(data_dir, keep)
    if not count:
        raise PhoneRefused(f"{kept or 'A number'} is not kept for interview {interview}.")
    if forget:
        typer.echo(f"Given back: {kept or f'{count} kept for interview {interview}'}.")
    else:
        typer.echo(f"{kept} is kept for interview {interview} for {days:g} days.")


def _digits(written: str) -> str:
    """As the caller's and the dialled number are compared."""
    from server.phone.numbers import spelled

    if not (kept := spelled(written)):
        raise typer.BadParameter(
            "write 2 to 20 digits, with a plus at most before", param_hint="--number"
        )
    return kept


def _when(at: float, zone: str) -> str:
    import time
    from datetime import datetime
    from zoneinfo import ZoneInfo

    if at <= time.time() + 1:
        return "as soon as the server has a line free"
    local = datetime.fromtimestamp(at, ZoneInfo(zone))
    return f"at {local.strftime('%Y-%m-%d %H:%M')} ({zone})"


class PhoneRefused(Exception):
    """Why not, in a sentence."""


def _why(refused: Exception) -> str:
    from server.phone.pins import NumberTaken

    if isinstance(refused, NumberTaken):
        return f"{refused} is kept for another interview."
    return f"There is no interview {refused} here that could be called."


def _with_store(data_dir: Path | None, do: Callable[[Store, Settings], T]) -> T:
    """What it comes to; works while the server runs, too."""
    from server import preflight, settings
    from server.phone.pins import NumberTaken
    from server.store import Store, UnknownInterview, sqlite_url

    chosen = settings.load(data_dir=data_dir)
    preflight.check_folder(chosen.data_dir)
    store = Store(chosen.database_url or sqlite_url(chosen.data_dir))
    try:
        return do(store, chosen)
    except (UnknownInterview, NumberTaken) as refused:
        raise PhoneRefused(_why(refused)) from None
    finally:
        store.close()
