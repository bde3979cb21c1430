"""What an arm of the recogniser's benchmarks gets (a model, a clock, a clip), and what it gives."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from faster_whisper import WhisperModel

from asr.recognition import Audio
from asr.segmenter import SAMPLE_RATE, WINDOW
from asr.silero import Silero
from asr.whisper import Whisper
from bench.asr_meter import Counted, Meter, TellingLogMel
from bench.asr_policies import Passage, Recognise, Word
from bench.asr_script import Clip, Pcm


@dataclass(frozen=True)
class Loaded:
    """One model, for every arm."""

    name: str
    ours: Whisper
    shared: WhisperModel
    meter: Meter
    words: list[int]

    @classmethod
    def load(cls, name: str, folder: Path, floor_s: float) -> "Loaded":
        ours = Whisper(
            folder, device="cpu", compute_type="int8", floor_s=floor_s, temperatures=(0.0,)
        )
        # There is no other way to one model for both: the engine's and faster-whisper's own.
        shared = ours._whisper
        meter = Meter(shared)
        words = meter.words()
        meter.attach(shared)
        ours._features = TellingLogMel(meter)  # type: ignore[assignment]  # told, not changed
        return cls(name, ours, shared, meter, words)


@dataclass(frozen=True)
class Final:
    """Seconds since the clip's start."""

    decided_s: float
    """The silence by which it was decided had been heard."""
    ready_s: float
    """Its text was known."""
    given_s: float


@dataclass
class Run:
    arm: str
    finals: list[Final] = field(default_factory=list)
    captions_s: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    counted: Counted = field(default_factory=Counted)
    cpu_s: float = 0.0


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the clip's start."""
        ...

    def until(self, at: float) -> None: ...


class CpuClock:
    """Runs with the CPU seconds of the process that are not the meter's own."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._skipped = -meter.cpu_s

    def now(self) -> float:
        return self._meter.cpu_s + self._skipped

    def until(self, at: float) -> None:
        self._skipped += max(0.0, at - self.now())


class StillClock:
    """Runs only while an arm waits: everybody keeps their cadence, as on a machine without limits.

    whisper_streaming calls this computationally unaware. Calls are then the same at every load.
    """

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def until(self, at: float) -> None:
        self._now = max(self._now, at)


class WallClock:
    """Real time."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def now(self) -> float:
        return time.monotonic() - self._began

    def until(self, at: float) -> None:
        time.sleep(max(0.0, at - self.now()))


class Ends:
    """Silero's usual rule: speech begins at a likely window and ends after so much silence."""

    def __init__(self, silence_s: float, pad_s: float, threshold: float = 0.5) -> None:
        self._silence = silence_s * SAMPLE_RATE
        self._pad = round(pad_s * SAMPLE_RATE)
        self._threshold = threshold
        self._silero = Silero()
        self._now = 0
        self._quiet_since = 0
        self.speaking = False

    def hear(self, window: Pcm) -> int | None:
        """Where speech begins or ends, if this window decided it: a sample of the stream."""
        (probability,) = self._silero(window)
        self._now += WINDOW
        if probability >= self._threshold:
            self._quiet_since = 0
            if not self.speaking:
                self.speaking = True
                return max(0, self._now - self._pad - WINDOW)
        elif self.speaking and probability < self._threshold - 0.15:
            self._quiet_since = self._quiet_since or self._now
            if self._now - self._quiet_since >= self._silence:
                end, self._quiet_since = self._quiet_since, 0
                self.speaking = False
                return end + self._pad - WINDOW
        return None


def transcriber(shared: WhisperModel, *, words: bool, vad: bool) -> Recognise:
    """faster-whisper's `transcribe` on the terms of this benchmark."""

    def recognise(audio: Audio, prompt: str) -> Sequence[Passage] | None:
        found, about = shared.transcribe(
            audio,
            language="en",
            initial_prompt=prompt,
            beam_size=1,
            best_of=1,
            temperature=[0.0],
            word_timestamps=words,
            vad_filter=vad,
        )
        return [_passage(one) for one in found] if about.duration_after_vad else None

    return recognise


def _passage(one: Any) -> Passage:
    words = tuple(Word(w.start, w.end, w.word) for w in one.words or ())
    return Passage(one.start, one.end, one.text, words, one.no_speech_prob)


def windows(clip: Clip) -> Iterator[tuple[int, Pcm]]:
    """(samples heard with it, window)"""
    for start in range(0, len(clip.pcm) - WINDOW + 1, WINDOW):
        yield start + WINDOW, clip.pcm[start : start + WINDOW]


def as_float(pcm: Pcm) -> Audio:
    return np.divide(pcm, 32_768, dtype=np.float32)
