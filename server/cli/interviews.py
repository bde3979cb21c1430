"""`viva invite`: make an interview from a plan, and the link that lets its candidate in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import DataDir, PublicUrl, say

DAY_S = 86_400


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
    from server import microphone_url, preflight, settings, stand_ins
    from server.api.models import NAME_LENGTH, one_line
    from server.invites import Invites, Issued, invite_url
    from server.store import Store, sqlite_url

    if len(name) > NAME_LENGTH:
        raise typer.BadParameter(f"at most {NAME_LENGTH} characters", param_hint="--name")
    chosen = settings.load(data_dir=data_dir, public_url=public_url, invite_days=days)
    microphone_url.check(chosen)
    read = planfile.load(plan)
    preflight.check_folder(chosen.data_dir)

    async def make(store: Store) -> Issued:
        record = await store.create_interview(
            read,
            candidate_name=one_line(name),
            time_factor=read.policy.extra_time_factor if extra_time else 1.0,
            rehearsal=bool(stand_ins.of(chosen)),
        )
        return await Invites(store).issue(record.interview_id, chosen.invite_days * DAY_S)

    store = Store(chosen.database_url or sqlite_url(chosen.data_dir))
    try:
        issued = asyncio.run(make(store))
    finally:
        store.close()
    url = invite_url(chosen, issued.token)
    until = datetime.fromtimestamp(issued.expires_at).astimezone().isoformat(" ", "minutes")
    if as_json:
        found = {"interview_id": issued.interview_id, "token": issued.token, "url": url}
        typer.echo(json.dumps({**found, "expires_at": issued.expires_at}))
        return
    typer.echo(url)
    say(f"Interview {issued.interview_id}; the link is good until {until}.")
