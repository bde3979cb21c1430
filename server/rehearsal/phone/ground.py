"""A telephone network on one machine, seen by nobody else: a network namespace with a pair of veth
interfaces, and programs that run in it.

The namespace has no name. The thread that enters it and whatever that thread starts afterwards,
processes as well as threads, live in it; the kernel takes it away with the last of them. So a test
inside `with Ground(folder)` opens sockets, runs a server and starts browsers as it would anywhere.

Started programs die with the thread that started them (`setpriv --pdeathsig`), even if the tests
are killed: start them from the test's own thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

PBX = "10.77.0.1"
"""Where the registrar listens, at port 5060."""
VIVA = "10.77.0.2"
"""For the gateway and the server."""
CALLERS = "10.77.0.3"
"""For telephones."""
STRANGER = "10.77.0.4"
"""For whoever is no extension of this PBX."""
INTERFACES = ("phone0", "phone1")
"""PBX and VIVA are addresses of the first, the others of the second."""

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_LINKS = f"""
link set lo up
link add {INTERFACES[0]} type veth peer name {INTERFACES[1]}
address add {PBX}/24 dev {INTERFACES[0]}
address add {VIVA}/24 dev {INTERFACES[0]}
address add {CALLERS}/24 dev {INTERFACES[1]}
address add {STRANGER}/24 dev {INTERFACES[1]}
link set {INTERFACES[0]} up
link set {INTERFACES[1]} up
"""


def why_not(*programs: str) -> str:
    """Why there can be no such network here, or what is missing in it; empty if nothing is."""
    missing = [one for one in ("ip", "unshare", "setpriv", *programs) if shutil.which(one) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    try:
        with _own_network():
            return ""
    except (OSError, subprocess.CalledProcessError) as refused:
        return f"no network namespace can be made: {refused}"


async def until(
    true: Callable[[], object], within_s: float = 30.0, what: str | Callable[[], str] = ""
) -> None:
    """Poll for a state; the deadline is for what never comes, not for what is slow."""
    give_up = time.monotonic() + within_s
    while not true():
        if time.monotonic() > give_up:
            said = what() if callable(what) else what
            raise TimeoutError(f"not within {within_s:g} s: {said or true}")
        await asyncio.sleep(0.01)


class Running:
    """A program in the network, and what it writes."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, family: bool) -> None:
        self.process, self.log = process, log
        self._family = family

    @property
    def said(self) -> str:
        """All it has written, to standard output and error."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def pid(self) -> int:
        """The program's own; for a family, that of its first process."""
        if self._family:
            mine = self.process.pid
            children = Path(f"/proc/{mine}/task/{mine}/children").read_text(encoding="ascii")
            return int(children.split()[0]) if children.split() else mine
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def freeze(self) -> None:
        """Stop it without ending it: its ports stay open, and nobody answers."""
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone with all its children, and its ports are free."""
        if self.alive:
            self.thaw()
            os.kill(self.pid, signal.SIGKILL)
        self.process.wait()

    async def ended(self, within_s: float = 60.0) -> int:
        """Its exit status, when it ends by itself."""
        await until(lambda: not self.alive, within_s, lambda: f"it still runs: {self.said[-800:]}")
        return self.process.returncode


class Ground:
    """The network, entered by `with`; what was started in it ends when it is left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """For configurations and logs."""
        self._running: list[Running] = []
        self._network = _own_network()

    def __enter__(self) -> Ground:
        self._network.__enter__()
        try:
            subprocess.run(
                ("ip", "-batch", "-"), input=_LINKS.encode(), check=True, capture_output=True
            )
        except BaseException:
            self._network.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for one in reversed(self._running):
                one.kill()
        finally:
            self._network.__exit__(None, None, None)

    def start(self, *command: str, name: str = "", family: bool = False) -> Running:
        """Start a program. `family`: it forks children, which are to end with it."""
        name = name or Path(command[0]).name
        log = self.folder / f"{name}-{len(self._running)}.log"
        before = ["setpriv", "--pdeathsig", "KILL"]
        if family:
            before += ["unshare", "--pid", "--fork", "--kill-child=SIGKILL"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                (*before, *command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self._running.append(Running(process, log, family))
        return self._running[-1]

    def janus(self, folder: Path) -> Running:
        """Janus with the configuration `janus.jcfg` and its plugins' in this folder."""
        return self.start("janus", "-C", str(folder / "janus.jcfg"), "-F", str(folder))

    def sipp(self, scenario: str, *arguments: str, ip: str = CALLERS, port: int = 5070) -> Running:
        """sipp with a scenario of its own XML; `await running.ended()` is 0 if all went to plan."""
        file = self.folder / f"scenario-{len(self._running)}.xml"
        file.write_text(scenario, encoding="utf-8")
        where = ("-i", ip, "-p", str(port), "-nostdin", "-trace_err")
        return self.start("sipp", "-sf", str(file), *where, "-m", "1", *arguments)


@contextmanager
def _own_network() -> Iterator[None]:
    outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_LIBC.unshare(_CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_LIBC.setns(outside, _CLONE_NEWNET))
    finally:
        os.close(outside)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
