"""What an NVIDIA card does meanwhile, as `nvidia-smi` tells; nothing where there is none."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

EVERY_MS = 500


@dataclass
class Watch:
    utilisation: float | None = None
    """Mean, in percent of the time in which any kernel ran."""
    memory_mib: int | None = None
    """Most."""


def card() -> str:
    """Name and driver; empty without one."""
    if shutil.which("nvidia-smi") is None:
        return ""
    asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


@contextmanager
def watching() -> Iterator[Watch]:
    """What it found is there at the end."""
    found = Watch()
    if shutil.which("nvidia-smi") is None:
        yield found
        return
    asked = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used"]
    asked += ["--format=csv,noheader,nounits", f"-lms={EVERY_MS}"]
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield found
        finally:
            process.terminate()
            told = process.communicate()[0]
    read(told, found)


def read(told: str, found: Watch) -> None:
    rows = [line.split(",") for line in told.splitlines()]
    numbers = [
        (int(used), int(memory))
        for used, memory in (row for row in rows if len(row) == 2)
        if used.strip().isdigit() and memory.strip().isdigit()
    ]
    if numbers:
        found.utilisation = round(sum(used for used, _ in numbers) / len(numbers), 1)
        found.memory_mib = max(memory for _, memory in numbers)
