"""`viva invite`: make an interview from a plan, and the link that lets its candidate in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import DataDir, PublicUrl, say

NOBODY_THERE = (
    "No Viva server answers at {url} now. The address is that of VIVA_PUBLIC_URL, or of VIVA_HOST"
    " and VIVA_PORT: what was given to `viva serve` alone, such as --port, is not known here."
)


def add_to(app: typer.Typer) -> None:
    app.command()(invite)


def invite(
    plan: Annotated[Path, typer.Argument(help="The plan, YAML or JSON.")],
    name: Annotated[str, typer.Option(help="The candidate's name.")] = "",
    extra_time: Annotated[
        bool, typer.Option("--extra-time", help="More time, as the plan's accommodation says.")
    ] = False,
    days: Annotated[float | None, typer.Option(help="Days for which it is good [14].")] = None,
    data_dir: DataDir = None,
    public_url: PublicUrl = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an interview and print the candidate's link. Works while the server runs, and when
    not.
    """
    import asyncio

    from agent import planfile
    from server import interviews, microphone_url, preflight, running, settings
    from server.api.models import NAME_LENGTH, one_line
    from server.invites import Invites
    from server.phone.pins import new_pins, shown
    from server.store import Store, sqlite_url

    if len(name) > NAME_LENGTH:
        raise typer.BadParameter(f"at most {NAME_LENGTH} characters", param_hint="--name")
    chosen = settings.load(data_dir=data_dir, public_url=public_url, invite_days=days)
    microphone_url.check(chosen)
    read = planfile.load(plan)
    preflight.check_folder(chosen.data_dir)

    async def make(store: Store) -> interviews.Link:
        record = await interviews.make(
            store, chosen, read, candidate_name=one_line(name), extra_time=extra_time
        )
        invites = Invites(store, new_pin=new_pins(chosen, store))
        return await interviews.invite(invites, chosen, record.interview_id)

    store = Store(chosen.database_url or sqlite_url(chosen.data_dir))
    try:
        link = asyncio.run(make(store))
    finally:
        store.close()
    until = datetime.fromtimestamp(link.expires_at).astimezone().isoformat(" ", "minutes")
    if as_json:
        found = {"interview_id": link.interview_id, "token": link.token, "url": link.url}
        if link.pin:
            found |= {"pin": link.pin, "phone_number": link.phone_number}
        typer.echo(json.dumps({**found, "expires_at": link.expires_at}))
        return
    typer.echo(link.url)
    if link.pin:
        at = f" at {link.phone_number}" if link.phone_number else ""
        typer.echo(f"By telephone{at}: PIN {shown(link.pin)}")
    elif chosen.phone_forgotten:
        say(f"No PIN. {chosen.phone_forgotten}")
    say(f"Interview {link.interview_id}; the link is good until {until}.")
    # A public address is somebody else's to answer, and may not be reached from here.
    if not chosen.public_url and not asyncio.run(running.answers(chosen)):
        say(NOBODY_THERE.format(url=chosen.base_url))
