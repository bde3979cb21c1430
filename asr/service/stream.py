"""A connection of the kind `stream`: sound in; interims, preflights and finals out.

The same segmenter, judge and emitter as in a session's `asr.stream`, fed by faster-whisper's VAD.
Time is counted in samples, never by a clock: the same sound gives the same cuts, however it comes.

Each sample belongs to the core of one segment; `settled` is where a client would have to begin
again if this process died now.
"""

import asyncio
import logging
import math
from collections import deque

import numpy as np

from asr import guards
from asr.emission import Emission, Emitter
from asr.errors import HearingError, Overloaded
from asr.heard import HeardSegment, judge
from asr.recognition import Recognition, Source
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment, Segmenter, SegmenterOptions
from asr.service.parts import Parts, Tell
from asr.service.protocol import (
    Ended,
    Final,
    Flush,
    Hello,
    Interim,
    Message,
    Preflight,
    Refused,
    Sound,
    Utterance,
    words_out,
)
from asr.silero import Silero
from asr.whisper import base_language

logger = logging.getLogger(__name__)

MAX_BEHIND_S = 30.0
"""A speaker's stream is at most one open segment and the engine's longest wait behind: 18 s."""
FINAL_AFTER_S = 0.4
INTERIM_EVERY_S = 1.0
RETRY_AFTER_S = 0.5
LOW_CONFIDENCE_LOGPROB = -0.7
OPTIONS = SegmenterOptions()


