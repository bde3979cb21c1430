"""How long a silence may last before something is said. Pure: time is passed in, in seconds of any
one clock."""

from __future__ import annotations


class Patience:
    """The silence ladder: nothing for the think time, then its steps, each once until someone
    speaks.

    `ladder` holds, for each step, the seconds of silence beyond the think time, counted from the
    last activity
    that was not a step of the ladder itself.
    """

    def __init__(self, ladder: tuple[float, ...]) -> None:
        self._ladder = ladder
        self._since: float | None = None
        self._step = 0

    def activity(self, at: float) -> None:
        """Someone spoke, typed, or pressed a button."""
        self._since = at
        self._step = 0

    def due(self, at: float, think_time: float) -> int | None:
        """The step whose time has come, or None; a step is due once."""
        if self._since is None or self._step >= len(self._ladder):
            return None
        if at - self._since < think_time + self._ladder[self._step]:
            return None
        self._step += 1
        return self._step - 1
