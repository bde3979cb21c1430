"""A Janus that is ours, or one that already runs: how the bridge gets to its socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from server.phone.bridge import GatewayLost
from server.phone.janus import config, program
from server.phone.janus.process import JanusProcess
from server.phone.janus.socket import JanusRefused, JanusSocket

TRIES = 5
"""Janus 1.1.2 now and then (one start in twenty, on a busy machine) closes its socket at once and
ends: the socket's thread looks whether it is wanted before its maker has said so."""
_SOMEWHERE = "192.0.2.1"  # nobody's: it tells the address of the default route


@dataclass(frozen=True)
class Door:
    """Where a Janus that is up can be spoken to."""

    path: Path
    secret: str
    version: str = ""


class Gateway(Protocol):
    """`up`, then `ended`, then `stop`, and again."""

    async def up(self) -> Door:
        """Raises `PhoneError`."""

    async def ended(self) -> str:
        """Waits until it has ended or has to be started anew; returns why."""

    async def stop(self) -> None: ...


class OwnJanus:
    """Started anew by each `up`, with a new secret."""

    def __init__(
        self,
        folder: Path,
        rtp_ports: tuple[int, int],
        *,
        named: str = "",
        address: str = "",
        towards: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """`named`: the program's path, if not on the PATH. `address`: of the SIP leg; by default
        the one from which `towards`' addresses are reached."""
        self._folder, self._rtp_ports, self._named = folder.absolute(), rtp_ports, named
        self._address, self._towards = address, towards
        self._process: JanusProcess | None = None

    async def up(self) -> Door:
        found = await asyncio.to_thread(program.find, self._named)
        address = self._address or local_address(await self._towards())
        chosen = config.Gateway(self._folder, address, self._rtp_ports)
        for left in reversed(range(TRIES)):
            try:
                command = await asyncio.to_thread(config.write, found, chosen)
                self._process = await JanusProcess.start(command, self._folder)
                await self._process.wait_for(chosen.socket)
                await _answers(chosen)
                break
            except (OSError, ValueError) as error:
                raise GatewayLost(f"Janus cannot be started: {error}.") from error
            except GatewayLost:
                await self.stop()
                if not left:
                    raise
        return Door(chosen.socket, chosen.secret, found.version)

    async def ended(self) -> str:
        if self._process is None:
            return "it was not started"
        return await self._process.ended()

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None


async def _answers(chosen: config.Gateway) -> None:
    """A socket that is there may be closed again in a moment; raises `GatewayLost`."""
    asking = await JanusSocket.connect(chosen.socket, chosen.secret, lambda message: None)
    try:
        await asking.request({"janus": "ping"})
    except JanusRefused as error:
        raise GatewayLost(f"Janus does not answer as one: {error}.") from error
    finally:
        asking.close()


class RunningJanus:
    """Somebody else's process, and their configuration: docs/phone.md says what it needs."""

    def __init__(self, path: Path, secret: str) -> None:
        self._door = Door(path, secret)

    async def up(self) -> Door:
        return self._door

    async def ended(self) -> str:
        await asyncio.get_running_loop().create_future()  # its socket tells
        return ""

    async def stop(self) -> None:
        pass


def local_address(towards: list[str]) -> str:
    """This machine's IPv4 address from which another is reached; loopback where there is none."""
    for address in (*towards, _SOMEWHERE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((address, 9))  # sends nothing
            except OSError:
                continue
            return str(probe.getsockname()[0])
    return "127.0.0.1"
