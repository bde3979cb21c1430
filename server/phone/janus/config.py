"""Janus's configuration, written anew at each start: the SIP plugin, a unix socket, nothing else.

Everything lies in a folder that only its owner enters, because Janus makes its socket open to all,
and because a few of its requests are answered without the secret.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from server.phone.accounts import TTL_S
from server.phone.janus.program import SIP_PLUGIN, UNIX_TRANSPORT, Program

SOCKET = "janus.sock"
LOG_LEVEL = 4
"""Warnings and notices. From 5 on passwords are logged."""
SESSION_TIMEOUT_S = 60
USER_AGENT = "Viva"


@dataclass(frozen=True)
class Gateway:
    """What a Janus of ours is told."""

    folder: Path
    address: str
    """IPv4 address of the SIP leg, signalling and sound; one of this machine's."""
    rtp_ports: tuple[int, int]
    """UDP, for the sound between PBX and Janus."""
    secret: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)

    @property
    def socket(self) -> Path:
        return self.folder / SOCKET


def write(program: Program, gateway: Gateway) -> list[str]:
    """Makes the folder and its files; returns the command that starts Janus, for that folder as
    the working directory. Raises `OSError`."""
    folder = gateway.folder
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    (folder / "none").mkdir(exist_ok=True)
    for name, text in texts(program, gateway).items():
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o600)
    return [str(program.executable), "-C", str(folder / "janus.jcfg"), "-F", str(folder)]


def texts(program: Program, gateway: Gateway) -> dict[str, str]:
    """Each file's text, by its name."""
    first, last = gateway.rtp_ports
    return {
        "janus.jcfg": _file(
            general={
                "configs_folder": str(gateway.folder),
                "plugins_folder": str(program.plugins),
                "transports_folder": str(program.transports),
                # An empty folder: no event handler and no logger is wanted.
                "events_folder": str(gateway.folder / "none"),
                "loggers_folder": str(gateway.folder / "none"),
                "debug_level": LOG_LEVEL,
                "debug_colors": False,
                "api_secret": gateway.secret,
                "session_timeout": SESSION_TIMEOUT_S,
                # A server that died is no reason for silence: its callers hear a BYE at once.
                "reclaim_session_timeout": 0,
                "hide_dependencies": True,
            },
            media={"ipv6": False},
            nat={"ignore_mdns": True, "nice_debug": False},
            plugins={"disable": _others(program.plugins, SIP_PLUGIN)},
            transports={"disable": _others(program.transports, UNIX_TRANSPORT)},
            events={"broadcast": False},
        ),
        "janus.plugin.sip.jcfg": _file(
            general={
                "local_ip": gateway.address,
                "sdp_ip": gateway.address,
                "keepalive_interval": 0,
                "behind_nat": False,
                "user_agent": USER_AGENT,
                "register_ttl": TTL_S,
                "rtp_port_range": f"{first}-{last}",
                "events": False,
            }
        ),
        "janus.transport.pfunix.jcfg": _file(
            # Without its folder: the working directory is that, and a socket's path is short.
            general={"enabled": True, "json": "compact", "path": SOCKET, "type": "SOCK_SEQPACKET"},
            admin={"admin_enabled": False},
        ),
    }


def _others(folder: Path, ours: str) -> str:
    return ",".join(sorted(found.name for found in folder.glob("*.so") if found.name != ours))


def _file(**sections: dict[str, str | int | bool]) -> str:
    return "\n".join(f"{name}: {{\n{_lines(items.items())}}}" for name, items in sections.items())


def _lines(items: Iterable[tuple[str, str | int | bool]]) -> str:
    return "".join(f"\t{name} = {_value(value)}\n" for name, value in items)


def _value(value: str | int | bool) -> str:
    """As libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if not value.isprintable():
        raise ValueError(f"{value!r} cannot stand in a configuration")
    return '"{}"'.format(value.replace("\\", "\\\\").replace('"', '\\"'))
