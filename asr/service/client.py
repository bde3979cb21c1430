"""A recogniser that stands elsewhere: `viva asr`, in place of `asr.engine.Engine`.

One WebSocket serves all sessions of the process: a session cuts by LiveKit's VAD, as it does with
the engine beside it, and each segment goes out with a number and comes back as a recognition.

Invariant: a final that was taken in is answered once, or fails once. It is kept until then; when
the connection breaks, a new one is made (with growing pauses) and everything unanswered is sent
again, oldest first. Interims are not: by then something else is being said.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from asr.errors import (
    AtCapacity,
    HearingError,
    NoAnswer,
    Overloaded,
    RecognitionFailed,
    ServiceUnavailable,
    UnknownLanguage,
)
from asr.recognition import Audio, Priority, Recognition, Served
from asr.segmenter import SAMPLE_RATE, Pcm
from asr.service import protocol
from asr.service.doors import Doors
from asr.service.line import Line
from asr.service.protocol import (
    FRAME_SAMPLES,
    Cancel,
    Enter,
    Entered,
    Error,
    FromService,
    Leave,
    Ready,
    Recognise,
    Recognised,
    Refused,
    Sound,
    TurnedAway,
)
from asr.service.segments import MAX_HELD, MAX_HELD_S

logger = logging.getLogger(__name__)

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Before each new attempt; the last one again and again."""
RETRY_S = 0.5
ENTER_S = 3.0
"""For how long somebody who wants to begin waits to hear whether there is room."""


@dataclass(eq=False)
class _Job:
    pcm: Pcm
    request: Recognise
    done: "Future[Recognition]" = field(default_factory=Future)
    late: asyncio.TimerHandle | None = None
    again: bool = False
    """Sent once already, over a connection that was lost."""

    @property
    def number(self) -> int:
        return self.request.segment


