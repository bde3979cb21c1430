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
from collections.abc import Coroutine, Hashable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from asr.errors import (
    HearingError,
    Overloaded,
    RecognitionFailed,
    ServiceUnavailable,
    UnknownLanguage,
)
from asr.recognition import Audio, Priority, Recognition, Served
from asr.segmenter import SAMPLE_RATE, Pcm
from asr.service import protocol
from asr.service.protocol import (
    FRAME_SAMPLES,
    Cancel,
    Error,
    FromService,
    Hello,
    Ping,
    Ready,
    Recognise,
    Recognised,
    Refused,
    Sound,
)
from asr.service.segments import MAX_HELD, MAX_HELD_S

logger = logging.getLogger(__name__)

PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Before each new attempt; the last one again and again."""
PING_S = 20.0
"""So that a connection without speech is not taken for a dead one."""
OPEN_S = 5.0
RETRY_S = 0.5


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
        self._token = token
        self._give_up_after_s = give_up_after_s
        self._pauses_s = tuple(pauses_s)
        self._numbers = itertools.count()
        self._jobs: dict[int, _Job] = {}  # unanswered, oldest first
        self._samples = 0  # of those
        self._outbox: asyncio.Queue[_Job | Cancel] | None = None  # while connected
        self._first: Future[Ready] = Future()
        self._why_not = "it does not answer"
        self._closing = False
        self._lock = threading.Lock()  # nothing is submitted to a loop that has ended
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._stay_connected())
        self._thread = threading.Thread(target=self._live, name="asr-remote", daemon=True)
        self._thread.start()
        try:
            self._ready = self._first.result(wait_s)
        except (TimeoutError, Refused):
            self.close()
            raise ServiceUnavailable(
                f"The recogniser at {url} cannot be used: {self._why_not.rstrip('.')}."
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
    def connected(self) -> bool:
        return self._outbox is not None

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
        with self._lock:
            if self._closing:
                raise RecognitionFailed("The recogniser is closed.")
            self._loop.call_soon_threadsafe(self._submit, job)
        try:
            return await asyncio.wrap_future(job.done)
        finally:
            with self._lock:
                if job.done.cancelled() and not self._closing:
                    self._loop.call_soon_threadsafe(self._give_back, job)

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
            self._loop.close()

    async def _stay_connected(self) -> None:
        pauses = self._pauses()
        while True:
            try:
                async with connect(
                    self.url,
                    proxy=None,  # speech goes to the host that was named, and to no other
                    compression=None,
                    max_size=2**20,
                    open_timeout=OPEN_S,
                    close_timeout=1,
                    ping_interval=5,
                    ping_timeout=5,
                ) as socket:
                    await self._greet(socket)
                    pauses = self._pauses()
                    await self._converse(socket)
            except (OSError, TimeoutError, WebSocketException, Refused) as e:
                self._lost(e)
            await asyncio.sleep(next(pauses))

    def _pauses(self) -> Iterator[float]:
        return itertools.chain(self._pauses_s, itertools.repeat(self._pauses_s[-1]))

    async def _greet(self, socket: ClientConnection) -> None:
        await socket.send(Hello(token=self._token, kind="segments").model_dump_json())
        async with asyncio.timeout(OPEN_S):
            ready = await _receive(socket)
        if not isinstance(ready, Ready):
            raise Refused("bad_message", "what answers there does not speak as `viva asr` does")
        if not self._first.done():
            self._first.set_result(ready)
        elif ready.models != self._ready.models:
            logger.warning("%s has %s now, not %s", self.url, ready.models, self._ready.models)
        self._ready = ready

    async def _converse(self, socket: ClientConnection) -> None:
        """Until the connection is lost: raises why."""
        self._outbox = asyncio.Queue()
        for job in self._jobs.values():
            job.again = True
            self._outbox.put_nowait(job)
        logger.info(
            "connected to %s; unanswered segments sent again: %d", self.url, len(self._jobs)
        )
        works: list[Coroutine[Any, Any, None]] = [
            self._send(socket, self._outbox), self._read(socket), _keep_alive(socket)
        ]  # fmt: skip
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _lost(self, error: Exception) -> None:
        was_connected, self._outbox = self._outbox is not None, None
        self._why_not = str(error) or type(error).__name__
        for job in [job for job in self._jobs.values() if job.request.interim]:
            self._settle(job, Overloaded("The connection to the recogniser was lost."))
        if was_connected:
            logger.warning(
                "the recogniser at %s was lost with %d segments unanswered: %s",
                self.url,
                len(self._jobs),
                self._why_not,
            )
        refused = isinstance(error, Refused) and error.code == "unauthorised"
        if refused and not self._first.done():
            self._first.set_exception(error)  # no waiting mends that

    async def _send(self, socket: ClientConnection, outbox: "asyncio.Queue[_Job | Cancel]") -> None:
        while True:
            match await outbox.get():
                case Cancel() as cancel:
                    await socket.send(cancel.model_dump_json())
                case _Job() as job if not job.done.done():
                    await socket.send(job.request.model_dump_json())
                    for start in range(0, len(job.pcm), FRAME_SAMPLES):
                        piece = job.pcm[start : start + FRAME_SAMPLES]
                        await socket.send(protocol.pack(Sound(job.number, start, piece)))

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            match await _receive(socket):
                case Recognised() as message:
                    if job := self._jobs.get(message.segment):
                        self._settle(job, protocol.recognition(message))
                case Error(segment=int(number)) as message:
                    if job := self._jobs.get(number):
                        self._refused(job, _failure(message))
                case _:
                    pass  # a pong

    def _refused(self, job: _Job, failure: HearingError) -> None:
        if job.again and isinstance(failure, Overloaded):
            # After an outage every client sends all it has at once: more than the queue holds.
            self._loop.call_later(RETRY_S, self._send_again, job, self._outbox)
        else:
            self._settle(job, failure)

    def _send_again(self, job: _Job, outbox: "asyncio.Queue[_Job | Cancel] | None") -> None:
        # A new connection has it already.
        if outbox is not None and outbox is self._outbox and job.number in self._jobs:
            outbox.put_nowait(job)

    def _submit(self, job: _Job) -> None:
        held = self._samples + len(job.pcm)
        if len(self._jobs) >= MAX_HELD or held > MAX_HELD_S * SAMPLE_RATE:
            _finish(job, Overloaded(f"{len(self._jobs)} pieces of speech wait for {self.url}."))
        elif job.request.interim and self._outbox is None:
            _finish(job, Overloaded(f"The recogniser at {self.url} is away."))
        else:
            self._jobs[job.number] = job
            self._samples = held
            job.late = self._loop.call_later(self._give_up_after_s, self._give_up, job)
            if self._outbox is not None:
                self._outbox.put_nowait(job)

    def _give_up(self, job: _Job) -> None:
        self._settle(
            job,
            RecognitionFailed(
                f"The recogniser at {self.url} gave no answer in {self._give_up_after_s:.0f} s"
                + ("." if self.connected else f": {self._why_not}.")
            ),
        )
        self._cancel(job)

    def _give_back(self, job: _Job) -> None:
        """The caller has gone."""
        if job.number in self._jobs:
            self._settle(job, RecognitionFailed("Nobody waits for it."))
            self._cancel(job)

    def _cancel(self, job: _Job) -> None:
        if self._outbox is not None:
            self._outbox.put_nowait(Cancel(segment=job.number))

    def _settle(self, job: _Job, result: Recognition | HearingError) -> None:
        del self._jobs[job.number]
        self._samples -= len(job.pcm)
        if job.late:
            job.late.cancel()
        _finish(job, result)


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


async def _receive(socket: ClientConnection) -> FromService:
    """The next message; an error that ends the connection is raised."""
    data = await socket.recv()
    if not isinstance(data, str):
        raise Refused("bad_message", "what answers there does not speak as `viva asr` does")
    message = protocol.from_service(data)
    if isinstance(message, Error) and message.segment is None:
        raise Refused(message.code, message.text)
    return message


async def _keep_alive(socket: ClientConnection) -> None:
    while True:
        await asyncio.sleep(PING_S)
        await socket.send(Ping().model_dump_json())
