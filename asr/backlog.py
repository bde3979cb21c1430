"""What waits for the recogniser, and what is taken next: policy only, no threads and no clock.

* Finals go before interims. An interim enters only an idle recogniser, one at a time, and is the
  first thing dropped.
* Streams take turns. A batch is the first piece of the stream whose turn it is, and of the streams
  after it those first pieces that fit into the same batch. Whoever was served goes to the back, so
  a piece that fits nobody else's batch waits at most one batch for each stream before its own.
* Nothing waits for a batch to fill: it is what waits now, shared among the workers that are free.
* No client of several fills the queue: it may have three times as much waiting as still fits in. So
  one alone gets three quarters, two get three sevenths each, and there is always room for another.
  One piece it may always have, whatever that is thought to cost: only work corrects the estimate.
* What cannot be recognised in time is refused when it is asked for; what became late is not begun.

Batches across sessions are what WhisperLive's batching does; ours are formed without a timer. A
limit that follows the room that is left is Choudhury and Hahne's (dynamic queue length thresholds).
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field

from asr.errors import Overloaded
from asr.recognition import Piece, Priority, Recognition, Source
from asr.segmenter import SAMPLE_RATE

LEARNING_RATE = 0.1
CLIENT_TO_ROOM = 3.0
"""What one client may have waiting, for what still fits in."""


@dataclass(eq=False)
class Job:
    piece: Piece
    priority: Priority = Priority.FINAL
    source: Hashable = None
    deadline: float | None = None
    """When it is too late to begin."""
    bucket: Hashable = None
    """Jobs with equal ones fit into one batch."""
    done: "Future[Recognition]" = field(default_factory=Future)

    asked_at: float = 0.0

    @property
    def seconds(self) -> float:
        return len(self.piece.audio) / SAMPLE_RATE

    @property
    def client(self) -> Hashable:
        """None where there is only one."""
        return self.source.client if isinstance(self.source, Source) else None


@dataclass(frozen=True)
class Limits:
    workers: int = 1
    max_queued: int = 64
    max_wait_s: float = 8.0
    max_batch: int = 4
    max_batch_s: float = 40.0
    """Seconds of audio in one batch, so that a few long pieces do not hold everybody up."""


class Backlog:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._finals: OrderedDict[Hashable, deque[Job]] = OrderedDict()  # the next in turn is first
        self._interim: Job | None = None
        self._busy = 0
        self._cost = 0.05  # seconds of work per second of audio, learnt as it goes

    def __len__(self) -> int:
        """Finals waiting."""
        return sum(len(jobs) for jobs in self._finals.values())

    @property
    def cost(self) -> float:
        """Seconds of work for a second of audio."""
        return self._cost

    def admit(self, job: Job, at: float) -> Job | None:
        """Raises `Overloaded`, changing nothing. Gives back an interim that has to go for it."""
        if job.priority is Priority.INTERIM:
            if self._finals or self._interim or self._busy:
                raise Overloaded("Interim results wait for an idle recogniser.")
            self._interim = job
            return None
        job.asked_at = at
        self._check_time(job, at)
        if job.client is not None:
            self._check_share(job)
        self._finals.setdefault(job.source, deque()).append(job)
        dropped, self._interim = self._interim, None
        return dropped

    def _check_time(self, job: Job, at: float) -> None:
        limits = self._limits
        wait_s = self._work_s(self._waiting())
        if len(self) >= limits.max_queued or wait_s > limits.max_wait_s:
            raise Overloaded(
                f"{len(self)} pieces of speech wait, about {wait_s:.0f} s of work:"
                " fewer interviews at a time, a smaller model, or a GPU."
            )
        if job.deadline is not None and at + wait_s >= job.deadline:
            raise Overloaded(f"About {wait_s:.1f} s of work wait, more than there is time for.")

    def _check_share(self, job: Job) -> None:
        waiting = [w for jobs in self._finals.values() for w in jobs]
        own = [w for w in waiting if w.client == job.client]
        if own and self._filled([*own, job]) > CLIENT_TO_ROOM * (1 - self._filled(waiting)):
            raise Overloaded(
                f"{len(own)} pieces of speech of this client wait among {len(self)}: what is left"
                " is for others."
            )

    def _filled(self, jobs: list[Job]) -> float:
        """The queue: 1 is full."""
        by_number = len(jobs) / self._limits.max_queued
        return max(by_number, self._work_s(jobs) / self._limits.max_wait_s)

    def _work_s(self, jobs: Iterable[Job]) -> float:
        return sum(job.seconds for job in jobs) * self._cost / self._limits.workers

    def take(self) -> list[Job]:
        """The next batch for a worker that is free; empty where nothing waits."""
        jobs = self._take_finals()
        if not jobs and self._interim is not None:
            jobs, self._interim = [self._interim], None
        if jobs:
            self._busy += 1
        return jobs

    def _take_finals(self) -> list[Job]:
        free = max(1, self._limits.workers - self._busy)
        most = min(self._limits.max_batch, -(-len(self) // free))
        jobs: list[Job] = []
        while len(jobs) < most and (job := self._next(jobs)) is not None:
            self._finals[job.source].popleft()
            if self._finals[job.source]:
                self._finals.move_to_end(job.source)
            else:
                del self._finals[job.source]
            jobs.append(job)
        return jobs

    def _next(self, jobs: list[Job]) -> Job | None:
        """The first in turn; then the first in turn that joins these."""
        room_s = self._limits.max_batch_s - sum(job.seconds for job in jobs)
        for waiting in self._finals.values():
            first = waiting[0]
            if not jobs or (first.bucket == jobs[0].bucket and first.seconds <= room_s):
                return first
        return None

    def finished(self) -> None:
        """A batch that `take` gave is done, well or badly."""
        self._busy -= 1

    def learn(self, audio_s: float, took_s: float) -> None:
        self._cost += LEARNING_RATE * (took_s / max(audio_s, 0.5) - self._cost)

    def late(self, at: float) -> list[Job]:
        """Those whose time has passed, taken out."""
        late = [job for job in self._waiting() if job.deadline is not None and job.deadline <= at]
        for job in late:
            self.withdraw(job)
        return late

    def withdraw(self, job: Job) -> bool:
        """Whether it still waited."""
        if job is self._interim:
            self._interim = None
            return True
        waiting = self._finals.get(job.source)
        if waiting is None or job not in waiting:
            return False
        waiting.remove(job)
        if not waiting:
            del self._finals[job.source]
        return True

    def clear(self) -> list[Job]:
        waiting = list(self._waiting())
        self._finals.clear()
        self._interim = None
        return waiting

    def _waiting(self) -> Iterator[Job]:
        for jobs in self._finals.values():
            yield from jobs
        if self._interim is not None:
            yield self._interim
