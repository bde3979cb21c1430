"""Whether this machine can hold a rehearsal by telephone, and what it lacks.

Root makes a network of its own; anybody else is root in a user namespace of their own first, where
the kernel allows that. Such a namespace takes a process with one thread, so the whole command is
begun again in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

PACKAGES = {
    "janus": "janus",
    "kamailio": "kamailio",
    "ip": "iproute2",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""Which Debian package has each program."""
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")
VIVA = (sys.executable, "-c", "from server.cli import main; main()")


def why_not() -> str:
    """A sentence or two; empty where nothing is missing."""
    missing = [name for name in PACKAGES if shutil.which(name, path=_path()) is None]
    if missing:
        packages = " ".join(dict.fromkeys(PACKAGES[name] for name in missing))
        return (
            f"A rehearsal by telephone needs {', '.join(missing)}, not installed here. Install"
            f" with: apt-get install {packages}"
        )
    command = ("unshare", "--net", "true") if os.geteuid() == 0 else (*NAMESPACE, "true")
    tried = subprocess.run(command, capture_output=True, text=True)
    if tried.returncode == 0:
        return ""
    return (
        "A rehearsal by telephone needs a network of its own, which this user may not make here"
        f" ({tried.stderr.strip()[-200:]}). Run it as root, or allow user namespaces."
    )


def enter(*command: str) -> None:
    """Does not return where this program has to begin again as the root of a namespace: `command`,
    by default viva's, with the arguments that it was started with."""
    os.environ["PATH"] = _path()
    if os.geteuid() != 0:
        os.execvp(NAMESPACE[0], (*NAMESPACE, *(command or VIVA), *sys.argv[1:]))


def _path() -> str:
    """Debian's daemons are not on the path of everybody."""
    return os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin:/sbin"
