"""A sound card of software, for a browser that wants a real one: PulseAudio, with a loudspeaker
that nobody hears and a microphone that can be spoken into and unplugged.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from sound import record

PULSEAUDIO = all(map(shutil.which, ("pulseaudio", "pactl", "paplay")))
UP_WITHIN_S = 20.0
MODULES = (
    "module-null-sink sink_name=loudspeaker",
    # What is played into `mouth` is what the microphone hears.
    "module-null-sink sink_name=mouth",
)
MICROPHONE = ("module-remap-source", "master=mouth.monitor", "source_name=microphone")


class SoundCard:
    """Loudspeaker and microphone; programs with `environment` use them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "pulse.socket"
        self._plugged = ""
        self.environment = {
            "PULSE_SERVER": f"unix:{self._socket}",
            "PULSE_RUNTIME_PATH": str(folder),
            "HOME": str(folder),
        }

    async def say(self, *parts: str | float) -> None:
        """Sentences and seconds of silence, until the last of them has been said."""
        file = self._folder / "said.wav"
        record(file, *parts)
        await self._run("paplay", "--device=mouth", str(file))

    async def plug_in(self) -> None:
        self._plugged = await self._run("pactl", "load-module", *MICROPHONE)
        await self._run("pactl", "set-default-source", "microphone")

    async def unplug(self) -> None:
        await self._run("pactl", "unload-module", self._plugged)

    async def start(self) -> asyncio.subprocess.Process:
        self._folder.mkdir(parents=True)
        modules = (*MODULES, f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}")
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
        for module in modules:
            command += ["-L", module]
        with (self._folder / "pulseaudio.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(UP_WITHIN_S):
            while not self._socket.exists():  # noqa: ASYNC110 - there is nothing to wait on
                await asyncio.sleep(0.05)
        await self._run("pactl", "set-default-sink", "loudspeaker")
        await self.plug_in()
        return process

    async def _run(self, *command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | self.environment, stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert process.returncode == 0, command
        return out.decode().strip()


@asynccontextmanager
async def sound_card(folder: Path) -> AsyncIterator[SoundCard]:
    """One in this folder, gone at the end."""
    card = SoundCard(folder)
    process = await card.start()
    try:
        yield card
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
