"""Recordings on disk, written by PyAV, whole and broken."""

from pathlib import Path

import av
import numpy as np

from tests.asr.speech import RATE

LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0"}
CODECS = {
    ".wav": "pcm_s16le",
    ".ogg": "libopus",
    ".mp3": "libmp3lame",
    ".flac": "flac",
    ".m4a": "aac",
    ".mp4": "aac",
    ".webm": "libopus",
}

FRAMES = {"libopus": 960, "libmp3lame": 1152}


def save(
    path: Path, *channels: np.ndarray, rate: int = RATE, options: dict[str, str] | None = None
) -> Path:
    """int16 at 16 kHz in, by default as long as the longest; a file of this rate out."""
    codec = CODECS[path.suffix]
    rate = 48_000 if codec == "libopus" else rate
    longest = max(map(len, channels))
    sound = np.stack([np.pad(one, (0, longest - len(one))) for one in channels], axis=1)
    with av.open(path, "w", options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate, layout=LAYOUTS[len(channels)])
        if path.suffix == ".mp3":
            stream.bit_rate = 64_000
        context = stream.codec_context
        resampler = av.AudioResampler(
            format=context.format,
            layout=context.layout,
            rate=rate,
            frame_size=FRAMES.get(codec, 1024),
        )
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.reshape(1, -1)), format="s16", layout=LAYOUTS[len(channels)]
        )
        frame.sample_rate = RATE
        frame.pts = 0
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return path


def encrypted(path: Path, sound: np.ndarray) -> Path:
    key = {"encryption_key": "76" * 16, "encryption_kid": "a7" * 16}
    return save(path, sound, rate=48_000, options={"encryption_scheme": "cenc-aes-ctr", **key})


def chords(seconds: float) -> np.ndarray:
    """Like music: three notes and their overtones, another chord each second."""
    t = np.arange(round(seconds * RATE)) / RATE
    roots = np.array([220.0, 174.6, 261.6, 196.0])[(t % 4).astype(int)]
    notes = sum(
        np.sin(2 * np.pi * roots * step * overtone * t) / overtone
        for step in (1, 1.26, 1.498)
        for overtone in (1, 2, 3)
    )
    return np.asarray(2500 * notes * np.exp(-(t % 1)), np.int16)


def noise(seconds: float, level: float = 400) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.asarray(rng.normal(0, level, round(seconds * RATE)), np.int16)


def tone(seconds: float, hertz: float = 900) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(6000 * np.sin(2 * np.pi * hertz * t), np.int16)
