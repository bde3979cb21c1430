"""A Janus of ours as a process: started, watched, ended, and never two of one folder."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from server.phone.bridge import GatewayLost
from server.phone.janus.config import SOCKET
from server.phone.janus.health import Health, thread_seconds
from server.phone.janus.log import LogTail

logger = logging.getLogger(__name__)

PID_FILE = "janus.pid"
START_S = 10.0
STOP_S = 3.0
LOOK_EVERY_S = 1.0
_PIECE = 1 << 16


class JanusProcess:
    """One run of the program. Made by `start`; `ended` tells why it is over."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process, self._folder = process, folder
        self.log = LogTail()
        self._printing = asyncio.create_task(self._read(), name="janus-log")

    @classmethod
    async def start(cls, command: Sequence[str], folder: Path) -> JanusProcess:
        """Ends one that an earlier server left behind. Raises `OSError`."""
        await asyncio.to_thread(end_leftover, folder)
        await asyncio.to_thread(_tidy, folder)
        process = await asyncio.create_subprocess_exec(
            *_bound_to_us(command),
            cwd=folder,
            env={"LANG": "C.UTF-8"},  # nothing of ours: there are secrets in it
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is ours to pass on
        )
        await asyncio.to_thread((folder / PID_FILE).write_text, str(process.pid))
        return cls(process, folder)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    async def wait_for(self, path: Path, within_s: float = START_S) -> None:
        """Until its socket is there; raises `GatewayLost` where it ends, or takes too long."""
        if not await asyncio.to_thread(self._appears, path, within_s):
            last = "; ".join(list(self.log.lines)[-3:])
            raise GatewayLost(f"Janus did not start. It said last: {last or 'nothing'}")

    def _appears(self, path: Path, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self.running and time.monotonic() < until:
            if path.is_socket():
                return True
            time.sleep(0.02)
        return False

    async def ended(self) -> str:
        """Waits until it has ended, or has to; returns why."""
        health, died = Health(), asyncio.ensure_future(self._process.wait())
        try:
            while True:
                done, _ = await asyncio.wait((died,), timeout=LOOK_EVERY_S)
                if done:
                    return _how(died.result())
                cpu = await asyncio.to_thread(thread_seconds, self.pid)
                if reason := health.look(time.monotonic(), cpu, self.log.bytes):
                    return reason
        finally:
            died.cancel()

    async def stop(self) -> None:
        """It says goodbye to the registrar if it can, and is gone afterwards."""
        for number, grace_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
            if not self.running:
                break
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        self._printing.cancel()
        await asyncio.gather(self._printing, return_exceptions=True)
        await asyncio.to_thread(_tidy, self._folder)

    async def _read(self) -> None:
        """Always, and fast: what is not read stays in Janus's memory, without bound."""
        assert self._process.stdout is not None
        while piece := await self._process.stdout.read(_PIECE):
            for line in self.log.feed(piece, time.monotonic()):
                logger.info("Janus: %s", line)


def _tidy(folder: Path) -> None:
    """A socket of a Janus that was killed would look like the new one's."""
    for name in (PID_FILE, SOCKET):
        (folder / name).unlink(missing_ok=True)


def _bound_to_us(command: Sequence[str]) -> list[str]:
    """A server that is killed takes its Janus with it, where util-linux's setpriv is there."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else list(command)


def _how(status: int) -> str:
    if status < 0:
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it ended with status {status}"


def end_leftover(folder: Path) -> None:
    """The process of an earlier server in this folder. Only one that was started for this folder:
    a process number may long belong to somebody else."""
    try:
        pid = int((folder / PID_FILE).read_text(encoding="ascii"))
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return
    if os.fsencode(folder) not in command:
        return
    logger.warning("Ending the Janus that an earlier server left behind (process %d)", pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if _over(pid, number):
            return


def _over(pid: int, number: signal.Signals) -> bool:
    """Send the signal; whether the process is gone within `STOP_S`."""
    until = time.monotonic() + STOP_S
    try:
        os.kill(pid, number)
        while time.monotonic() < until:
            time.sleep(0.05)
            os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
