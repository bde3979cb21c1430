"""Human speech that any machine can install, joined into answers whose pauses are labelled.

The speech is Debian's `asterisk-core-sounds-en-g722`: one professional voice, 16 kHz. It is read
where it is installed and never copied into the repository. An `Answer` knows to the sample where
its speech begins, pauses and ends, so that whoever decides on the end of a turn can be judged.
Pure but for `load`: samples and a seeded `random.Random` in, samples and labels out.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]
PauseKind = Literal["inside", "between"]
"""Inside a sentence, or between two that are whole."""

RATE = 16_000
FOLDER = Path("/usr/share/asterisk/sounds/en")
HOW_TO_INSTALL = (
    "The benchmark speaks with recordings of a human voice that Debian and Ubuntu package:\n"
    "  sudo apt-get install asterisk-core-sounds-en-g722\n"
    "or give another folder of .g722 files with --speech FOLDER."
)
HOP = RATE // 100
"""10 ms: loudness is looked at in steps of this."""
QUIET_DB = -32.0
"""Below the loud parts of its recording by so much, a step is no speech."""
DIP_DB = -14.0
"""A pause is put inside a prompt where its voice falls by so much."""
INNER_GAP_S = 0.26
"""A prompt with a longer silence of its own is left out: that silence would be an unlabelled
pause."""
LENGTHS_S = (1.5, 8.5)
"""Whole sentences; shorter prompts are single words, longer ones are lists of menu keys."""
ANSWERS_S = (5.0, 60.0)
PAUSES_S = (0.3, 3.0)
HISS = 6.0
"""A room's noise floor under everything, in steps of 16 bits; digital silence is not natural."""


class NoSpeech(Exception):
    """There are no recordings to speak with; the text says what to do."""


@dataclass(frozen=True)
class Clip:
    """One recording, from its first voiced sample to its last."""

    name: str
    pcm: Pcm

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE


