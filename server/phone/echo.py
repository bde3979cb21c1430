"""Our own voice, returned by the far end of a telephone line, is not an answer.

Hybrids, loudspeaker phones and conference bridges send back what they hear: up to a second later,
weaker, and through codecs that leave no wave as it was. So it is not subtracted; it is recognised
by its loudness in a few bands over time, and silenced. Rules:

- while we are silent, nothing is touched;
- an echo is believed when what comes in follows what we played, at one delay, twice in a row;
- from then on each 20 ms is expected to hold that echo, by its delay and its loss in each band;
  what is louder is a person, who is let through at once, with the words around it;
- whoever speaks into our voice on a line without echo is never touched.

Pure: sound and times (seconds of one clock) in, sound out, as long as it was and without delay.
"""

from __future__ import annotations

import functools
import warnings
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
Levels = NDArray[np.float64]
"""Decibels, one row for each `BIN_S`, one column for each band."""

BIN_S = 0.010
BANDS_HZ = (300, 600, 1000, 1500, 2100, 2700, 3400)
"""Of the telephone; between each two is one band."""
FLOOR_DB = 5.0
"""Of a band's loudness, in decibels of a 16-bit sample: what is lower is silence (-85 dBFS)."""
MAX_DELAY_S = 1.0
WINDOW_S = 2.0
"""What is compared at a time. Of shorter ones, two people speaking at once can look alike."""
EVERY_S = 0.1
"""Compared so often, until an echo is known."""
AGAIN_S = 0.5
"""And afterwards."""
LIKENESS = 0.70
"""Correlation over bands and time that is an echo's. Seen: echoes .74 and more down to -30 dB,
other voices .66 at most."""
SAME_DELAY_S = 0.03
ACTIVE_DB = 20.0
"""A band louder than this is somebody's voice."""
MIN_ACTIVE = 80
"""Bins of our voice in a window, without which it says nothing."""
GAIN_PERCENTILE = 50
"""Of the loss seen in a window."""
MARGIN_DB = 3.0
"""What is louder than the expected echo by more than this is no echo."""
GONE_DB = 10.0
"""What comes back that much weaker than the echo known is another line: the phone was picked up."""
SPREAD = 1
"""Bins by which the echo may come sooner or later than expected."""
OURS = 0.25
"""Where less of a stretch's energy is unexplained by the echo, nobody else speaks in it. Seen:
.000 to .002 of an echo's stretches over .3, half of a person's who is 6 dB louder than it."""
OPEN_AFTER = 2
"""Stretches of a person's voice in a row, after which the words around it pass as well."""
HANG = 40
"""Stretches that pass after those: longer than it takes until we stop speaking for them."""
ABOVE_NOISE_DB = 10.0
"""A person is louder than the line's noise by this."""
PIECE_S = 0.020


@dataclass(frozen=True)
class EchoPath:
    """What the line does to our voice."""

    delay: float
    """Seconds."""
    gain: NDArray[np.float64]
    """Decibels in each band; negative where the echo is weaker than what we played."""
    likeness: float


class Loudness:
    """A history of levels on a grid of `BIN_S`, the latest few seconds."""

    def __init__(self, seconds: float) -> None:
        self._size = round(seconds / BIN_S)
        self._levels = np.full((self._size, len(BANDS_HZ) - 1), FLOOR_DB)
        self._numbers = np.full(self._size, -1, np.int64)

    def add(self, pcm: Pcm, rate: int, at: float) -> None:
        first, found = round(at / BIN_S), levels(pcm, rate)
        numbers = np.arange(first, first + len(found))
        self._numbers[numbers % self._size] = numbers
        self._levels[numbers % self._size] = found

    def rows(self, first: int, count: int) -> Levels:
        """Bins `first` to `first + count`; silence where nothing is known."""
        numbers = np.arange(first, first + count)
        places = numbers % self._size
        known = (self._numbers[places] == numbers)[:, None]
        return np.where(known, self._levels[places], FLOOR_DB)


def levels(pcm: Pcm, rate: int) -> Levels:
    """The loudness of each whole `BIN_S` of it."""
    window, bands = _bins(rate)
    whole = len(pcm) // len(window) * len(window)
    pieces = pcm[:whole].reshape(-1, len(window)) * window
    power = (np.abs(np.fft.rfft(pieces, 2 * len(window))) ** 2) @ bands
    found: Levels = np.maximum(10 * np.log10(power + 1e-9), FLOOR_DB)
    return found


