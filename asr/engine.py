"""The one recogniser of the process: threads that take batches from the backlog to the model.

Every piece gets exactly one outcome, whatever happens: its text, an error of its own, or a refusal.
A batch that fails is tried again in halves, down to single pieces, and those on a copy of the model
on the CPU where the first is on a GPU: so one bad piece costs the others time, and nothing else.
Recognition never runs on an event loop. Whose turn it is, and who is refused: `asr/backlog.py`.
"""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from asr.admission import Admission, AdmissionLimits
from asr.backlog import Backlog, Job, Limits
from asr.decoder import BatchDecoder, Decoder, batched
from asr.errors import HearingError, Overloaded, RecognitionFailed
from asr.loading import load_model
from asr.recognition import Audio, Outcome, Piece, Priority, Recognition, always
from asr.sherpa import Sherpa
from asr.whisper import Whisper, choose_device

logger = logging.getLogger(__name__)

MAX_BATCH = {"cpu": 4, "cuda": 32}
"""On a CPU only the decoder gains: an item of `base` shape costs 100, 85, 73, 82 % in batches of 1,
2, 4, 8 (random weights, int8, one thread), and all of a batch wait for its last. CUDA: by guess."""
MAX_BATCH_S = {"cpu": 40.0, "cuda": 480.0}
"""Seconds of audio: long windows are encoder work, which does not gain."""
BUSY = {"cpu": AdmissionLimits.busy, "cuda": 2 * AdmissionLimits.busy}
"""Share of the workers' time that may be promised, by what pieces cost alone. CUDA: by guess, for
full batches gain there at least twice that."""


@dataclass(frozen=True)
class Counts:
    """Since the start. A final that was asked for is given, failed, refused or cancelled, or it
    waits or is being recognised."""

    batches: int = 0
    items: int = 0
    """Pieces in them."""
    largest_batch: int = 0
    retried: int = 0
    """Calls of the model with what had failed in a larger batch, or on the GPU."""
    given: int = 0
    """Finals that got their text."""
    failed: int = 0
    refused: int = 0
    """Finals, when they were asked for or because their time had passed."""
    cancelled: int = 0
    """Finals that nobody waited for any more before they were begun."""
    interims: int = 0
    """Given."""
    interims_dropped: int = 0
    """Not given, for whatever reason."""