class Stream:
    def __init__(self, parts: Parts, hello: Hello, tell: Tell) -> None:
        self._parts = parts
        self._hello = hello
        self._tell = tell
        self.source = Source(id(self))
        self._vad = Silero()
        self._segmenter = Segmenter(OPTIONS)
        self._emitter = Emitter(language=base_language(hello.language), final_after_s=FINAL_AFTER_S)
        self._results: deque[tuple[int, Segment, asyncio.Task[Recognition | str]]] = deque()
        self._interim: asyncio.Task[None] | None = None
        self._interim_at = 0
        self._first: int | None = None  # position of the first sample
        self._next = 0  # position of the sample that is due
        self._rest = np.zeros(0, np.int16)  # less than a window
        self._core_end = 0  # of the last segment, in the segmenter's count
        self._pieces = 0

    @property
    def settled(self) -> int:
        """What is open, in recognition, or may be the lead of speech to come, is not."""
        lead = round(OPTIONS.pre_s * SAMPLE_RATE)
        if self._results:
            start = self._results[0][1].core_start
        elif self._segmenter.open:
            start = self._core_end
        else:
            start = max(self._core_end, self._segmenter.position - lead)
        return (self._first or 0) + start

    def obey(self, message: Message) -> None:
        if not isinstance(message, Flush):
            raise Refused("bad_message", f"{type(message).__name__} is not for a stream.")
        self._flush()

    def hear(self, sound: Sound) -> None:
        if (
            self._first is None
        ):  # a stream that goes on after a lost connection begins in the middle
            self._first = self._next = sound.position
        if sound.segment or sound.position != self._next:
            raise Refused("bad_frame", f"Sample {self._next} was due, and {sound.position} came.")
        self._next = sound.end
        self._parts.metrics.audio.labels("stream").inc(len(sound.pcm) / SAMPLE_RATE)
        audio = np.concatenate([self._rest, sound.pcm])
        whole = len(audio) // WINDOW * WINDOW
        self._windows(audio[:whole])
        self._rest = audio[whole:].copy()
        if self._next - self.settled > MAX_BEHIND_S * SAMPLE_RATE:
            raise Refused(
                "too_fast",
                f"{MAX_BEHIND_S:.0f} s of sound wait to be recognised: send it as it is spoken,"
                " or wait for finals.",
            )

    async def finish(self) -> None:
        if len(self._rest):
            self._windows(np.pad(self._rest, (0, WINDOW - len(self._rest))))
            self._rest = self._rest[:0]
        self._flush()
        while self._results:
            await asyncio.wait([task for _, _, task in self._results])
            await asyncio.sleep(0)  # lets `_settle` run
        self._emit(silence_s=math.inf)
        self._tell(Ended(samples=self._next))

    def close(self) -> None:
        for _, _, task in self._results:
            task.cancel()
        if self._interim:
            self._interim.cancel()

    def _windows(self, audio: Pcm) -> None:
        windows = audio.reshape(-1, WINDOW)
        for window, probability in zip(windows, self._vad(audio), strict=True):
            segment = self._segmenter.push(window, float(probability))
            if segment is not None:
                self._recognise(segment)
            self._overhear()
            self._emit()

    def _flush(self) -> None:
        segment = self._segmenter.flush()
        if segment is not None:
            self._recognise(segment)
        self._emit()

    # Recognition.

    def _recognise(self, segment: Segment) -> None:
        self._core_end = segment.core_end
        piece, self._pieces = self._pieces, self._pieces + 1
        self._emitter.cut(piece)
        task = asyncio.create_task(self._result(segment.audio))
        self._results.append((piece, segment, task))
        task.add_done_callback(lambda _: self._settle())

    async def _result(self, audio: Pcm) -> Recognition | str:
        """The recognition, or why there is none; as in a session, overload is outwaited once."""
        for attempt in (1, 2):
            try:
                return await self._ask(audio, interim=False)
            except Overloaded as e:
                reason = str(e)
                if attempt == 1:
                    await asyncio.sleep(RETRY_AFTER_S)
            except HearingError as e:
                return str(e)
            except Exception as e:
                # This task's outermost edge: a segment is lost, the stream is not.
                logger.exception("a segment could not be recognised")
                return f"{type(e).__name__}: {e}"
        return reason

    async def _ask(self, audio: Pcm, *, interim: bool) -> Recognition:
        return await self._parts.recognise(
            audio,
            language=self._hello.language,
            hotwords=self._hello.hotwords,
            interim=interim,
            source=self.source,
        )

    def _settle(self) -> None:
        """Tell what is done, in the order in which it was said."""
        while self._results and self._results[0][2].done():
            piece, segment, task = self._results.popleft()
            if task.cancelled():
                return  # the connection is closing
            heard = judge(
                segment,
                task.result(),
                language=base_language(self._hello.language),
                low_confidence_logprob=LOW_CONFIDENCE_LOGPROB,
                stream_started_at=0.0,
            )
            self._emitter.heard(piece, heard.text)
            self._tell(self._final(piece, segment, heard))
        self._emit()

    def _final(self, piece: int, segment: Segment, heard: HeardSegment) -> Final:
        first = self._first or 0
        shift = first / SAMPLE_RATE
        placed = words_out(heard.words)
        return Final(
            segment=piece,
            start=first + segment.core_start,
            end=min(first + segment.core_end, self._next),  # not the padding of the last window
            voice_start=first + segment.onset,
            voice_end=min(first + segment.voice_end, self._next),
            text=heard.text,
            confidence=heard.confidence,
            words=tuple(
                w.model_copy(update={"start": w.start + shift, "end": w.end + shift})
                for w in placed
            ),
            verdict=heard.verdict if heard.verdict != "backchannel" else "ok",
            reason=heard.dropped_reason,
        )

    def _overhear(self) -> None:
        """Ask for an interim result of the open speech, one at a time."""
        if self._interim is not None and not self._interim.done():
            return
        since = max(self._interim_at, self._segmenter.open_start())
        if self._segmenter.position - since < INTERIM_EVERY_S * SAMPLE_RATE:
            return
        audio = self._segmenter.open_audio()
        if audio is not None:
            self._interim_at = self._segmenter.position
            self._interim = asyncio.create_task(self._interim_result(audio, self._pieces))

    async def _interim_result(self, audio: Pcm, piece: int) -> None:
        try:
            heard = await self._ask(audio, interim=True)
        except HearingError:
            return  # busy with finals: the next one will do
        except Exception:
            # As in `_result`; an interim may be lost without a word.
            logger.debug("no interim result", exc_info=True)
            return
        dropped = guards.reason_to_drop(heard, len(audio) / SAMPLE_RATE)
        if piece == self._pieces and dropped is None:
            self._emitter.overheard(heard.text)
            self._emit()

    def _emit(self, silence_s: float | None = None) -> None:
        emission = self._emitter.due(
            speaking=self._segmenter.open,
            silence_s=self._segmenter.silence_s if silence_s is None else silence_s,
            is_backchannel=lambda _text: False,
        )
        if emission is not None:
            self._tell(_message(emission))


def _message(emission: Emission) -> Interim | Preflight | Utterance:
    match emission.kind:
        case "interim":
            return Interim(text=emission.text)
        case "preflight":
            return Preflight(text=emission.text)
        case _:
            return Utterance(text=emission.text)
