"""A real TURN server for tests: coturn on loopback, with the configuration that we ship."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from server import wiring
from server.media.ice import IceSettings
from server.settings import Settings

CONFIG = Path(__file__).parents[3] / "deploy" / "coturn" / "turnserver.conf"
SECRET = "a secret of the tests"


@dataclass
class Relay:
    url: str
    settings: Settings

    @property
    def only(self) -> IceSettings:
        """Of somebody whose network lets nothing else through."""
        return replace(wiring.ice_settings(self.settings), relay_only=True)


@asynccontextmanager
async def coturn(folder: Path, given: dict[str, str]) -> AsyncIterator[Relay]:
    port, config, log = free_port(), folder / "turnserver.conf", list[str]()
    config.write_text(configured(port, given))
    process = await asyncio.create_subprocess_exec(
        "turnserver",
        *("-c", str(config), "--pidfile", str(folder / "turn.pid"), "-b", str(folder / "turn.db")),
        # What a relay on a network refuses to reach, and this one is for.
        "--allow-loopback-peers",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    reading = asyncio.create_task(read(process, log))
    url = f"turn:127.0.0.1:{port}"
    chosen = {"turn_url": url, "privacy": "local", "data_dir": folder}
    try:
        await answers(port, log)
        yield Relay(url, Settings.model_validate(chosen | (given or {"turn_secret": SECRET})))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
        await reading


def configured(port: int, given: dict[str, str]) -> str:
    """What we ship, on loopback; with a user of its own where one is given."""
    changes = {
        "203.0.113.7": "127.0.0.1",
        "listening-port=3478": f"listening-port={port}",
        "PUT-A-LONG-RANDOM-SECRET-HERE": SECRET,
        "log-file=syslog": "log-file=stdout",
    }
    if given:
        user = "{turn_user}:{turn_password}".format_map(given)
        changes["use-auth-secret\n"] = f"lt-cred-mech\nuser={user}\n"
        changes[f"static-auth-secret={SECRET}\n"] = ""
    text = CONFIG.read_text()
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


async def read(process: asyncio.subprocess.Process, log: list[str]) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        log.append(line.decode(errors="replace"))


async def answers(port: int, log: list[str]) -> None:
    for _ in range(200):
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
            return
        await asyncio.sleep(0.05)
    raise AssertionError("".join(log))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
