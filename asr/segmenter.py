"""Where a stream of speech is cut, so that each piece is recognised while the next is being said.

Pure: windows of 512 samples at 16 kHz go in with the probability that they hold speech, segments
come out. It knows nothing of recognisers, clocks or LiveKit.

Rules:
- The cores [cut, next cut) tile the stream: no sample stands in two segments, none between them.
- A segment's audio is [max(core start, onset - pre), core end): only silence before it is left out.
- Cut at a pause of `cut_s`; after `soft_s` of speech at any dip; after `hard_s` at the quietest
  place of the last seconds.
- A burst shorter than `min_speech_s` is not speech, and gives no segment.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
WINDOW = 512

Pcm = npt.NDArray[np.int16]
Reason = Literal["pause", "dip", "length", "flush"]


@dataclass(frozen=True)
class SegmenterOptions:
    """In seconds. Measured on quiet and noisy espeak speech; re-measure for real models."""

    cut_s: float = 0.20
    pre_s: float = 0.50
    post_s: float = 0.20
    soft_s: float = 6.0
    dip_s: float = 0.064
    hard_s: float = 10.0
    look_back_s: float = 3.0
    """How far back a cut without any pause may lie."""
    min_speech_s: float = 0.064
    activation: float = 0.5
    """Probability at which speech begins."""
    deactivation: float = 0.35
    """Probability below which it has stopped."""


@dataclass(frozen=True)
class Segment:
    """One piece of speech; positions are samples since the first of the stream."""

    core_start: int
    core_end: int
    start: int
    """Of `audio`."""
    onset: int
    voice_end: int
    audio: Pcm
    reason: Reason


@dataclass
class _Speech:
    """Speech not yet cut, counted in windows."""

    onset: int
    last_voiced: int
    voiced: int = 1


def _windows(seconds: float) -> int:
    """At least one window; rounded up, so that a pause is never shorter than it is called."""
    return max(1, -int(-seconds * SAMPLE_RATE // WINDOW))


class Segmenter:
    def __init__(self, options: SegmenterOptions | None = None) -> None:
        self._o = options or SegmenterOptions()
        self._cut = _windows(self._o.cut_s)
        self._dip = _windows(self._o.dip_s)
        self._pre = _windows(self._o.pre_s)
        self._post = _windows(self._o.post_s)
        self._soft = _windows(self._o.soft_s)
        self._hard = _windows(self._o.hard_s)
        self._look_back = min(_windows(self._o.look_back_s), self._hard - 1)
        self._min_voiced = _windows(self._o.min_speech_s)
        self._core = 0  # window index of the last cut
        self._now = 0  # windows seen
        self._kept: deque[Pcm] = deque()  # the windows [now - len, now) that may still be sent
        self._speech: _Speech | None = None
        self._voice_end = 0  # window after the last one of accepted speech

    @property
    def position(self) -> int:
        """Samples seen."""
        return self._now * WINDOW

    @property
    def kept_from(self) -> int:
        """The sample from which on anything may still become part of a segment; never falls."""
        return (self._now - len(self._kept)) * WINDOW

    @property
    def open(self) -> bool:
        """Speech, or what may yet turn out to be speech, is waiting for its cut."""
        return self._speech is not None

    @property
    def speaking(self) -> bool:
        """Accepted speech is open."""
        return self._speech is not None and self._accepted(self._speech)

    @property
    def pausing(self) -> bool:
        """Speech is open and has been silent for as long as a dip: its cut may be near."""
        return self._speech is not None and self._silence(self._speech) >= self._dip

    @property
    def patience(self) -> int:
        """Windows until the next one that may decide something, whatever they hold.

        In the middle of speech no cut is possible before a pause is long enough, so a VAD that is
        cheaper for several windows at once may wait for so many, and everything comes out the same.
        """
        speech = self._speech
        if speech is None or not self._accepted(speech):
            return 1
        silence, length = self._silence(speech), self._now - speech.onset
        dip = max(self._soft - length, self._dip - silence)
        return max(1, min(self._cut - silence, dip, self._hard - length))

    @property
    def silence_s(self) -> float:
        """Seconds since the last window of speech."""
        return (self._now - self._voice_end) * WINDOW / SAMPLE_RATE

    def push(self, window: Pcm, probability: float) -> Segment | None:
        if window.shape != (WINDOW,):
            raise ValueError(f"a window has {WINDOW} samples, not {window.shape}")
        self._kept.append(window)
        self._now += 1
        self._listen(probability)
        segment = self._due()
        self._forget()
        return segment

    def flush(self) -> Segment | None:
        """Cut here, whatever is being said."""
        speech = self._speech
        if speech is None or not self._accepted(speech):
            self._speech = None
            return None
        return self._close(speech, self._now, "flush")

    def open_audio(self) -> Pcm | None:
        """What has been said since the last cut, for interim results."""
        if self._speech is None or not self._accepted(self._speech):
            return None
        return self._audio(self._start(self._speech), self._now)

    def open_start(self) -> int:
        """The sample at which `open_audio` begins."""
        return self._start(self._speech) * WINDOW if self._speech else self.position

    def _silence(self, speech: _Speech) -> int:
        """Windows since its last voiced one."""
        return self._now - 1 - speech.last_voiced

    def _accepted(self, speech: _Speech) -> bool:
        return speech.voiced >= self._min_voiced

    def _listen(self, probability: float) -> None:
        speech = self._speech
        if speech is None:
            if probability >= self._o.activation:
                self._speech = speech = _Speech(onset=self._now - 1, last_voiced=self._now - 1)
        elif probability > self._o.deactivation:
            speech.last_voiced = self._now - 1
            speech.voiced += 1
        if speech is not None and self._accepted(speech):
            self._voice_end = max(self._voice_end, speech.last_voiced + 1)

    def _due(self) -> Segment | None:
        speech = self._speech
        if speech is None:
            return None
        silence, length = self._silence(speech), self._now - speech.onset
        if not self._accepted(speech):
            if silence >= self._cut:
                self._speech = None  # a click
            return None
        if silence >= self._cut:
            end = min(self._now, speech.last_voiced + 1 + self._post)
            return self._close(speech, end, "pause")
        if length >= self._soft and silence >= self._dip:
            # The middle of the dip, so that both sides keep some of it.
            end = speech.last_voiced + 1 + silence // 2
            return self._close(speech, end, "dip")
        if length >= self._hard:
            return self._close(speech, self._quietest(speech), "length")
        return None

    def _close(self, speech: _Speech, end: int, reason: Reason) -> Segment:
        start = self._start(speech)
        segment = Segment(
            core_start=self._core * WINDOW,
            core_end=end * WINDOW,
            start=start * WINDOW,
            onset=speech.onset * WINDOW,
            voice_end=min(speech.last_voiced + 1, end) * WINDOW,
            audio=self._audio(start, end),
            reason=reason,
        )
        self._core = end
        self._speech = None
        if speech.last_voiced >= end:  # a cut in mid-speech: what follows it goes on
            rest = speech.last_voiced + 1 - end
            self._speech = _Speech(end, speech.last_voiced, max(rest, self._min_voiced))
        return segment

    def _start(self, speech: _Speech) -> int:
        return max(self._core, speech.onset - self._pre)

    def _audio(self, start: int, end: int) -> Pcm:
        first = self._now - len(self._kept)
        return np.concatenate([self._kept[i - first] for i in range(start, end)])

    def _quietest(self, speech: _Speech) -> int:
        """The middle of the quietest three windows of the last seconds."""
        first = self._now - len(self._kept)
        begin = max(speech.onset + 1, self._now - self._look_back)
        energy = np.array(
            [
                np.square(self._kept[i - first].astype(np.float32)).mean()
                for i in range(begin, self._now)
            ]
        )
        if len(energy) < 3:
            return begin + int(energy.argmin())
        return begin + 1 + int(np.convolve(energy, np.ones(3), mode="valid").argmin())

    def _forget(self) -> None:
        """Keep what may still be sent: open speech with its lead, or the lead of speech to come."""
        oldest = (
            self._start(self._speech) if self._speech else max(self._core, self._now - self._pre)
        )
        while self._now - len(self._kept) < oldest:
            self._kept.popleft()
