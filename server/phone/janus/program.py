"""Where Janus lies on this machine, and whether it is one that this bridge knows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.phone.bridge import GatewayMissing, GatewayTooOld

OLDEST = (1, 1, 2)
"""Debian 12's. Older ones were never tried."""
SIP_PLUGIN = "libjanus_sip.so"
UNIX_TRANSPORT = "libjanus_pfunix.so"
PREFIXES = (Path("/usr"), Path("/usr/local"), Path("/opt/janus"))
_INSTALL = "Install it with: apt-get install janus"
_VERSION = re.compile(r"Janus version: \d+ \((\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Program:
    executable: Path
    plugins: Path
    """Its folder of plugins, with the SIP plugin in it."""
    transports: Path
    version: str


def find(named: str = "") -> Program:
    """The Janus of a path, or the one on the PATH. Runs it once, for its version. Raises
    `GatewayMissing`, `GatewayTooOld`."""
    found = shutil.which(named or "janus")
    if found is None:
        where = f"at {named}" if named else "on this machine"
        raise GatewayMissing(f"There is no Janus {where}. {_INSTALL}")
    executable = Path(found)
    version = _version(executable)
    if version < OLDEST:
        raise GatewayTooOld(
            f"{executable} is Janus {_dotted(version)}; at least {_dotted(OLDEST)} is needed."
            " Debian 12 has it; see docs/phone.md"
        )
    homes = list(_homes(executable))
    return Program(
        executable,
        _folder(homes, "plugins", SIP_PLUGIN),
        _folder(homes, "transports", UNIX_TRANSPORT),
        _dotted(version),
    )


def _version(executable: Path) -> tuple[int, int, int]:
    try:
        ran = subprocess.run(
            [executable, "--version"], capture_output=True, timeout=10, text=True, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GatewayMissing(f"{executable} does not run: {error}.") from error
    if not (told := _VERSION.search(ran.stdout + ran.stderr)):
        raise GatewayMissing(f"{executable} does not tell its version: it is no Janus. {_INSTALL}")
    return int(told[1]), int(told[2]), int(told[3])


def _homes(executable: Path) -> Iterator[Path]:
    """Where distributions and `make install` put a program's parts, the program's own prefix
    first: lib/x86_64-linux-gnu/janus, lib/aarch64-linux-gnu/janus, lib64/janus, lib/janus."""
    own = executable.resolve().parent.parent
    for prefix in dict.fromkeys((own, *PREFIXES)):
        for lib in ("lib/*-linux-*", "lib64", "lib"):
            yield from sorted(prefix.glob(f"{lib}/janus"))


def _folder(homes: list[Path], kind: str, needed: str) -> Path:
    for home in homes:
        if os.access(home / kind / needed, os.R_OK):
            return home / kind
    raise GatewayMissing(f"Janus has no {needed}: its package was built without it. {_INSTALL}")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
