"""One stream of speech: windows in, segments to the recogniser, transcripts and segments out.

Nothing but an `APIError` may leave it: after anything else the session stays deaf.
"""

import asyncio
import logging
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from livekit import rtc
from livekit.agents import APIConnectionError, APIConnectOptions, LanguageCode, stt, vad

from asr.emission import Emission
from asr.framing import Windows
from asr.heard import HeardSegment, Pending, Verdict
from asr.listening import Listening, ListeningOptions
from asr.recognition import Priority, Recognition
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment

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
        options = ListeningOptions(
            language=language,
            segmenter=parent.segmenter,
            final_after_s=parent.final_after_s,
            interim_every_s=parent.interim_every_s,
            retry_after_s=parent.retry_after_s,
            low_confidence_logprob=parent.low_confidence_logprob,
        )
        self._listening = Listening(options, self)
        self._segmenter = self._listening.segmenter
        self._emitter = self._listening.emitter
        self._said: list[HeardSegment] = []  # since the last final
        self._unreported: list[HeardSegment] = []
        self._agent_spoke = False
        self._windows = Windows()
        self._pushed = 0  # windows given to the VAD
        self._flush_at: int | None = None
        self._last_pending = Pending(False, 0, False)
        self._last_audio = time.monotonic()
        super().__init__(stt=parent, conn_options=conn_options, sample_rate=SAMPLE_RATE)

    @property
    def started_at(self) -> float:
        """`time.time()` at the first sample; 0 before it."""
        return self._listening.started_at

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
        self._listening.close()

    # Audio in.

    async def _feed(self, ears: vad.VADStream) -> None:
        async for item in self._input_ch:
            if isinstance(item, rtc.AudioFrame):
                self._hear(item, ears)
            else:
                self.cut()
        self._push_windows(self._windows.finish(), ears)
        ears.end_input()

    def _hear(self, frame: rtc.AudioFrame, ears: vad.VADStream) -> None:
        if not self._listening.started_at:
            self._listening.started_at = time.time() - frame.duration
        samples = np.frombuffer(frame.data, np.int16).reshape(-1, frame.num_channels)[:, 0]
        self._push_windows(self._windows.push(samples), ears)

    def _push_windows(self, audio: Pcm, ears: vad.VADStream) -> None:
        for window in audio.reshape(-1, WINDOW):
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
        cut = self._listening.push(window, probability)
        if self._segmenter.open and self._parent.agent_speaking:
            self._agent_spoke = True
        if not cut and self._flush_due():
            self._flush()
        self._listening.interims.look(self._segmenter)
        self._emit()

    def cut(self) -> None:
        """Cut behind what was pushed so far, as a flush of the session does."""
        self._flush_at = self._pushed
        if self._flush_due():
            self._flush()

    def _flush_due(self) -> bool:
        at = self._flush_at
        return at is not None and self._segmenter.position >= at * WINDOW

    def _flush(self) -> None:
        self._flush_at = None
        self._listening.flush()

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

    # What the listening asks for and tells.

    async def ask(self, audio: Pcm, *, interim: bool) -> Recognition:
        return await self._parent.recogniser.recognise(
            np.divide(audio, 32_768, dtype=np.float32),
            language=self._language,
            hotwords=self._parent.hotwords,
            priority=Priority.INTERIM if interim else Priority.FINAL,
            source=id(self),
        )

    def heard(self, piece: int, segment: Segment, heard: HeardSegment) -> None:
        self._unreported.append(heard)
        self._said.append(heard)

    def emit(self) -> None:
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
        await self._listening.results.all_told()
        self._emit(silence_s=math.inf)