@functools.cache
def _bins(rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The window of a bin, and which of its frequencies belong to which band."""
    samples = round(rate * BIN_S)
    hertz = np.fft.rfftfreq(2 * samples, 1 / rate)[:, None]
    low, high = np.asarray(BANDS_HZ[:-1]), np.asarray(BANDS_HZ[1:])
    inside = (hertz >= low) & (hertz < high)
    return np.hanning(samples), inside / samples**2


def find_echo(played: Levels, heard: Levels) -> EchoPath | None:
    """The delay and loss at which `heard` follows `played`, which begins `MAX_DELAY_S` earlier."""
    count, most = len(heard), len(played) - len(heard)
    likeness = _likeness(played, heard)
    loud = (played.max(axis=1, keepdims=True) > ACTIVE_DB).astype(float)
    likeness[_sums(loud, count)[:, 0] < MIN_ACTIVE] = 0.0
    begin = int(likeness.argmax())
    if likeness[begin] < LIKENESS:
        return None
    source = played[begin : begin + count]
    lost = np.where(source > ACTIVE_DB, heard - source, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a band in which we were silent
        gain = np.nan_to_num(np.nanpercentile(lost, GAIN_PERCENTILE, axis=0), nan=-60.0)
    return EchoPath((most - begin) * BIN_S, gain, float(likeness[begin]))


def is_gone(path: EchoPath, played: Levels, heard: Levels) -> bool:
    """Whether we spoke, and hardly anything came back where the echo should be."""
    begin = len(played) - len(heard) - round(path.delay / BIN_S)
    expected = played[begin : begin + len(heard)] + path.gain
    loud = expected > ACTIVE_DB
    return bool(loud.sum() > MIN_ACTIVE and np.median((heard - expected)[loud]) < -GONE_DB)


def _likeness(played: Levels, heard: Levels) -> NDArray[np.float64]:
    """Pearson's correlation of the loudness in all bands, at each place where `heard` may begin in
    `played`; a band's own colour does not count."""
    centred = heard - heard.mean(axis=0)
    bands = zip(played.T, centred.T, strict=True)
    together = np.sum([np.correlate(ours, theirs, "valid") for ours, theirs in bands], axis=0)
    power = (_sums(played**2, len(heard)) - _sums(played, len(heard)) ** 2 / len(heard)).sum(axis=1)
    likeness: NDArray[np.float64] = together / np.sqrt(np.maximum(power * (centred**2).sum(), 1e-9))
    return likeness


def _sums(values: Levels, count: int) -> Levels:
    """Over each `count` rows in a row."""
    up_to = np.concatenate((np.zeros((1, values.shape[1])), values.cumsum(axis=0)))
    found: Levels = up_to[count:] - up_to[:-count]
    return found


class EchoGuard:
    """One line's. `played` what we send, `heard` what comes in."""

    def __init__(self) -> None:
        self.path: EchoPath | None = None
        self.silenced_s = 0.0
        """Of our own voice, for the report."""
        self._ours = Loudness(WINDOW_S + 2 * MAX_DELAY_S + 1.0)
        self._theirs = Loudness(WINDOW_S + 1.0)
        self._guess: EchoPath | None = None
        self._looked_at = float("-inf")
        self._since: float | None = None
        """When this line began to be heard."""
        self._voiced_at = float("-inf")
        """When we last spoke."""
        self._noise = FLOOR_DB
        self._latest: deque[bool] = deque(maxlen=OPEN_AFTER)
        self._open = 0

    def played(self, pcm: Pcm, rate: int, at: float) -> None:
        """A stretch of ours was sent at `at`."""
        if np.abs(pcm).max(initial=0) > 30:
            self._voiced_at = at
        self._ours.add(pcm, rate, at)

    def heard(self, pcm: Pcm, rate: int, at: float) -> Pcm:
        """A stretch came that was sent at `at`; the same, with our own voice silenced in it."""
        if at - self._voiced_at > MAX_DELAY_S + WINDOW_S:
            return pcm
        self._theirs.add(pcm, rate, at)
        self._since = at if self._since is None else self._since
        if at - self._since > WINDOW_S:
            self._look(at)
        if self.path is None:
            return pcm
        step = round(rate * PIECE_S)
        out = pcm.copy()
        for begin in range(0, len(pcm), step):
            piece = out[begin : begin + step]
            if not self._passes(piece, rate, at + begin / rate, self.path):
                piece[:] = 0
                self.silenced_s += len(piece) / rate
        return out

    def _look(self, at: float) -> None:
        """Compare again, and believe what was found twice."""
        if at - self._looked_at < (EVERY_S if self.path is None else AGAIN_S):
            return
        self._looked_at = at
        count, most = round(WINDOW_S / BIN_S), round(MAX_DELAY_S / BIN_S)
        first = round(at / BIN_S) - count
        played = self._ours.rows(first - most, count + most)
        heard = self._theirs.rows(first, count)
        self._noise = float(np.percentile(heard.max(axis=1), 10))
        found = find_echo(played, heard)
        if found is None:
            if self.path is not None and is_gone(self.path, played, heard):
                self.path = self._guess = None
            return
        if self._guess and abs(found.delay - self._guess.delay) <= SAME_DELAY_S:
            self.path = found
        self._guess = found

    def _passes(self, piece: Pcm, rate: int, at: float, path: EchoPath) -> bool:
        """Whether these 20 ms hold a person's voice, follow one closely, or hold no echo."""
        bins = max(len(piece) // round(rate * BIN_S), 1)
        found = self._theirs.rows(round(at / BIN_S), bins)
        first = round((at - path.delay) / BIN_S) - SPREAD
        ours = self._ours.rows(first, bins + 2 * SPREAD).max(axis=0)
        person = self._is_person(found, ours + path.gain)
        self._latest.append(person)
        if len(self._latest) == OPEN_AFTER and all(self._latest):
            self._open = HANG
        self._open = max(self._open - (not person), 0)
        return person or self._open > 0 or bool(ours.max() <= ACTIVE_DB)

    def _is_person(self, found: Levels, echo: NDArray[np.float64]) -> bool:
        if found.max() < max(ACTIVE_DB, self._noise + ABOVE_NOISE_DB):
            return False
        power = _power(found).mean(axis=0)
        unexplained = np.maximum(power - _power(echo + MARGIN_DB), 0.0)
        return float(unexplained.sum()) > OURS * float(power.sum())


def _power(decibels: NDArray[np.float64]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = 10 ** (decibels / 10)
    return powers
