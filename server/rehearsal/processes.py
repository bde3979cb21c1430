"""The real server as a child: started as an operator starts it, in a process group of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from server.rehearsal.client import Operator

UP_WITHIN_S = 60.0
STOP_WITHIN_S = 15.0
COMMAND = (sys.executable, "-c", "from server.cli import main; main()", "serve")


class ServerFailed(Exception):
    """The server did not come up; the message ends with the last lines of its log."""


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServerProcess:
    """`start`, then `kill` and `start` as often as wanted, then `stop`."""

    name = "server"

    def __init__(self, settings: Mapping[str, str], port: int, log: Path) -> None:
        self.base_url = f"http://127.0.0.1:{port}"
        self._settings = {**settings, "VIVA_HOST": "127.0.0.1", "VIVA_PORT": str(port)}
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that was started last."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Until it answers. Raises `ServerFailed`."""
        mine = {k: v for k, v in os.environ.items() if not k.startswith("VIVA_")}
        with self._log.open("ab") as log:
            # The call only forks; reading from the child is left to its log file.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                COMMAND,
                env=mine | self._settings,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            async with asyncio.timeout(UP_WITHIN_S), Operator(self.base_url, "") as operator:
                while not await operator.healthy():
                    if self._process.poll() is not None:
                        raise ServerFailed(self._why())
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise ServerFailed(f"no answer within {UP_WITHIN_S:.0f} s. {self._why()}") from None

    async def kill(self) -> None:
        """SIGKILL to the whole group: no handler runs, no buffer is flushed."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As an operator stops it; killed if it does not."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._end(signal.SIGTERM)
        except TimeoutError:
            await self.kill()

    async def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        await asyncio.to_thread(process.wait)
        with contextlib.suppress(ProcessLookupError):  # helpers that outlived it
            os.killpg(process.pid, signal.SIGKILL)
        self._process = None

    def _why(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return "The server's last words:\n" + "\n".join(lines)
