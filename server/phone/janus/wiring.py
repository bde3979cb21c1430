"""Makes the bridge of the settings; only the server's wiring and the command line come here."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

from server.phone.accounts import Account
from server.phone.bridge import GatewayState
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.doorkeeper import networks
from server.phone.janus.doors import SipDoors
from server.phone.janus.gateway import Gateway, OwnJanus, RunningJanus
from server.phone.resolver import Unresolved, resolve
from server.settings import Settings

logger = logging.getLogger(__name__)

STATE_FILE = "state.json"
ACCOUNT = "phone"
"""The name of the one account that settings can give."""


def folder_of(settings: Settings) -> Path:
    """Where a Janus of ours has its files."""
    return settings.data_dir / "janus"


def account_of(settings: Settings) -> Account:
    host, port = settings.phone_place
    return Account(
        ACCOUNT,
        settings.phone_user,
        host,
        port,
        password=settings.phone_password.get_secret_value(),
        login=settings.phone_login,
    )


def janus_bridge(
    settings: Settings, *, on_change: Callable[[GatewayState], None] = lambda state: None
) -> JanusBridge:
    """For one event loop; `on_change` is called there. Its state is also kept for `viva doctor`."""
    account = account_of(settings)
    keep = StateFile(folder_of(settings) / STATE_FILE)

    def changed(state: GatewayState) -> None:
        keep(state)
        on_change(state)

    return JanusBridge(
        [account],
        _gateway(settings, account),
        lines=settings.phone_calls,
        srtp=settings.phone_srtp,
        doors=SipDoors(networks(settings.phone_trusted)),
        on_change=changed,
    )


def _gateway(settings: Settings, account: Account) -> Gateway:
    if is_socket(settings.phone_janus):
        secret = settings.phone_janus_secret.get_secret_value()
        return RunningJanus(Path(settings.phone_janus), secret)

    async def towards() -> list[str]:
        try:
            return await resolve(account.host)
        except Unresolved:
            return []

    return OwnJanus(
        folder_of(settings),
        settings.phone_rtp_ports,
        named=settings.phone_janus,
        address=settings.phone_address,
        towards=towards,
    )


def is_socket(named: str) -> bool:
    """Whether this is meant to be a socket of a Janus that runs, be it there or not."""
    return bool(named) and (Path(named).is_socket() or Path(named).suffix == ".sock")


def born(pid: int) -> int:
    """When a process began, in the kernel's ticks: its number may be another's by now. 0: there is
    none."""
    try:
        # Behind the last bracket: the name in them may hold anything.
        told = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2]
        return int(told.split()[19])
    except (OSError, ValueError, IndexError):
        return 0


class StateFile:
    """Keeps the bridge's state where `viva doctor`, another process, reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: GatewayState | None = None
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, state: GatewayState) -> None:
        """On the bridge's loop; writes on a thread, and only the newest."""
        self._newest = state
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while (state := self._newest) is not None:
            self._newest = None
            text = as_json(state)
            try:
                await asyncio.to_thread(_replace, self._path, text)
            except RuntimeError:  # a loop that ends gives no thread any more, and has nothing to do
                _replace(self._path, text)


def as_json(state: GatewayState) -> str:
    accounts = {
        name: {
            "state": one.state,
            "since": one.since.isoformat(timespec="seconds"),
            "reason": one.reason,
        }
        for name, one in state.accounts.items()
    }
    kept = {"state": state.state, "reason": state.reason, "guarded": state.guarded}
    server = {"pid": os.getpid(), "born": born(os.getpid())}
    return json.dumps(
        {**kept, "server": server, "sip_ports": state.sip_ports, "accounts": accounts}
    )


def _replace(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        logger.warning("The phone's state cannot be kept for viva doctor: %s", error)
