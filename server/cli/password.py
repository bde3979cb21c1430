"""`viva password`: set the one password of the recruiter's desk."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from server.cli.options import DataDir, say
from server.settings import Settings


def add_to(app: typer.Typer) -> None:
    app.command()(password)


def password(
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read it from standard input, for scripts.")
    ] = False,
    data_dir: DataDir = None,
) -> None:
    """Set the password of the recruiter's desk; whoever is signed in there is signed out. Works
    while the server runs, and when not.
    """
    from server import logins, preflight, settings

    chosen = settings.load(data_dir=data_dir)
    preflight.check_folder(chosen.data_dir)
    given = sys.stdin.readline().rstrip("\r\n") if stdin else _asked()
    try:
        _set(chosen, given)
    except logins.WeakPassword as error:
        raise typer.BadParameter(str(error), param_hint="password") from None
    say("The desk's password is set. Whoever was signed in there has to sign in again.")


def ask_at_start(settings: Settings) -> bool:
    """At a terminal: let the operator set the first password; False where they put it off."""
    from server import logins

    say("The recruiter's desk has no password yet. Set one now, or press Enter to do it later.")
    while given := _asked(may_be_empty=True):
        try:
            _set(settings, given)
        except logins.WeakPassword as error:
            say(str(error))
        else:
            return True
    return False


def _asked(*, may_be_empty: bool = False) -> str:
    """Typed twice, unseen."""
    while True:
        first = _hidden("Password for the desk: ")
        if (not first and may_be_empty) or first == _hidden("The same again: "):
            return first
        say("These two were not the same.")


def _hidden(prompt: str) -> str:
    import getpass

    return getpass.getpass(prompt, stream=sys.stderr)


def _set(settings: Settings, given: str) -> None:
    import asyncio

    from server import logins
    from server.store import Store, sqlite_url

    logins.check_strength(given)
    store = Store(settings.database_url or sqlite_url(settings.data_dir))
    try:
        asyncio.run(logins.set_password(store, given))
    finally:
        store.close()
