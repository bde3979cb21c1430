"""What happens to speech on its way: rooms, noise, codecs, the telephone. Mono float32 at 16 kHz.

Whatever is random is drawn from the `numpy.random.Generator` that is given.
"""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
import numpy.typing as npt
from scipy.signal import butter, fftconvolve, resample_poly, sosfilt

Samples = npt.NDArray[np.float32]
SAMPLE_RATE = 16_000
MU = 255.0


def opus(samples: Samples, kbit_s: int = 24) -> Samples:
    """Through Opus in Ogg and back."""
    encoded = _encoded(resample_poly(samples, 3, 1), kbit_s)
    pieces: list[npt.NDArray[np.int16]] = []
    with av.open(encoded, "r") as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    return _fitted((np.concatenate(pieces) / np.float32(32768)).astype(np.float32), len(samples))


def _encoded(at_48k: npt.NDArray[np.floating], kbit_s: int) -> io.BytesIO:
    written = io.BytesIO()
    container = av.open(written, "w", format="ogg")
    stream = container.add_stream("libopus", rate=48_000, layout="mono")
    stream.bit_rate = kbit_s * 1000
    pcm = (np.clip(at_48k, -1, 1) * 32767).astype(np.int16)[np.newaxis]
    frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
    frame.sample_rate = 48_000
    for packet in (*stream.encode(frame), *stream.encode(None)):
        container.mux(packet)
    container.close()
    written.seek(0)
    return written


def telephone(samples: Samples) -> Samples:
    """8 kHz, the band of a telephone, and G.711's mu-law there and back."""
    narrow = np.clip(sosfilt(_telephone_band(), resample_poly(samples, 1, 2)), -1, 1)
    companded = np.sign(narrow) * np.log1p(MU * np.abs(narrow)) / np.log1p(MU)
    companded = np.round((companded + 1) * 127.5) / 127.5 - 1
    linear = np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(MU)) / MU
    return _fitted(resample_poly(linear, 2, 1).astype(np.float32), len(samples))


@cache
def _telephone_band() -> npt.NDArray[np.float64]:
    band: npt.NDArray[np.float64] = butter(3, [250, 3500], "bandpass", fs=8000, output="sos")
    return band


def _fitted(samples: Samples, length: int) -> Samples:
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def noise(rng: np.random.Generator, length: int) -> Samples:
    """White, pink, brown with hum, or gusts."""
    kind = rng.integers(0, 4)
    padded = 1 << int(np.ceil(np.log2(max(length, 256))))  # odd lengths make the FFT slow
    white = rng.standard_normal(padded, dtype=np.float32)
    if kind == 1:
        white = _coloured(white, 0.5)
    elif kind == 2:
        brown = _coloured(white, 1.0)
        hertz = rng.choice([50, 60, 100, 120])
        hum = np.sin(2 * np.pi * hertz * np.arange(padded) / SAMPLE_RATE)
        white = (brown / (brown.std() + 1e-9) + 0.5 * hum).astype(np.float32)
    elif kind == 3:
        gusts = np.repeat(rng.random(padded // 800 + 1).astype(np.float32) ** 3, 800)[:padded]
        white = white * (gusts + 0.05)
    return white[:length]


def _coloured(white: Samples, power: float) -> Samples:
    spectrum = np.fft.rfft(white)
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** power
    return np.fft.irfft(spectrum, len(white)).astype(np.float32)


def noisy(rng: np.random.Generator, samples: Samples, snr_db: float) -> Samples:
    added = noise(rng, len(samples))
    level = np.sqrt((samples**2).mean() + 1e-12) * 10 ** (-snr_db / 20)
    mixed: Samples = (samples + added / (added.std() + 1e-9) * level).astype(np.float32)
    return mixed


def in_a_room(rng: np.random.Generator, samples: Samples) -> Samples:
    length = int(rng.uniform(0.08, 0.35) * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(length) / length)
    answer = (rng.standard_normal(length) * decay).astype(np.float32)
    answer *= rng.uniform(0.1, 0.5) / (np.sqrt((answer**2).sum()) + 1e-9)
    answer[0] = 1
    heard: Samples = fftconvolve(samples, answer)[: len(samples)].astype(np.float32)
    return heard


def varied(rng: np.random.Generator, samples: Samples) -> Samples:
    """As it may arrive: most often changed in several ways, always at another level."""
    if rng.random() > 0.15:
        samples = _changed(rng, samples)
    gain = 10 ** (rng.uniform(-24, 3) / 20) / (np.abs(samples).max() + 1e-6)
    levelled: Samples = np.clip(samples * gain, -1, 1).astype(np.float32)
    return levelled


def _changed(rng: np.random.Generator, samples: Samples) -> Samples:
    if rng.random() < 0.15:
        samples = in_a_room(rng, samples)
    if rng.random() < 0.25:
        tilt = butter(1, rng.uniform(2000, 6500), fs=SAMPLE_RATE, output="sos")
        samples = sosfilt(tilt, samples).astype(np.float32)
    if rng.random() < 0.65:
        samples = noisy(rng, samples, rng.uniform(8, 40))
    drawn = rng.random()
    if drawn < 0.20:
        return telephone(samples)
    if drawn < 0.35:
        return opus(samples, int(rng.integers(20, 33)))
    return samples


def without_speech(rng: np.random.Generator) -> Samples:
    """Half a second to eight of silence, hiss, noise, tones or taps."""
    length = int(rng.uniform(0.5, 8) * SAMPLE_RATE)
    kind = rng.integers(0, 5)
    if kind == 0:
        return np.zeros(length, np.float32)
    if kind == 1:
        hiss = rng.standard_normal(length, dtype=np.float32) * 10 ** rng.uniform(-5, -3)
        return hiss.astype(np.float32)
    if kind == 2:
        return (noise(rng, length) * 0.1).astype(np.float32)
    if kind == 3:
        return _tones(rng, length)
    return _taps(rng, length)


def _tones(rng: np.random.Generator, length: int) -> Samples:
    wave = np.sin(2 * np.pi * rng.uniform(100, 3000) * np.arange(length) / SAMPLE_RATE)
    on = np.repeat(rng.random(length // 4000 + 1) > 0.5, 4000)[:length]
    return (noise(rng, length) * 0.01 + 0.2 * wave * on).astype(np.float32)


def _taps(rng: np.random.Generator, length: int) -> Samples:
    samples = noise(rng, length) * 0.005
    for _ in range(rng.integers(1, 13)):
        start = int(rng.integers(0, length))
        count = min(length - start, int(rng.integers(20, 901)))
        decay = np.exp(-np.arange(count) / (count / 4))
        samples[start : start + count] += (
            rng.standard_normal(count) * decay * rng.uniform(0.05, 0.8)
        ).astype(np.float32)
    return samples.astype(np.float32)
