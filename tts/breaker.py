"""A circuit breaker: a voice that keeps failing is left alone, and tried again after a while.

Pure; time is passed in, in seconds of any clock that only goes forward.

    closed ── failures_to_open in a row ──► open ── probe_after_s ──► due for a probe
      ▲                                       ▲                            │
      └────────────── it spoke ───────────────┼──── it failed: twice as long, at most max_probe_s
"""


class Breaker:
    def __init__(
        self,
        *,
        failures_to_open: int = 2,
        probe_after_s: float = 30.0,
        max_probe_s: float = 300.0,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._first_delay_s = self._delay_s = probe_after_s
        self._max_delay_s = max_probe_s
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def closed(self) -> bool:
        """The voice may be used."""
        return self._opened_at is None

    def start_probe(self, at: float) -> bool:
        """True for one caller once the delay has passed; who tells `spoke`, `failed`, `gave_up`."""
        if self._opened_at is None or self._probing or at < self._opened_at + self._delay_s:
            return False
        self._probing = True
        return True

    def spoke(self) -> None:
        self._failures, self._opened_at, self._probing = 0, None, False
        self._delay_s = self._first_delay_s

    def failed(self, at: float) -> None:
        self._failures += 1
        if self._probing:
            self._delay_s = min(2 * self._delay_s, self._max_delay_s)
        if self._probing or self._failures >= self._failures_to_open:
            self._opened_at = at
        self._probing = False

    def gave_up(self) -> None:
        """The probe was broken off before anything was known; the next may start at once."""
        self._probing = False
