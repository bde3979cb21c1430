"""A program that serves Janus's socket, takes a registration and a call, and then spins: in its
first life only. Started as Janus is, `spinning_janus.py -C FILE -F FOLDER`; needs no package of its
own beside it. `install` lays it out as an installation.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from pathlib import Path

FIRST_LIFE = "spun"


def install(prefix: Path) -> Path:
    """The program of an installation of Janus, as `server.phone.janus.program` finds one."""
    for kind, name in (("plugins", "libjanus_sip.so"), ("transports", "libjanus_pfunix.so")):
        folder = prefix / "lib" / "janus" / kind
        folder.mkdir(parents=True)
        (folder / name).touch()
    (prefix / "bin").mkdir()
    executable = prefix / "bin" / "janus"
    path = [str(Path(__file__).parent), str(Path(__file__).parents[3])]
    executable.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path[:0] = {path!r}\n"
        "if '--version' in sys.argv:\n    sys.exit(print('Janus version: 1102 (1.1.2)'))\n"
        "import spinning_janus\nspinning_janus.main(sys.argv[-1])\n"
    )
    executable.chmod(0o755)
    return executable


def main(folder: str) -> None:
    asyncio.run(_live(Path(folder)))


async def _live(folder: Path) -> None:
    import fake_janus

    from server.rehearsal.phone.ground import until

    told = (folder / "janus.jcfg").read_text(encoding="utf-8")
    fake_janus.SECRET = re.findall(r'api_secret = "(\w+)"', told)[0]
    janus = fake_janus.FakeJanus(folder)
    await janus.up()
    # The master's, and a helper's once it is registered.
    await until(lambda: len(janus.handles) > 1, 60, lambda: str(janus.asked))
    janus.rings(janus.handles[0])
    marker = folder / FIRST_LIFE
    if not marker.exists():
        marker.touch()
        threading.Thread(target=_spin, daemon=True).start()
    await asyncio.sleep(3600)


def _spin() -> None:
    while True:
        pass
