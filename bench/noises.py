"""Sounds without a word in them, that a recogniser must give no word for. Pure, given its voices.

A `Sound` makes a stretch of a minute or less from a seeded generator; stretches follow one another
at the levels of `LEVELS_DB`, from barely there to as loud as speech at the microphone.
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from asr.segmenter import SAMPLE_RATE, Pcm

Wave = npt.NDArray[np.float64]
Sound = Callable[[np.random.Generator, int], Wave]
"""(generator, samples) -> a wave of any loudness."""

LEVELS_DB = (-55.0, -45.0, -35.0, -25.0)
"""Root mean square, below full scale; speech lies at about -25."""
STRETCH_S = 15.0
"""At one level."""


def silence(rng: np.random.Generator, n: int) -> Wave:
    """Digital: what a muted line gives."""
    return np.zeros(n)


def white(rng: np.random.Generator, n: int) -> Wave:
    return rng.standard_normal(n)


def pink(rng: np.random.Generator, n: int) -> Wave:
    """Its power falls with the frequency: wind, traffic, a ventilator."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    frequency = np.maximum(np.fft.rfftfreq(n, 1 / SAMPLE_RATE), 20.0)
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(frequency), n))


def hum(mains_hz: float) -> Sound:
    """The mains and its harmonics, over a little hiss."""

    def made(rng: np.random.Generator, n: int) -> Wave:
        t = np.arange(n) / SAMPLE_RATE
        wave = 0.01 * rng.standard_normal(n)
        for k in range(1, 12):
            wave += np.sin(2 * np.pi * mains_hz * k * t + rng.uniform(0, 6.28)) / k
        return wave

    return made


def tones(rng: np.random.Generator, n: int) -> Wave:
    """One pure tone or two at once (as of a telephone), a new one after each half second."""
    wave = np.zeros(n)
    for start in range(0, n, SAMPLE_RATE // 2):
        t = np.arange(min(SAMPLE_RATE // 2, n - start)) / SAMPLE_RATE
        for hz in rng.uniform(100, 3_500, rng.integers(0, 3)):
            wave[start : start + len(t)] += np.sin(2 * np.pi * hz * t)
    return wave


def chords(rng: np.random.Generator, n: int) -> Wave:
    """Triads of plucked notes with their overtones: music without a voice."""
    wave = np.zeros(n)
    beat = SAMPLE_RATE * 2 // 5
    for start in range(0, n, beat):
        t = np.arange(min(3 * beat, n - start)) / SAMPLE_RATE
        root = 110 * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11]) / 12)
        for step in (0, 4, 7, 12):
            for k in range(1, 6):
                note = root * 2 ** (step / 12) * k
                wave[start : start + len(t)] += np.sin(2 * np.pi * note * t) * np.exp(-3 * t) / k
    return wave


def clipped(rng: np.random.Generator, n: int) -> Wave:
    """Noise far above full scale, as of a broken microphone: nearly all samples are extreme."""
    return np.sign(pink(rng, n))


def clicks(rng: np.random.Generator, n: int) -> Wave:
    """Keys and knocks: short bursts at random times."""
    wave = 0.003 * rng.standard_normal(n)
    decay = np.exp(-np.arange(SAMPLE_RATE // 25) / 80)
    for start in rng.integers(0, max(1, n - len(decay)), n // 4_000):
        wave[start : start + len(decay)] += rng.standard_normal(len(decay)) * decay
    return wave


def babble(voices: Sequence[Pcm], at_once: int = 12) -> Sound:
    """So many speakers at once that nobody could write down a word; `voices`: sentences."""

    def made(rng: np.random.Generator, n: int) -> Wave:
        wave = np.zeros(n)
        for _ in range(at_once):
            wave += _talk(voices, rng, n)
        return wave

    return made


def backwards(voices: Sequence[Pcm]) -> Sound:
    """One speaker, reversed in time: speech in all but its words."""

    def made(rng: np.random.Generator, n: int) -> Wave:
        return _talk(voices, rng, n)[::-1]

    return made


def _talk(voices: Sequence[Pcm], rng: np.random.Generator, n: int) -> Wave:
    """Sentence after sentence, beginning somewhere in the first."""
    first = _one(voices, rng)
    said = [first[int(rng.integers(len(first))) :]]
    while sum(map(len, said)) < n:
        said.append(_one(voices, rng))
    return np.concatenate(said)[:n]


def _one(voices: Sequence[Pcm], rng: np.random.Generator) -> Wave:
    return voices[int(rng.integers(len(voices)))].astype(np.float64)


def stretches(sound: Sound, seconds: float, seed: int) -> list[Pcm]:
    """`seconds` of it, a stretch of each level after the other."""
    rng = np.random.default_rng(seed)
    lengths = [STRETCH_S] * int(seconds // STRETCH_S)
    if seconds % STRETCH_S:
        lengths.append(seconds % STRETCH_S)
    return [
        at_level(sound(rng, round(length * SAMPLE_RATE)), LEVELS_DB[i % len(LEVELS_DB)])
        for i, length in enumerate(lengths)
    ]


def at_level(wave: Wave, level_db: float) -> Pcm:
    loudness = float(np.sqrt(np.mean(np.square(wave))))
    scaled = wave * (32_768 * 10 ** (level_db / 20) / loudness) if loudness else wave
    return np.clip(scaled, -32_768, 32_767).astype(np.int16)
