"""Whether anything comes from the candidate's microphone, and what is noticed if not. Pure.

No audio ends no interview: the candidate is told, the report will know, and the silence ladder goes
on. A line that goes dead is another matter (`server.media.peer` notices it).
"""

from __future__ import annotations

from typing import Literal

Missing = Literal["no_audio", "silent"]
"""Not a packet since the connection was made; or nothing in the packets but digital silence."""

NO_PACKETS_S = 5.0
SILENT_S = 20.0
"""Of listening. People think for so long too, but no room is as still as a muted microphone."""
FAINT = 8
"""Samples up to here are silence: what a codec makes of zeros."""


class Microphone:
    """What is missing is said once, and again when there was sound in between."""

    def __init__(self) -> None:
        self._connected_at: float | None = None
        self._quiet_since: float | None = None
        self._said: set[Missing] = set()

    def heard(self, peak: int) -> None:
        """A stretch of sound whose loudest sample is this."""
        if peak > FAINT:
            self._quiet_since = None
            self._said.discard("silent")

    def look(self, at: float, *, connected: bool, packets: int, listening: bool) -> Missing | None:
        """What has to be said now."""
        if not connected:
            return None
        if self._connected_at is None:
            self._connected_at = at
        if not packets:
            overdue = at - self._connected_at >= NO_PACKETS_S
            return self._once("no_audio") if overdue else None
        if not listening:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = at
        elif at - self._quiet_since >= SILENT_S:
            return self._once("silent")
        return None

    def _once(self, missing: Missing) -> Missing | None:
        if missing in self._said:
            return None
        self._said.add(missing)
        return missing