class RemoteRecogniser:
    """For any thread and any loop: the connection has a thread of its own, as the engine has."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        wait_s: float = 10.0,
        give_up_after_s: float = 30.0,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """Waits up to `wait_s` for the service; raises `ServiceUnavailable`.

        `give_up_after_s`: how long a segment waits for its answer, over restarts of the service.
        """
        self.url = url
        self._give_up_after_s = give_up_after_s
        self._numbers = itertools.count()
        self._jobs: dict[int, _Job] = {}  # unanswered, oldest first
        self._samples = 0  # of those
        self._first: Future[Ready] = Future()
        self._line = Line(url, token=token, pauses_s=tuple(pauses_s), owner=self)
        self._doors = Doors(self._say)
        self._closing = False
        self._lock = threading.Lock()  # nothing is submitted to a loop that has ended
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._line.hold())
        self._thread = threading.Thread(target=self._live, name="asr-remote", daemon=True)
        self._thread.start()
        try:
            self._ready = self._first.result(wait_s)
        except (TimeoutError, Refused):
            self.close()
            raise ServiceUnavailable(
                f"The recogniser at {url} cannot be used: {self._line.why_not.rstrip('.')}."
                " Start it with `viva asr`, or correct VIVA_ASR_URL and VIVA_ASR_TOKEN."
            ) from None

    @property
    def model(self) -> str:
        """What the service has loaded, as it said last."""
        return self._ready.model

    @property
    def compute_type(self) -> str:
        return self._ready.compute_type

    @property
    def languages(self) -> dict[str, Served]:
        """Those that have a model of their own there, and which."""
        own = self._ready.languages.items()
        return {lang: Served(o.model, o.compute_type, o.device) for lang, o in own}

    @property
    def reachable(self) -> bool:
        return self._line.connected

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        pcm = np.clip(np.rint(audio * 32_768), -32_768, 32_767).astype(np.int16)
        request = Recognise(
            segment=next(self._numbers) % 2**32,
            samples=len(pcm),
            language=language[:20],
            hotwords=tuple(term[:200] for term in hotwords[:100]),
            interim=priority is Priority.INTERIM,
            source=str(source)[:200],
        )
        job = _Job(pcm, request)
        if not self._on_loop(lambda: self._submit(job)):
            raise RecognitionFailed("The recogniser is closed.")
        try:
            return await asyncio.wrap_future(job.done)
        finally:
            if job.done.cancelled():
                self._on_loop(lambda: self._give_back(job))

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        """See `asr.recognition.Admitting`. While the service is away nobody new is let in."""
        name, asked = str(session)[:200], Future[None]()
        if not self._on_loop(lambda: self._doors.enter(name, asked, regardless=regardless)):
            raise RecognitionFailed("The recogniser is closed.")
        try:
            await asyncio.wait_for(asyncio.wrap_future(asked), ENTER_S)
        except asyncio.CancelledError:
            self.leave(session)  # nobody else would
            raise
        except TimeoutError:
            self.leave(session)
            why = "it does not answer" if self.reachable else self._line.why_not
            raise AtCapacity(f"The recogniser at {self.url} is away: {why}.") from None

    def leave(self, session: Hashable) -> None:
        name = str(session)[:200]
        self._on_loop(lambda: self._doors.leave(name))

    def _on_loop(self, work: Callable[[], object]) -> bool:
        """False when it is closed."""
        with self._lock:
            if not self._closing:
                self._loop.call_soon_threadsafe(work)
            return not self._closing

    def close(self) -> None:
        """What is unanswered fails; blocks until the thread has ended."""
        with self._lock:
            if not self._closing:
                self._loop.call_soon_threadsafe(self._task.cancel)
            self._closing = True
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    # From here on everything runs on our own loop.

    def _live(self) -> None:
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        finally:
            for job in [*self._jobs.values()]:
                self._settle(job, RecognitionFailed("The recogniser is closed."))
            self._doors.close()
            self._loop.close()

    # What the line tells.

    def connected(self, ready: Ready) -> None:
        if not self._first.done():
            self._first.set_result(ready)
        elif ready.models != self._ready.models:
            logger.warning("%s has %s now, not %s", self.url, ready.models, self._ready.models)
        self._ready = ready
        for request in self._doors.requests():
            self._say(request)
        for job in self._jobs.values():
            job.again = True
            self._send(job)
        logger.info(
            "connected to %s; unanswered segments sent again: %d", self.url, len(self._jobs)
        )

    def lost(self, error: Exception, *, was_connected: bool) -> None:
        for job in [job for job in self._jobs.values() if job.request.interim]:
            self._settle(job, Overloaded("The connection to the recogniser was lost."))
        if was_connected:
            logger.warning(
                "the recogniser at %s was lost with %d segments unanswered: %s",
                self.url,
                len(self._jobs),
                self._line.why_not,
            )
        refused = isinstance(error, Refused) and error.code == "unauthorised"
        if refused and not self._first.done():
            self._first.set_exception(error)  # no waiting mends that

    def received(self, message: FromService) -> None:
        match message:
            case Recognised(segment=number) if job := self._jobs.get(number):
                self._settle(job, protocol.recognition(message))
            case Error(segment=int(number)) if job := self._jobs.get(number):
                self._refused(job, _failure(message))
            case Entered(session=session):
                self._doors.entered(session)
            case TurnedAway(session=session, text=text):
                self._doors.turned_away(session, text)
            case _:
                pass  # a pong, or an answer that nobody waits for

    # Segments.

    def _refused(self, job: _Job, failure: HearingError) -> None:
        if job.again and isinstance(failure, Overloaded):
            # After an outage every client sends all it has at once: more than the queue holds.
            self._loop.call_later(RETRY_S, self._send_again, job, self._line.number)
        else:
            self._settle(job, failure)

    def _send_again(self, job: _Job, line: int) -> None:
        # A new connection has it already.
        if line == self._line.number and job.number in self._jobs:
            self._send(job)

    def _submit(self, job: _Job) -> None:
        held = self._samples + len(job.pcm)
        if len(self._jobs) >= MAX_HELD or held > MAX_HELD_S * SAMPLE_RATE:
            _finish(job, Overloaded(f"{len(self._jobs)} pieces of speech wait for {self.url}."))
        elif job.request.interim and not self.reachable:
            _finish(job, Overloaded(f"The recogniser at {self.url} is away."))
        else:
            self._jobs[job.number] = job
            self._samples = held
            job.late = self._loop.call_later(self._give_up_after_s, self._give_up, job)
            self._send(job)

    def _send(self, job: _Job) -> None:
        self._line.say(lambda: _frames(job))

    def _say(self, message: Enter | Leave | Cancel) -> None:
        self._line.say(lambda: [message.model_dump_json()])

    def _give_up(self, job: _Job) -> None:
        self._settle(
            job,
            NoAnswer(
                f"The recogniser at {self.url} gave no answer in {self._give_up_after_s:.0f} s"
                + ("." if self.reachable else f": {self._line.why_not}.")
            ),
        )
        self._cancel(job)

    def _give_back(self, job: _Job) -> None:
        """The caller has gone."""
        if job.number in self._jobs:
            self._settle(job, RecognitionFailed("Nobody waits for it."))
            self._cancel(job)

    def _cancel(self, job: _Job) -> None:
        self._say(Cancel(segment=job.number))

    def _settle(self, job: _Job, result: Recognition | HearingError) -> None:
        del self._jobs[job.number]
        self._samples -= len(job.pcm)
        if job.late:
            job.late.cancel()
        _finish(job, result)


def _frames(job: _Job) -> Iterator[str | bytes]:
    if job.done.done():
        return  # the caller has gone, or it was answered
    yield job.request.model_dump_json()
    for start in range(0, len(job.pcm), FRAME_SAMPLES):
        piece = job.pcm[start : start + FRAME_SAMPLES]
        yield protocol.pack(Sound(job.number, start, piece))


def _finish(job: _Job, result: Recognition | HearingError) -> None:
    if not job.done.set_running_or_notify_cancel():
        return  # the caller has gone
    if isinstance(result, HearingError):
        job.done.set_exception(result)
    else:
        job.done.set_result(result)


def _failure(message: Error) -> HearingError:
    match message.code:
        case "overloaded":
            return Overloaded(message.text)
        case "unknown_language":
            return UnknownLanguage(message.text)
        case _:
            return RecognitionFailed(message.text)
