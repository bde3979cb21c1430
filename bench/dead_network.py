"""A network of one's own that can be cut: a namespace with nothing but loopback, and nftables rules
that swallow packets without an answer, as a network does that is gone.

    why_not()     why it cannot be had here
    enter(...)    run this program again inside of one
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
INSIDE = "VIVA_BENCH_NAMESPACE"
TABLE = "inet viva_bench"
TRY = f"add table {TABLE}; delete table {TABLE}"


def why_not() -> str:
    """Why no such network can be had here; empty if one can."""
    for tool in ("unshare", "nft"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    tried = subprocess.run(("unshare", "-rn", "nft", TRY), capture_output=True, text=True)
    return tried.stderr.strip()[-300:] if tried.returncode else ""


def inside() -> bool:
    return INSIDE in os.environ


def enter(module: str, arguments: Sequence[str]) -> NoReturn:
    """Become this module again, inside."""
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ("unshare", "-rn", sys.executable, "-m", module, *arguments))


def loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


class Network:
    """Between a browser and a server on this port: all of UDP, and TCP to and from the port."""

    def __init__(self, port: int) -> None:
        drop = ("meta l4proto udp drop", f"tcp dport {port} drop", f"tcp sport {port} drop")
        self._chain = f"{TABLE} lost"
        self._rules = "\n".join(f"add rule {self._chain} {rule}" for rule in drop)
        hook = "{ type filter hook input priority 0; policy accept; }"
        _nft(f"add table {TABLE}\nadd chain {self._chain} {hook}")

    def cut(self) -> None:
        _nft(self._rules)

    def mend(self) -> None:
        _nft(f"flush chain {self._chain}")


def _nft(commands: str) -> None:
    subprocess.run(("nft", "-f", "-"), input=commands, text=True, check=True)
