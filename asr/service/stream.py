"""A connection of the kind `stream`: sound in; interims, preflights and finals out.

The same segmenter, judge and emitter as in a session's `asr.stream`, fed by faster-whisper's VAD.
Time is counted in samples, never by a clock: the same sound gives the same cuts, however it comes.

Each sample belongs to the core of one segment; `settled` is where a client would have to begin
again if this process died now.
"""

import math

import numpy as np

from asr.emission import Emission
from asr.framing import Windows
from asr.heard import HeardSegment
from asr.listening import Listening, ListeningOptions
from asr.recognition import Recognition, Source
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment
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

MAX_BEHIND_S = 45.0
"""A speaker's stream is at most 34 s behind: one open segment, the pauses of its retries, and the
engine's longest wait."""
NOTHING = np.zeros(0, np.int16)


class Stream:
    def __init__(self, parts: Parts, hello: Hello, tell: Tell) -> None:
        self._parts = parts
        self._hello = hello
        self._tell = tell
        self.source = Source(id(self))
        self._vad = Silero()
        self._listening = Listening(ListeningOptions(hello.language), self)
        self._windows = Windows()
        self._first: int | None = None  # position of the first sample
        self._next = 0  # position of the sample that is due

    @property
    def settled(self) -> int:
        """What is open, in recognition, or may be the lead of speech to come, is not."""
        waiting = self._listening.results.first
        start = waiting[1].start if waiting else self._listening.segmenter.kept_from
        return (self._first or 0) + start

    @property
    def busy(self) -> bool:
        """Whether something is being said, or what was said is being recognised."""
        return self._listening.segmenter.open or self._listening.results.first is not None

    def obey(self, message: Message) -> None:
        if not isinstance(message, Flush):
            raise Refused("bad_message", f"{type(message).__name__} is not for a stream.")
        self._listen(self._windows.push(NOTHING))
        self._listening.flush()

    def hear(self, sound: Sound) -> None:
        if self._first is None:
            # A stream that goes on after a lost connection begins in the middle.
            self._first = self._next = sound.position
        if sound.segment or sound.position != self._next:
            raise Refused("bad_frame", f"Sample {self._next} was due, and {sound.position} came.")
        self._next = sound.end
        self._parts.metrics.audio.labels("stream").inc(len(sound.pcm) / SAMPLE_RATE)
        # Silero costs less than half for several windows at once, and while none of them can
        # decide anything they need not be heard one by one.
        self._listen(self._windows.push(sound.pcm, self._listening.patience))
        if self._next - self.settled > MAX_BEHIND_S * SAMPLE_RATE:
            raise Refused(
                "too_fast",
                f"{MAX_BEHIND_S:.0f} s of sound wait to be recognised: send it as it is spoken,"
                " or wait for finals.",
            )

    async def finish(self) -> None:
        self._listen(self._windows.finish())
        self._listening.flush()
        await self._listening.results.all_told()
        self._emit(silence_s=math.inf)
        self._tell(Ended(samples=self._next))

    def close(self) -> None:
        self._listening.close()

    def _listen(self, audio: Pcm) -> None:
        listening = self._listening
        windows = audio.reshape(-1, WINDOW)
        for window, probability in zip(windows, self._vad(audio), strict=True):
            listening.push(window, float(probability))
            listening.interims.look(listening.segmenter)
            self._emit()

    # What the listening asks for and tells.

    async def ask(self, audio: Pcm, *, interim: bool) -> Recognition:
        return await self._parts.recognise(
            audio,
            language=self._hello.language,
            hotwords=self._hello.hotwords,
            interim=interim,
            source=self.source,
        )

    def heard(self, piece: int, segment: Segment, heard: HeardSegment) -> None:
        self._tell(self._final(piece, segment, heard))

    def emit(self) -> None:
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

    def _emit(self, silence_s: float | None = None) -> None:
        segmenter = self._listening.segmenter
        emission = self._listening.emitter.due(
            speaking=segmenter.open,
            silence_s=segmenter.silence_s if silence_s is None else silence_s,
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