class Engine:
    def __init__(
        self,
        decoder: Decoder | BatchDecoder,
        *,
        workers: int = 1,
        max_queued: int = 64,
        max_wait_s: float = 8.0,
        max_batch: int = MAX_BATCH["cpu"],
        max_batch_s: float = MAX_BATCH_S["cpu"],
        admission: AdmissionLimits | None = None,
        spare: Callable[[], Decoder | BatchDecoder] | None = None,
        clock: Callable[[], float] = time.monotonic,
        device: str = "cpu",
    ) -> None:
        """`admission`: who may begin (asr/admission.py). `spare` makes the decoder that is tried
        last, when it is first needed."""
        self._device = device
        self._decoder = batched(decoder)
        self._make_spare = spare
        self._spare: BatchDecoder | None = None
        self._spare_lock = threading.Lock()
        self._clock = clock
        self._changed = threading.Condition()
        self._backlog = Backlog(Limits(workers, max_queued, max_wait_s, max_batch, max_batch_s))
        self._admission = Admission(replace(admission or AdmissionLimits(), workers=workers))
        self._counts = Counts()
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
        floor_s: float | None = None,
        languages: Sequence[str] = (),
        max_queued: int = 256,
        max_wait_s: float = 8.0,
        max_batch: int | None = None,
        admission: AdmissionLimits | None = None,
    ) -> Self:
        """Load the model; takes seconds, so call it before the first session. `name`: what to call
        it, by default as its folder. `floor_s`: Whisper's shortest window, by default what was
        measured for this model. `languages`: the only ones it is used for, where they are known."""
        device = choose_device(device)
        if workers is None:
            workers = 2 if device == "cuda" else len(os.sched_getaffinity(0))

        def on(device: str, compute_type: str | None, workers: int = 1) -> Whisper | Sherpa:
            return load_model(
                model_dir,
                name=name,
                device=device,
                compute_type=compute_type,
                workers=workers,
                floor_s=floor_s,
                languages=languages,
            )

        model = on(device, compute_type, workers)
        return cls(
            model,
            workers=workers,
            max_queued=max_queued,
            max_wait_s=max_wait_s,
            admission=admission or AdmissionLimits(busy=BUSY[model.device]),
            max_batch=max_batch or MAX_BATCH[model.device],
            max_batch_s=MAX_BATCH_S[model.device],
            spare=(lambda: on("cpu", None)) if model.device == "cuda" else None,
            device=model.device,
        )

    @property
    def model(self) -> str:
        return self._decoder.name

    @property
    def compute_type(self) -> str:
        """How the model's weights are held, such as `int8`."""
        return self._decoder.compute_type

    @property
    def device(self) -> str:
        """Where it computes: cpu or cuda."""
        return self._device

    @property
    def queued(self) -> int:
        """Finals waiting."""
        with self._changed:
            return len(self._backlog)

    @property
    def counts(self) -> Counts:
        with self._changed:
            return self._counts

    @property
    def sessions(self) -> int:
        """Those that have entered."""
        with self._changed:
            return len(self._admission)

    @property
    def promised(self) -> float:
        """Share of the workers' time that the sessions need: 1 is all of it."""
        with self._changed:
            return self._admission.promised(self._clock(), cost=self._backlog.cost)

    @property
    def measured(self) -> bool:
        """Whether enough was recognised to know how many sessions can be heard."""
        with self._changed:
            return self._admission.measured

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        """Raises `AtCapacity`; see `asr.recognition.Admitting`."""
        with self._changed:
            at, cost = self._clock(), self._backlog.cost
            self._admission.enter(session, at, cost=cost, regardless=regardless)

    def leave(self, session: Hashable) -> None:
        with self._changed:
            self._admission.leave(session, self._clock())

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
        within_s: float | None = None,
    ) -> Recognition:
        """`within_s`: refused with `Overloaded` if it has not been begun by then."""
        final, gone = priority is Priority.FINAL, threading.Event()
        wanted = always if final else lambda: not gone.is_set()
        piece = Piece(audio, language, tuple(hotwords), words=final, wanted=wanted)
        deadline = None if within_s is None else self._clock() + within_s
        job = self._admit(Job(piece, priority, source, deadline))
        loop = asyncio.get_running_loop()
        # A little later, for a loop's timer may come early by the clock's resolution.
        late = loop.call_later(within_s + 0.001, self._refuse_late) if within_s else None
        try:
            return await asyncio.wrap_future(job.done)
        except asyncio.CancelledError:
            gone.set()
            self._withdraw(job)
            raise
        finally:
            if late is not None:
                late.cancel()

    def close(self) -> None:
        """Refuse what waits and let the threads end; what is being recognised is finished."""
        with self._changed:
            self._closed = True
            waiting = self._backlog.clear()
            self._changed.notify_all()
        for job in waiting:
            self._refuse(job, RecognitionFailed("The recogniser is closed."))
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def _admit(self, job: Job) -> Job:
        try:
            job.bucket = self._decoder.bucket(job.piece)
            with self._changed:
                if self._closed:
                    raise RecognitionFailed("The recogniser is closed.")
                at = self._clock()
                dropped = self._backlog.admit(job, at)
                if job.priority is Priority.FINAL:
                    self._admission.asked(job.seconds, at)
                self._changed.notify()
        except HearingError as e:
            self._count(job, e)
            raise
        if dropped is not None:
            self._refuse(dropped, Overloaded("Interim results give way to final ones."))
        return job

    def _withdraw(self, job: Job) -> None:
        """Nobody waits for it: its place is free at once."""
        with self._changed:
            waited = self._backlog.withdraw(job)
        if waited:
            job.done.cancel()
            self._begin(job)

    def _refuse_late(self) -> None:
        with self._changed:
            late = self._backlog.late(self._clock())
        for job in late:
            self._refuse(job, Overloaded("The recogniser did not come to this piece in time."))

    def _refuse(self, job: Job, reason: HearingError) -> None:
        if self._begin(job):
            self._finish(job, reason)

    def _begin(self, job: Job) -> bool:
        """Once for each job that has left the backlog; False if nobody waits for it any more."""
        if job.done.set_running_or_notify_cancel():
            return True
        self._count(job, None)
        return False

    def _finish(self, job: Job, outcome: Outcome) -> None:
        self._count(job, outcome)
        if isinstance(outcome, Recognition):
            job.done.set_result(outcome)
        else:
            job.done.set_exception(outcome)

    def _count(self, job: Job, outcome: Outcome | None) -> None:
        """None: cancelled."""
        if job.priority is Priority.INTERIM:
            given = isinstance(outcome, Recognition)
            self._add(interims=given, interims_dropped=not given)
            return
        self._add(
            given=isinstance(outcome, Recognition),
            refused=isinstance(outcome, Overloaded),
            failed=isinstance(outcome, HearingError) and not isinstance(outcome, Overloaded),
            cancelled=outcome is None,
        )

    def _add(self, **more: int) -> None:
        with self._changed:
            added = {name: getattr(self._counts, name) + n for name, n in more.items()}
            self._counts = replace(self._counts, **added)

    # The threads.

    def _serve(self) -> None:
        while jobs := self._next():
            self._work(jobs)

    def _next(self) -> list[Job]:
        """The next batch; empty when there will be no more."""
        while True:
            self._refuse_late()
            with self._changed:
                if self._closed:
                    return []
                if jobs := self._backlog.take():
                    return jobs
                self._changed.wait()

    def _work(self, taken: list[Job]) -> None:
        jobs = [job for job in taken if self._begin(job)]
        began = self._clock()
        outcomes = self._outcomes([job.piece for job in jobs]) if jobs else []
        took_s = self._clock() - began
        done = list(zip(jobs, outcomes, strict=True))
        given_s = sum(job.seconds for job, outcome in done if isinstance(outcome, Recognition))
        with self._changed:
            self._backlog.finished()
            if given_s:  # what fails at once teaches nothing
                self._backlog.learn(given_s, took_s)
                self._note_ready(jobs, took_s, began + took_s)
            if jobs:
                largest = max(self._counts.largest_batch, len(jobs))
                self._counts = replace(self._counts, largest_batch=largest)
                self._add(batches=1, items=len(jobs))
        for job, outcome in done:
            self._finish(job, outcome)

    def _note_ready(self, jobs: list[Job], work_s: float, at: float) -> None:
        for job in jobs:
            if job.priority is Priority.FINAL:
                self._admission.ready(job.seconds, at - job.asked_at, work_s, at)

    def _outcomes(self, pieces: list[Piece]) -> list[Outcome]:
        """One for each, in order, whatever the model does."""
        try:
            return _decode(self._decoder, pieces)
        except BaseException as e:
            # The thread's outermost edge: CTranslate2 raises RuntimeError for anything, and a
            # worker that died here, of a SystemExit even, would leave every later piece waiting.
            failure = e
        if len(pieces) == 1:
            return [self._last_resort(pieces[0], failure)]
        logger.warning("a batch of %d failed, and is tried in halves: %s", len(pieces), failure)
        self._add(retried=2)
        half = len(pieces) // 2
        return [*self._outcomes(pieces[:half]), *self._outcomes(pieces[half:])]

    def _last_resort(self, piece: Piece, failure: BaseException) -> Outcome:
        if self._make_spare is not None:
            logger.warning("a piece failed, and is tried on the CPU: %s", failure)
            self._add(retried=1)
            try:
                return _decode(self._spare_decoder(self._make_spare), [piece])[0]
            except BaseException as e:  # as in `_outcomes`
                failure = e
        if isinstance(failure, HearingError):
            return failure
        logger.error("recognition failed", exc_info=failure)
        failed = RecognitionFailed(f"The recogniser failed: {failure}")
        failed.__cause__ = failure
        return failed

    def _spare_decoder(self, make: Callable[[], Decoder | BatchDecoder]) -> BatchDecoder:
        with self._spare_lock:
            if self._spare is None:
                logger.warning("loading a copy of the model on the CPU")
                self._spare = batched(make())
            return self._spare


def _decode(decoder: BatchDecoder, pieces: list[Piece]) -> list[Outcome]:
    outcomes = decoder.decode_many(pieces)
    if len(outcomes) != len(pieces):
        raise RuntimeError(f"{len(outcomes)} outcomes for {len(pieces)} pieces")
    return outcomes