@dataclass(frozen=True)
class Pause:
    """Seconds of the answer."""

    start_s: float
    end_s: float
    kind: PauseKind

    @property
    def seconds(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Answer:
    """Speech with labelled pauses; it begins and ends with a voiced sample."""

    pcm: Pcm
    pauses: tuple[Pause, ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.pcm) / RATE


def load(folder: Path) -> list[Clip]:
    """Every recording of one spoken piece, trimmed; raises `NoSpeech`."""
    paths = sorted(folder.rglob("*.g722"))
    if not paths:
        raise NoSpeech(f"There are no .g722 files in {folder}.\n{HOW_TO_INSTALL}")
    clips = []
    for path in paths:
        voiced = trimmed(_decoded(path))
        if len(voiced):
            clips.append(Clip(str(path.relative_to(folder)), voiced))
    return clips


def sentences(clips: Sequence[Clip]) -> list[Clip]:
    """Those that are whole sentences without a silence of their own."""
    low, high = LENGTHS_S
    return [
        clip
        for clip in clips
        if low <= clip.seconds <= high and longest_gap_s(clip.pcm) <= INNER_GAP_S
    ]


def trimmed(pcm: Pcm) -> Pcm:
    """From the first voiced sample to the last; empty where nothing is voiced."""
    steps = np.flatnonzero(voiced_steps(pcm))
    if not steps.size:
        return pcm[:0]
    return pcm[int(steps[0]) * HOP : (int(steps[-1]) + 1) * HOP]


def loudness_db(pcm: Pcm) -> NDArray[np.float64]:
    """Of each whole step, relative to the loud parts of the recording."""
    steps = pcm[: len(pcm) // HOP * HOP].reshape(-1, HOP).astype(np.float64)
    rms = np.sqrt(np.square(steps).mean(axis=1)) + 1.0
    if not rms.size:
        return np.zeros(0)
    return np.asarray(20 * np.log10(rms / np.percentile(rms, 95)))


def voiced_steps(pcm: Pcm) -> NDArray[np.bool_]:
    if not len(pcm) or np.abs(pcm.astype(np.int32)).max() < 300:
        return np.zeros(len(pcm) // HOP, np.bool_)
    return np.asarray(loudness_db(pcm) > QUIET_DB)


def longest_gap_s(pcm: Pcm) -> float:
    """The longest silence inside."""
    voiced = np.flatnonzero(voiced_steps(pcm))
    gaps = np.diff(voiced) - 1
    return float(gaps.max()) * HOP / RATE if gaps.size else 0.0


def dip(pcm: Pcm) -> int | None:
    """Where a speaker might stop inside a sentence: the quietest place at 40–70 % of it, if quiet
    enough; a sample's index."""
    level = loudness_db(pcm)
    smooth = np.convolve(level, np.ones(3) / 3, mode="same")
    begin, end = round(len(smooth) * 0.4), round(len(smooth) * 0.7)
    if end - begin < 3:
        return None
    place = begin + int(smooth[begin:end].argmin())
    return place * HOP + HOP // 2 if smooth[place] <= DIP_DB else None


def answers(
    clips: Sequence[Clip],
    count: int,
    rng: random.Random,
    *,
    lengths_s: tuple[float, float] = ANSWERS_S,
) -> list[Answer]:
    """`count` answers whose lengths are spread evenly on a logarithmic scale."""
    shortest, longest = lengths_s
    ratio = longest / shortest
    wanted = [shortest * ratio ** ((i + 0.5) / count) for i in range(count)]
    return [answer(clips, seconds, longest, rng) for seconds in wanted]


def answer(clips: Sequence[Clip], seconds: float, longest: float, rng: random.Random) -> Answer:
    """About `seconds` long, and never over `longest`; its end is the end of a whole sentence."""
    made = _Joined()
    while made.seconds < seconds:
        clip = rng.choice(clips)
        pause = _pause_s(rng)
        inside = dip(clip.pcm) if rng.random() < 0.5 else None
        room = longest - made.seconds - clip.seconds
        if made.parts:
            if room < pause:
                break
            made.pause(pause, "between", rng)
            room -= pause
        if inside is not None and (hold := _pause_s(rng)) <= room:
            made.say(_faded(clip.pcm[:inside]))
            made.pause(hold, "inside", rng)
            made.say(_faded(clip.pcm[inside:]))
        else:
            made.say(clip.pcm)
    return Answer(hissing(np.concatenate(made.parts), rng), tuple(made.pauses))


def hissing(pcm: Pcm, rng: random.Random, level: float = HISS) -> Pcm:
    """With a faint noise floor under it."""
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0.0, level, len(pcm))
    return np.clip(np.round(pcm + noise), -32768, 32767).astype(np.int16)


def bursts(clips: Sequence[Clip], count: int, rng: random.Random) -> list[Pcm]:
    """Short voiced sounds of 0.15–0.4 s, as a listener makes them: the beginnings of short
    recordings."""
    short = [clip for clip in clips if 0.15 <= clip.seconds <= 0.9]
    made = []
    for _ in range(count):
        clip = rng.choice(short or list(clips))
        seconds = min(rng.uniform(0.15, 0.4), clip.seconds)
        made.append(_faded(clip.pcm[: round(seconds * RATE)]))
    return made


def noises(count: int, rng: random.Random) -> list[Pcm]:
    """Sounds of 0.2–1 s that are no speech: hiss, rumble, and runs of clicks (a keyboard)."""
    makers = (_hiss, _rumble, _clicks)
    return [
        makers[i % 3](rng.uniform(0.2, 1.0), np.random.default_rng(rng.getrandbits(32)))
        for i in range(count)
    ]


class _Joined:
    def __init__(self) -> None:
        self.parts: list[Pcm] = []
        self.pauses: list[Pause] = []
        self._samples = 0

    @property
    def seconds(self) -> float:
        return self._samples / RATE

    def say(self, pcm: Pcm) -> None:
        self.parts.append(pcm)
        self._samples += len(pcm)

    def pause(self, seconds: float, kind: PauseKind, rng: random.Random) -> None:
        start = self.seconds
        self.say(np.zeros(round(seconds * RATE), np.int16))
        self.pauses.append(Pause(start, self.seconds, kind))


def _pause_s(rng: random.Random) -> float:
    """Spread evenly on a logarithmic scale: short ones are more frequent, as in speech."""
    low, high = PAUSES_S
    return low * math.exp(rng.random() * math.log(high / low))


def _faded(pcm: Pcm, samples: int = 80) -> Pcm:
    """Without a click at either end."""
    shape = np.ones(len(pcm))
    ramp = np.linspace(0.0, 1.0, min(samples, len(pcm) // 2))
    shape[: len(ramp)] *= ramp
    shape[len(pcm) - len(ramp) :] *= ramp[::-1]
    return np.asarray(np.round(pcm * shape), np.int16)


def _hiss(seconds: float, noise: np.random.Generator) -> Pcm:
    return _faded(np.asarray(noise.normal(0, 900, round(seconds * RATE)), np.int16), 400)


def _rumble(seconds: float, noise: np.random.Generator) -> Pcm:
    walk = np.cumsum(noise.normal(0, 1, round(seconds * RATE)))
    flat = walk - np.linspace(walk[0], walk[-1], len(walk))
    return _faded(np.asarray(flat / (np.abs(flat).max() + 1e-9) * 4000, np.int16), 400)


def _clicks(seconds: float, noise: np.random.Generator) -> Pcm:
    pcm = np.zeros(round(seconds * RATE))
    length = RATE // 100
    decay = np.exp(-np.arange(length) / (length / 5))
    for at in range(0, len(pcm) - length, RATE // 8):
        pcm[at : at + length] += noise.normal(0, 6000, length) * decay
    return np.asarray(np.clip(pcm, -30000, 30000), np.int16)


def _decoded(path: Path) -> Pcm:
    with av.open(str(path), format="g722") as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
    return np.concatenate(frames).astype(np.int16) if frames else np.zeros(0, np.int16)
