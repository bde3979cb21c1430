"""Whether a Janus that runs has lost its mind: it spins at a whole core, or prints without end.
Pure, but for the reading of /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

BUSY = 0.9
"""Of one core, by one thread: many calls keep many threads busy, a spin keeps one."""
SPINNING_S = 20.0
FLOOD_BYTES_PER_S = 1 << 20
FLOOD_S = 5.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Health:
    """Looked at every second or so; times in seconds, of any clock that only goes forward."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._cpu: Mapping[int, float] = {}
        self._bytes = 0
        self._busy_since: dict[int, float] = {}
        self._flood_since: float | None = None

    def look(self, at: float, cpu: Mapping[int, float], printed: int) -> str:
        """Why it has to be started anew; empty if it is well. `cpu`: seconds of each thread since
        it began; `printed`: bytes since the process began."""
        before, self._at = self._at, at
        if before is not None and at > before:
            self._follow(before, at - before, cpu, printed)
        self._cpu, self._bytes = dict(cpu), printed
        if any(at - since >= SPINNING_S for since in self._busy_since.values()):
            return f"a thread of it kept a core busy for {SPINNING_S:.0f} s"
        if self._flood_since is not None and at - self._flood_since >= FLOOD_S:
            return f"it printed more than a megabyte a second for {FLOOD_S:.0f} s"
        return ""

    def _follow(self, before: float, passed: float, cpu: Mapping[int, float], printed: int) -> None:
        busy = {
            thread
            for thread, seconds in cpu.items()
            if thread in self._cpu and seconds - self._cpu[thread] >= BUSY * passed
        }
        self._busy_since = {thread: self._busy_since.get(thread, before) for thread in busy}
        if printed - self._bytes < FLOOD_BYTES_PER_S * passed:
            self._flood_since = None
        elif self._flood_since is None:
            self._flood_since = before


def thread_seconds(pid: int) -> dict[int, float]:
    """Processor time of each thread of a process; empty once it is gone."""
    found: dict[int, float] = {}
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            # The name may have spaces and brackets in it; what follows the last has a fixed order.
            fields = (task / "stat").read_text(errors="replace").rpartition(")")[2].split()
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) / _TICKS
    except (OSError, ValueError, IndexError):
        pass  # a thread ended while it was read
    return found
