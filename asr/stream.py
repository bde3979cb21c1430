"""One stream of speech: windows in, segments to the recogniser, transcripts and segments out.

Nothing but an `APIError` may leave it: after anything else the session stays deaf.
"""

import asyncio
import logging
import math
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, LanguageCode, stt, vad

from asr import guards
from asr.decoder import base_language
from asr.emission import Emission, Emitter
from asr.errors import RecognitionFailed
from asr.heard import HeardSegment, Pending, Verdict, judge
from asr.recognition import Priority, Recognition
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment, Segmenter

if TYPE_CHECKING:
    from asr.stt import WhisperSTT

logger = logging.getLogger(__name__)

LOOK_S = 0.25
"""How often a line is looked at that may have gone dead."""

_EVENTS = {
    "interim": stt.SpeechEventType.INTERIM_TRANSCRIPT,
    "preflight": stt.SpeechEventType.PREFLIGHT_TRANSCRIPT,
    "final": stt.SpeechEventType.FINAL_TRANSCRIPT,
}


class WhisperStream(stt.RecognizeStream):
    def __init__(
        self, parent: "WhisperSTT", *, language: str, vad: vad.VAD, conn_options: APIConnectOptions
    ) -> None:
        self._parent = parent
        self._language = language
        self._vad = vad
        self._segmenter = Segmenter(parent.segmenter)
        self._emitter = Emitter(
            language=base_language(language), final_after_s=parent.final_after_s
        )
        self._results: deque[tuple[int, Segment, asyncio.Task[Recognition | str]]] = deque()
        self._said: list[HeardSegment] = []  # since the last final
        self._unreported: list[HeardSegment] = []
        self._agent_spoke = False
        self._interim: asyncio.Task[None] | None = None
        self._interim_at = 0  # position of the last one
        self._pieces = 0
        self._rest = np.zeros(0, np.int16)  # less than a window
        self._pushed = 0  # windows given to the VAD
        self._flush_at: int | None = None
        self._last_pending = Pending(False, 0, False)
        self._last_audio = time.monotonic()
        self._started_at = 0.0
        self._tasks: set[asyncio.Task[Any]] = set()
        super().__init__(stt=parent, conn_options=conn_options, sample_rate=SAMPLE_RATE)

    @property
    def started_at(self) -> float:
        """`time.time()` at the first sample; 0 before it."""
        return self._started_at

    @property
    def pending(self) -> Pending:
        return Pending(
            open=self._segmenter.open,
            recognising=self._emitter.recognising,
            unfinished=self._emitter.unfinished,
        )

    @property
    def pending_text(self) -> str:
        return self._emitter.text

    async def _run(self) -> None:
        ears = self._vad.stream()
        self._pushed = self._segmenter.position // WINDOW
        self._parent._opened(self)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch_for_stalls())
                group.create_task(self._feed(ears))
                await self._listen(ears)
                watch.cancel()
            await self._finish()
        except Exception as e:
            # The stream's outermost edge: another exception would leave the session deaf, an
            # APIError makes LiveKit run the stream again, with what it has heard so far.
            logger.exception("the speech stream failed, and starts again")
            raise APIConnectionError("the speech stream failed") from e
        finally:
            await ears.aclose()
            self._parent._closed(self)

    async def aclose(self) -> None:
        await super().aclose()
        for task in self._tasks:
            task.cancel()

    # Audio in.

    async def _feed(self, ears: vad.VADStream) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._hear(item, ears)
            else:
                self.cut()
        if len(self._rest):
            self._push_window(np.pad(self._rest, (0, WINDOW - len(self._rest))), ears)
        ears.end_input()

    def _hear(self, frame: rtc.AudioFrame, ears: vad.VADStream) -> None:
        if not self._started_at:
            self._started_at = time.time() - frame.duration
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)[:, 0]
        audio = np.concatenate([self._rest, samples])
        whole = len(audio) // WINDOW * WINDOW
        for start in range(0, whole, WINDOW):
            self._push_window(audio[start : start + WINDOW], ears)
        self._rest = audio[whole:].copy()

    def _push_window(self, window: Pcm, ears: vad.VADStream) -> None:
        self._pushed += 1
        ears.push_frame(rtc.AudioFrame(window.tobytes(), SAMPLE_RATE, 1, WINDOW))

    async def _listen(self, ears: vad.VADStream) -> None:
        async for event in ears:
            if event.type is not vad.VADEventType.INFERENCE_DONE:
                continue
            window = np.frombuffer(event.frames[0].data, np.int16)
            self._last_audio = time.monotonic()
            self._window(window, event.probability)
        if not self._input_ch.closed:
            raise APIConnectionError("the voice activity detector stopped")

    def _window(self, window: Pcm, probability: float) -> None:
        segment = self._segmenter.push(window, probability)
        if self._segmenter.open and self._parent.agent_speaking:
            self._agent_spoke = True
        if segment is not None:
            self._recognise(segment)
        elif self._flush_at is not None and self._segmenter.position >= self._flush_at * WINDOW:
            self._flush()
        self._overhear()
        self._emit()

    def cut(self) -> None:
        """Cut behind what was pushed so far, as a flush of the session does."""
        self._flush_at = self._pushed
        if self._segmenter.position >= self._pushed * WINDOW:
            self._flush()

    def _flush(self) -> None:
        self._flush_at = None
        segment = self._segmenter.flush()
        if segment is not None:
            self._recognise(segment)
        self._emit()

    async def _watch_for_stalls(self) -> None:
        """A line that went dead in mid-word still gives what was said before."""
        while True:
            await asyncio.sleep(min(self._parent.stalled_after_s / 4, LOOK_S))
            limit = self._parent.stalled_after_s  # shorter, once nothing more is to come
            caught_up = self._input_ch.empty() and self._segmenter.position >= self._pushed * WINDOW
            if caught_up and time.monotonic() - self._last_audio >= limit:
                if self._segmenter.open:
                    self._flush()
                self._emit(silence_s=math.inf)

    # Recognition.

    def _recognise(self, segment: Segment) -> None:
        piece = self._pieces
        self._pieces += 1
        self._emitter.cut(piece)
        task = self._own(self._result(segment, piece))
        self._results.append((piece, segment, task))
        task.add_done_callback(lambda _: self._settle())

    async def _result(self, segment: Segment, piece: int) -> Recognition | str:
        """The recognition, or why there is none. The same audio is tried twice."""
        audio = segment.audio.astype(np.float32) / 32_768
        for attempt in (1, 2):
            try:
                return await self._ask(audio, Priority.FINAL)
            except RecognitionFailed as e:
                reason = str(e)
                logger.warning("segment %d, attempt %d: %s", piece, attempt, e)
            except asyncio.CancelledError:
                raise
            except Exception as e:
                # Any engine may stand behind the protocol; a segment is lost, the stream is not.
                reason = f"{type(e).__name__}: {e}"
                logger.exception("segment %d, attempt %d", piece, attempt)
            if attempt == 1:
                await asyncio.sleep(self._parent.retry_after_s)
        return reason

    async def _ask(self, audio: np.ndarray, priority: Priority) -> Recognition:
        return await self._parent.recogniser.recognise(
            audio,
            language=self._language,
            hotwords=self._parent.hotwords,
            priority=priority,
            source=id(self),
        )

    def _settle(self) -> None:
        """Take what is done, in the order in which it was said."""
        while self._results and self._results[0][2].done():
            piece, segment, task = self._results.popleft()
            if task.cancelled():
                return  # the stream is closing
            heard = self._judged(segment, task.result())
            self._emitter.heard(piece, heard.text)
            self._unreported.append(heard)
            self._said.append(heard)
        self._emit()

    def _judged(self, segment: Segment, result: Recognition | str) -> HeardSegment:
        return judge(
            segment,
            result,
            language=base_language(self._language),
            low_confidence_logprob=self._parent.low_confidence_logprob,
            stream_started_at=self._started_at,
        )

    def _overhear(self) -> None:
        """Ask for an interim result of the open speech, one at a time."""
        every = self._parent.interim_every_s
        audio = None
        if every is not None and (self._interim is None or self._interim.done()):
            since = max(self._interim_at, self._segmenter.open_start())
            if self._segmenter.position - since >= every * SAMPLE_RATE:
                audio = self._segmenter.open_audio()
        if audio is not None:
            self._interim_at = self._segmenter.position
            self._interim = self._own(self._interim_result(audio, self._pieces))

    async def _interim_result(self, audio: Pcm, piece: int) -> None:
        try:
            heard = await self._ask(audio.astype(np.float32) / 32_768, Priority.INTERIM)
        except RecognitionFailed:
            return  # busy with finals: the next one will do
        except Exception:
            # As in `_result`; an interim may be lost without a word.
            logger.debug("no interim result", exc_info=True)
            return
        voiced_s = len(audio) / SAMPLE_RATE
        if piece == self._pieces and guards.reason_to_drop(heard, voiced_s) is None:
            self._emitter.overheard(heard.text)
            self._emit()

    # Events out.

    def _emit(self, silence_s: float | None = None) -> None:
        emission = self._emitter.due(
            speaking=self._segmenter.open,
            silence_s=self._segmenter.silence_s if silence_s is None else silence_s,
            is_backchannel=self._is_backchannel,
        )
        self._report(emission)
        if emission is not None and emission.kind != "backchannel":
            self._send(emission)
        if not self._emitter.unfinished and not self._segmenter.open:
            self._agent_spoke = False
            self._said.clear()
        if self.pending != self._last_pending:
            self._last_pending = self.pending
            self._parent._changed()

    def _is_backchannel(self, text: str) -> bool:
        ask = self._parent.is_backchannel
        return ask is not None and ask(text, self._agent_spoke)

    def _report(self, emission: Emission | None) -> None:
        """Tell of segments, unless they may still turn out to be a backchannel."""
        verdict: Verdict | None = None
        if emission is not None and emission.kind == "backchannel":
            verdict = "backchannel"
        elif self._emitter.text and self._is_backchannel(self._emitter.text):
            return
        waiting, self._unreported = self._unreported, []
        for heard in waiting:
            told = replace(heard, verdict=verdict) if verdict and heard.text else heard
            self._parent._report(told)

    def _send(self, emission: Emission) -> None:
        said = [heard for heard in self._said if heard.text]
        sure = [heard.confidence for heard in said if heard.confidence is not None]
        data = stt.SpeechData(
            language=LanguageCode(self._language),
            text=emission.text,
            start_time=said[0].start_s + self.start_time_offset if said else 0.0,
            end_time=said[-1].end_s + self.start_time_offset if said else 0.0,
            confidence=sum(sure) / len(sure) if sure else 0.0,
        )
        if emission.kind == "final":
            self._parent.finals += 1
        self._event_ch.send_nowait(
            stt.SpeechEvent(type=_EVENTS[emission.kind], alternatives=[data])
        )

    # The end.

    async def _finish(self) -> None:
        """The input has ended: recognise what is open, and give the last final."""
        self._flush()
        while self._results:
            await asyncio.wait([task for _, _, task in self._results])
            await asyncio.sleep(0)  # lets `_settle` run
        self._emit(silence_s=math.inf)

    def _own(self, work: Any) -> "asyncio.Task[Any]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
