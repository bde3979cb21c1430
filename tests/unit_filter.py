"""A unit's filter of system calls, put on a program as systemd would: `unit_filter.py UNIT
COMMAND…`.

Of the unit's other bounds its capabilities are kept, and `NoNewPrivileges`. systemd itself is asked
which calls a group holds, and libseccomp, which it uses, for their numbers.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM  # SystemCallErrorNumber
_UNKNOWN = -1  # __NR_SCMP_ERROR: another architecture's


def why_not() -> str:
    """What is missing here; empty if nothing is."""
    missing = [one for one in ("systemd-analyze", "setpriv") if shutil.which(one) is None]
    missing += ["libseccomp"] * (ctypes.util.find_library("seccomp") is None)
    return f"not installed: {', '.join(missing)}" if missing else ""


def command(unit: Path, *program: str) -> list[str]:
    """Runs a program of ours in the bounds of a unit."""
    kept = re.findall(r"(?m)^AmbientCapabilities=CAP_(\w+)$", unit.read_text(encoding="utf-8"))
    bounds = ",".join(("-all", *(f"+{one.lower()}" for one in kept)))
    caps = ("--bounding-set", bounds, "--inh-caps", bounds, "--ambient-caps", bounds)
    drop = caps if os.geteuid() == 0 else ()
    before = ("setpriv", *drop, "--no-new-privs", sys.executable, __file__, str(unit))
    return [*before, *program]


def allowed(unit: str) -> set[str]:
    """The system calls of a unit's text."""
    words = [word for line in _filters(unit) for word in line.split()]
    assert not any(word.startswith("~") for word in words), "a list of what is forbidden"
    return {name for word in ("@default", *words) for name in _calls(word)}


def _filters(unit: str) -> list[str]:
    return re.findall(r"(?m)^SystemCallFilter=(.*)$", unit)


def _calls(word: str) -> set[str]:
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(
        ("systemd-analyze", "--no-pager", "syscall-filter", word),
        capture_output=True,
        text=True,
        check=True,
    )
    inside = [line.strip() for line in told.stdout.splitlines()[1:]]
    return {call for one in inside if one and one[0] != "#" for call in _calls(one)}


def confine(names: set[str]) -> None:
    """From here on this process, and whatever it starts, may make no other call."""
    library = ctypes.CDLL(ctypes.util.find_library("seccomp"), use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    bounds = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_REFUSE)))
    for name in sorted(names):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number != _UNKNOWN:
            library.seccomp_rule_add(bounds, ctypes.c_uint32(_ALLOW), number, 0)
    if library.seccomp_load(bounds) != 0:
        raise OSError("the kernel does not take the filter")


if __name__ == "__main__":
    confine(allowed(Path(sys.argv[1]).read_text(encoding="utf-8")))
    os.execvp(sys.argv[2], sys.argv[2:])
