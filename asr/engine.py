"""The one recogniser of the process: a bounded, fair queue before the model, served by threads.

Finals go before interims; streams with audio waiting take turns; what cannot be recognised in time
is refused when it is asked for, not when it is late. Recognition never runs on an event loop.

(Batching across sessions comes in here: `_serve` would then take several jobs at once.)
"""

import asyncio
import logging
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from asr.errors import HearingError, Overloaded, RecognitionFailed
from asr.models import default_compute_type
from asr.recognition import Audio, Priority, Recognition
from asr.whisper import FLOOR_S, SAMPLE_RATE, Whisper, choose_device

logger = logging.getLogger(__name__)


class Decoder(Protocol):
    """What the engine needs of a model."""

    name: str
    compute_type: str

    def decode(
        self, audio: Audio, *, language: str, hotwords: Sequence[str] = (), words: bool = True
    ) -> Recognition: ...


@dataclass(eq=False)
class _Job:
    audio: Audio
    language: str
    hotwords: tuple[str, ...]
    priority: Priority
    done: "Future[Recognition]" = field(default_factory=Future)

    @property
    def seconds(self) -> float:
        return len(self.audio) / SAMPLE_RATE


class Engine:
    def __init__(
        self,
        decoder: Decoder,
        *,
        workers: int = 1,
        max_queued: int = 64,
        max_wait_s: float = 8.0,
    ) -> None:
        self._decoder = decoder
        self._workers = workers
        self._max_queued = max_queued
        self._max_wait_s = max_wait_s
        self._changed = threading.Condition()
        self._finals: OrderedDict[Hashable, deque[_Job]] = OrderedDict()
        self._interims: deque[_Job] = deque()
        self._busy = 0
        self._cost = 0.05  # seconds of work per second of audio, learnt as it goes
        self._closed = False
        self._threads = [
            threading.Thread(target=self._serve, name=f"asr-{i}", daemon=True)
            for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @classmethod
    def load(
        cls,
        model_dir: Path,
        *,
        name: str = "",
        device: str = "auto",
        compute_type: str | None = None,
        workers: int | None = None,
        floor_s: float = FLOOR_S,
        max_wait_s: float = 8.0,
    ) -> Self:
        """Load the model; takes seconds, so call it before the first session. `name`: what to call
        it, by default as its folder."""
        device = choose_device(device)
        if workers is None:
            workers = 2 if device == "cuda" else len(os.sched_getaffinity(0))
        whisper = Whisper(
            model_dir,
            name=name,
            device=device,
            compute_type=compute_type or default_compute_type(device),
            workers=workers,
            floor_s=floor_s,
        )
        return cls(whisper, workers=workers, max_wait_s=max_wait_s)

    @property
    def model(self) -> str:
        return self._decoder.name

    @property
    def compute_type(self) -> str:
        """How the model's weights are held, such as `int8`."""
        return self._decoder.compute_type

    @property
    def queued(self) -> int:
        """Finals waiting."""
        with self._changed:
            return sum(len(jobs) for jobs in self._finals.values())

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        job = _Job(audio, language, tuple(hotwords), priority)
        with self._changed:
            self._admit(job, source)
            self._changed.notify()
        return await asyncio.wrap_future(job.done)

    def close(self) -> None:
        """Refuse what waits and let the threads end; what is being recognised is finished."""
        with self._changed:
            self._closed = True
            waiting = [job for jobs in self._finals.values() for job in jobs] + [*self._interims]
            self._finals.clear()
            self._interims.clear()
            self._changed.notify_all()
        for job in waiting:
            if job.done.set_running_or_notify_cancel():
                job.done.set_exception(RecognitionFailed("The recogniser is closed."))
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _admit(self, job: _Job, source: Hashable) -> None:
        if self._closed:
            raise RecognitionFailed("The recogniser is closed.")
        if job.priority is Priority.INTERIM:
            if self._finals or self._interims or self._busy >= self._workers:
                raise Overloaded("Interim results wait for an idle recogniser.")
            self._interims.append(job)
            return
        waiting = [job for jobs in self._finals.values() for job in jobs]
        wait_s = sum(w.seconds for w in waiting) * self._cost / self._workers
        if len(waiting) >= self._max_queued or wait_s > self._max_wait_s:
            raise Overloaded(
                f"{len(waiting)} pieces of speech wait, about {wait_s:.0f} s of work:"
                " fewer interviews at a time, a smaller model, or a GPU."
            )
        self._finals.setdefault(source, deque()).append(job)

    def _next(self) -> _Job | None:
        """The next job, streams in turn; None when there will be no more. Holds the lock."""
        while not self._closed:
            if self._finals:
                source, jobs = self._finals.popitem(last=False)
                job = jobs.popleft()
                if jobs:
                    self._finals[source] = jobs  # to the back
                return job
            if self._interims:
                return self._interims.popleft()
            self._changed.wait()
        return None

    def _serve(self) -> None:
        while True:
            with self._changed:
                job = self._next()
                if job is None:
                    return
                self._busy += 1
            try:
                if job.done.set_running_or_notify_cancel():
                    self._recognise(job)
            finally:
                with self._changed:
                    self._busy -= 1

    def _recognise(self, job: _Job) -> None:
        began = time.monotonic()
        try:
            result = self._decoder.decode(
                job.audio,
                language=job.language,
                hotwords=job.hotwords,
                words=job.priority is Priority.FINAL,
            )
        except HearingError as e:
            job.done.set_exception(e)
        except Exception as e:
            # The thread's outermost edge: CTranslate2 raises RuntimeError for anything, and a
            # worker that died here would leave every later segment waiting.
            logger.exception("recognition failed")
            failure = RecognitionFailed(f"The recogniser failed: {e}")
            failure.__cause__ = e
            job.done.set_exception(failure)
        else:
            self._learn(job, time.monotonic() - began)
            job.done.set_result(result)

    def _learn(self, job: _Job, took_s: float) -> None:
        cost = took_s / max(job.seconds, 0.5)
        with self._changed:
            self._cost += 0.1 * (cost - self._cost)
