"""What `viva doctor` finds out about the phone: the gateway, the registrar, the door."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from server.phone.bridge import PhoneError
from server.phone.janus import program
from server.phone.janus.gateway import local_address
from server.phone.janus.wiring import STATE_FILE, born, folder_of, is_socket
from server.phone.resolver import Unresolved, resolve
from server.settings import Settings

ANSWER_S = 2.0
_STRANGERS = ("127.0.0.1", "127.0.0.77")  # addresses that are this machine's and no PBX's
_OPTIONS = (
    "OPTIONS sip:{user}@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bK{tag};rport\r\n"
    "From: <sip:doctor@{here}>;tag={tag}\r\nTo: <sip:{user}@{host}>\r\nCall-ID: {tag}\r\n"
    "CSeq: 1 OPTIONS\r\nMax-Forwards: 9\r\nContent-Length: 0\r\n\r\n"
)
START = "Start it with: viva serve. One that began before VIVA_PHONE was set: again."
FIREWALL = "Let only the registrar reach that port, by a firewall: docs/phone.md has the rules."


class Told(NamedTuple):
    name: str
    state: Literal["ok", "note", "bad"]
    text: str
    to_do: str = ""


async def examine(settings: Settings) -> AsyncIterator[Told]:
    """Nothing where the phone is off."""
    if not settings.phone:
        return
    yield await asyncio.to_thread(_program, settings)
    async for told in _registrar(settings):
        yield told
    yield await asyncio.to_thread(_sound_ports, settings)
    async for told in _running(settings):
        yield told


def _program(settings: Settings) -> Told:
    named = settings.phone_janus
    if is_socket(named):
        return Told("gateway", "ok", f"The Janus at {named} is used as it is configured.")
    try:
        found = program.find(named)
    except PhoneError as error:
        return Told("gateway", "bad", str(error))
    if other := _debians_own():
        text = f"Debian's own Janus runs, too (process {other}), and listens to everybody."
        return Told("gateway", "note", text, "Stop it: systemctl disable --now janus")
    return Told("gateway", "ok", f"Janus {found.version} in {found.executable}.")


def _debians_own() -> int:
    """The process of the package's service, which is begun by its installation; 0 if there is
    none."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        janus = os.path.basename(command[0]) == b"janus"
        if janus and b"-F" not in command[1:]:
            return int(entry.parent.name)
    return 0


async def _registrar(settings: Settings) -> AsyncIterator[Told]:
    host, port = settings.phone_place
    try:
        address = (await resolve(host))[0]
    except Unresolved as error:
        yield Told("registrar", "bad", f"{error}.", "Correct VIVA_PHONE_REGISTRAR, or the DNS.")
        return
    here = settings.phone_address or await asyncio.to_thread(local_address, [address])
    if await asks(here, (address, port), settings.phone_user):
        yield Told("registrar", "ok", f"{host} ({address}:{port}) speaks SIP.")
    else:
        text = f"Nobody answers SIP at {host} ({address}:{port}, UDP)."
        # Not every provider answers a question of nobody's.
        yield Told("registrar", "note", text, "If calls do not come: a firewall, or the port.")


def _sound_ports(settings: Settings) -> Told:
    first, last = settings.phone_rtp_ports
    needed, width = 2 * settings.phone_calls, last - first + 1
    text = f"UDP ports {first}-{last} for the sound of {settings.phone_calls} calls."
    if width < 2 * needed:  # a call's ports stay taken for a moment after it
        return Told("phone ports", "bad", text, f"Give at least {2 * needed}.")
    return Told("phone ports", "ok", text)


async def _running(settings: Settings) -> AsyncIterator[Told]:
    """What the server keeps of its bridge, where one runs; and whether strangers get in."""
    state = await asyncio.to_thread(kept_state, settings)
    if state is None:
        text = "The phone's server does not run: registration and SIP port are not tried."
        yield Told("phone", "note", text, START)
        return
    if state.get("state") != "up":
        text = (
            f"The gateway is {state.get('state')}: {state.get('reason') or 'no reason is known'}."
        )
        yield Told("phone", "bad", text, "The server's log says more.")
        return
    for name, one in state.get("accounts", {}).items():
        good = one.get("state") == "registered"
        text = f"{name} is {one.get('state')} since {one.get('since')}. {one.get('reason', '')}"
        yield Told("registration", "ok" if good else "bad", text.strip())
    host, _ = settings.phone_place
    here = settings.phone_address or await asyncio.to_thread(local_address, await _known(host))
    reached = [
        port for port in state.get("sip_ports", ()) if await _lets_in(here, int(port), settings)
    ]
    if reached:
        text = f"Anybody who reaches this machine can call Janus at UDP port {reached[0]}."
        yield Told("SIP port", "bad", text, FIREWALL)
    elif not state.get("sip_ports"):
        text = "The SIP port cannot be seen, so nobody knows who reaches it."
        yield Told("SIP port", "note", text, FIREWALL)
    else:
        yield Told("SIP port", "ok", "A stranger's SIP is not heard.")


async def _known(host: str) -> list[str]:
    try:
        return await resolve(host)
    except Unresolved:
        return []


def kept_state(settings: Settings) -> dict[str, Any] | None:
    """The state that a server with a telephone wrote, if that server is alive. None: none runs on
    this data folder."""
    try:
        file = folder_of(settings) / STATE_FILE
        state = json.loads(file.read_text(encoding="utf-8"))
        server = state["server"]
        runs = born(server["pid"]) == server["born"] != 0 and state["state"] != "stopped"
        return state if runs else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def _lets_in(here: str, port: int, settings: Settings) -> bool:
    for stranger in _STRANGERS:
        if stranger not in await _known(settings.phone_place[0]):
            return await asks(stranger, (here, port), settings.phone_user)
    return False


async def asks(sender: str, to: tuple[str, int], user: str) -> bool:
    """Whether SIP's OPTIONS from this address is answered within `ANSWER_S`."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        try:
            asking.bind((sender, 0))
            await loop.sock_connect(asking, to)
            where = f"{sender}:{asking.getsockname()[1]}"
            tag = os.urandom(8).hex()
            question = _OPTIONS.format(user=user, host=to[0], here=where, tag=tag)
            await loop.sock_sendall(asking, question.encode())
            async with asyncio.timeout(ANSWER_S):
                return (await loop.sock_recv(asking, 65535)).startswith(b"SIP/2.0 ")
        except (OSError, TimeoutError):
            return False
