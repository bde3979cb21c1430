"""Runs a command in a network namespace that has loopback only, and counts what it tried to send
elsewhere: the kernel counts each connection, datagram and name look-up that found no route.

    unshare -rn python alone.py FILE COMMAND...
"""

from __future__ import annotations

import fcntl
import json
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SIOCSIFFLAGS = 0x8914
IFF_UP = 1
ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses of nobody, for documentation."""


@dataclass(frozen=True)
class Told:
    """What a run in a namespace of its own came to."""

    status: int
    interfaces: list[str]
    attempts: int
    """Of the command's, to leave the machine."""
    noticed: int
    """Of two that were made on purpose afterwards: that the counting counts."""


def why_not() -> str:
    """Why no namespace can be had here; empty if one can."""
    if shutil.which("unshare") is None:
        return "there is no unshare"
    probe = ("unshare", "-rn", sys.executable, __file__, "/dev/null", "true")
    tried = subprocess.run(probe, capture_output=True, text=True, timeout=60)
    return tried.stderr.strip()[-300:] if tried.returncode else ""


def run(out: Path, command: Sequence[str], within_s: float) -> Told:
    subprocess.run(
        ("unshare", "-rn", sys.executable, __file__, str(out), *command),
        timeout=within_s,
        check=True,
    )
    return Told(**json.loads(out.read_text(encoding="utf-8")))


def _attempts() -> int:
    names, values = (
        line.split()
        for line in Path("/proc/net/snmp").read_text(encoding="ascii").splitlines()
        if line.startswith("Ip:")
    )
    six = dict(map(str.split, Path("/proc/net/snmp6").read_text(encoding="ascii").splitlines()))
    return int(values[names.index("OutNoRoutes")]) + int(six["Ip6OutNoRoutes"])


def _loopback_up() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def _try_to_leave() -> None:
    for family, address in ELSEWHERE:
        with socket.socket(family, socket.SOCK_STREAM) as one:
            if one.connect_ex((address, 9)) == 0:
                raise SystemExit("this is no namespace of its own: something answered")


def main() -> None:
    out, *command = sys.argv[1:]
    _loopback_up()
    interfaces = [name for _, name in socket.if_nameindex()]
    before = _attempts()
    status = subprocess.run(command).returncode
    after = _attempts()
    _try_to_leave()
    told = Told(status, interfaces, after - before, _attempts() - after)
    Path(out).write_text(json.dumps(vars(told)), encoding="utf-8")


if __name__ == "__main__":
    main()
