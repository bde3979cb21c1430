"""Whether one more session can be heard as well as those that are: policy only, no clock.

* It is decided before a session begins, and never taken back: whoever was let in stays in, and
  whoever is not is told so at once.
* What is promised is reckoned in busy workers: seconds of speech that come each second, times the
  seconds of work that one of them was measured to cost. Speech is measured too; but a session that
  has just begun counts as if it spoke all the time, and one that is silent now will speak again.
* Lateness tells of what was not foreseen (longer windows, batches that wait for their last piece,
  other programs on the machine): while finals come too late, nobody new comes in.
* Once it was refused, a session is let in again only where there is more than just room, so that
  places do not open and close with each breath.
* Until some speech was recognised nobody knows what it costs here: a few are let in to find out.
"""

import math
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass

from asr.errors import AtCapacity


@dataclass(frozen=True)
class AdmissionLimits:
    workers: int = 1
    busy: float = 0.6
    """Share of the workers' time that may be promised; what is left is for finals that come at
    once."""
    reopen: float = 0.85
    """Of `busy` and of `ready_s`: after a refusal there must be as much room as this leaves."""
    ready_s: float = 0.5
    """Nineteen of twenty finals are ready so soon after they were asked for, or nobody new comes
    in."""
    slack: float = 1.5
    """A model that is slower than that by itself may take so many times its own work."""
    new_s: float = 30.0
    """For so long a session counts as speaking all the time; speech is measured over it as well."""
    speaking: float = 0.9
    listening: float = 0.5
    """Speech for each second of a session: of a new one, and the least of an older one."""
    unmeasured: int = 2
    """Sessions for each worker, before `measure_s` of speech were recognised."""
    measure_s: float = 10.0


class Admission:
    def __init__(self, limits: AdmissionLimits | None = None) -> None:
        self._limits = limits or AdmissionLimits()
        self._since: dict[Hashable, float] = {}
        self._speech = 0.0  # seconds that come each second, over the last `new_s`
        self._speech_at = 0.0
        self._measured_s = 0.0
        self._ready: deque[tuple[float, float, float]] = deque(maxlen=1000)
        """(when, seconds since it was asked for, seconds of work)"""
        self._full = False

    def __len__(self) -> int:
        """Sessions that are in."""
        return len(self._since)

    @property
    def measured(self) -> bool:
        """Whether it is known what a second of speech costs."""
        return self._measured_s >= self._limits.measure_s

    def enter(self, session: Hashable, at: float, *, cost: float, regardless: bool = False) -> None:
        """`cost`: seconds of work for a second of speech. Raises `AtCapacity`, changing nothing but
        what the next one has to wait for. `regardless`: it was in before."""
        if session in self._since:
            return
        if not regardless:
            reason = self._reason_against(at, cost)
            self._full = reason is not None
            if reason is not None:
                raise AtCapacity(reason)
        self._since[session] = at

    def leave(self, session: Hashable, at: float) -> None:
        """Its share of the speech goes with it: as much as it can have said over the last `new_s`
        beside the others. So whoever leaves as soon as it came takes nothing along."""
        present = sum(self._presence(since, at) for since in self._since.values())
        since = self._since.pop(session, None)
        if since is not None and present:
            self._speech *= 1 - self._presence(since, at) / present

    def asked(self, speech_s: float, at: float) -> None:
        """A final of so many seconds came in."""
        self._speech = self._fallen(at) + speech_s / self._limits.new_s
        self._speech_at = at

    def ready(self, speech_s: float, after_s: float, work_s: float, at: float) -> None:
        """A final of so much speech was recognised, so long after it was asked for; `work_s`: what
        its batch took."""
        self._measured_s += speech_s
        self._ready.append((at, after_s, work_s))

    def promised(self, at: float, *, cost: float) -> float:
        """Share of the workers' time that the sessions need: 1 is all of it."""
        return self._demand(at) * cost / self._limits.workers

    def _reason_against(self, at: float, cost: float) -> str | None:
        limits, n = self._limits, len(self._since)
        if not self.measured:
            if n < limits.unmeasured * limits.workers:
                return None
            return f"{n} sessions are here, and it is not measured yet what they cost."
        room = limits.reopen if self._full else 1.0
        late_s, work_s = self._lateness(at)
        if late_s > max(limits.ready_s, limits.slack * work_s) * room:
            return f"{n} sessions are here, and their finals take {late_s:.1f} s."
        share = (self._demand(at) + limits.speaking) * cost / limits.workers
        if n and share > limits.busy * room:
            return f"{n} sessions are here; one more would keep the recogniser busy to {share:.0%}."
        return None

    def _demand(self, at: float) -> float:
        """Seconds of speech for each second."""
        limits = self._limits
        expected = sum(
            limits.speaking if at - since < limits.new_s else limits.listening
            for since in self._since.values()
        )
        return max(expected, self._fallen(at))

    def _presence(self, since: float, at: float) -> float:
        """How much of the measured speech's time a session was here: 1 is all of it."""
        return 1 - math.exp((since - at) / self._limits.new_s)

    def _fallen(self, at: float) -> float:
        return self._speech * math.exp((self._speech_at - at) / self._limits.new_s)

    def _lateness(self, at: float) -> tuple[float, float]:
        """What nineteen of twenty of the last finals took at most; and the work of half of them."""
        while self._ready and self._ready[0][0] < at - self._limits.new_s:
            self._ready.popleft()
        if not self._ready:
            return 0.0, 0.0
        after = sorted(after_s for _, after_s, _ in self._ready)
        work = sorted(work_s for _, _, work_s in self._ready)
        return after[int(0.95 * (len(after) - 1))], work[len(work) // 2]
