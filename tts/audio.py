"""PCM as every voice here gives it (24 kHz, mono, int16): frames, resampling, even edges."""

import numpy as np
from livekit import rtc
from numpy.typing import NDArray

SAMPLE_RATE = 24_000
"""Hz, of every voice. It is edge-tts's own, so that the default voice is not resampled."""
NUM_CHANNELS = 1
BYTES_PER_SECOND = 2 * SAMPLE_RATE

Samples = NDArray[np.int16]


def seconds(pcm: bytes) -> float:
    return len(pcm) / BYTES_PER_SECOND


def frames_of(pcm: bytes, frame_ms: int = 100) -> list[rtc.AudioFrame]:
    """PCM cut into new frames; never shared ones, since LiveKit writes into their `userdata`."""
    step = BYTES_PER_SECOND * frame_ms // 1000
    return [_frame(pcm[i : i + step]) for i in range(0, len(pcm), step)]


def _frame(pcm: bytes) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm, SAMPLE_RATE, NUM_CHANNELS, len(pcm) // 2)


class Resampler:
    """Streamed PCM from any rate to ours; HIGH, since LiveKit's QUICK has no anti-alias filter."""

    def __init__(self, input_rate: int) -> None:
        self._soxr = (
            None
            if input_rate == SAMPLE_RATE
            else rtc.AudioResampler(input_rate, SAMPLE_RATE, quality=rtc.AudioResamplerQuality.HIGH)
        )

    def push(self, pcm: bytes) -> bytes:
        if self._soxr is None or not pcm:
            return pcm
        return b"".join(bytes(frame.data) for frame in self._soxr.push(bytearray(pcm)))

    def flush(self) -> bytes:
        if self._soxr is None:
            return b""
        return b"".join(bytes(frame.data) for frame in self._soxr.flush())


class EvenEdges:
    """Gives every sentence the same edges: quiet of `lead_ms` at most before, `tail_ms` after.

    Voices differ (edge-tts adds 150–250 ms before and more after, espeak-ng nothing), and both
    cost: quiet before is latency, quiet after is a turn that the candidate cannot take yet.
    Quiet inside a sentence is held until sound follows it, and then passes unchanged.
    """

    def __init__(self, *, lead_ms: int = 20, tail_ms: int = 200, quiet: int = 160) -> None:
        self._lead = lead_ms * SAMPLE_RATE // 1000
        self._tail = tail_ms * SAMPLE_RATE // 1000
        self._quiet = quiet
        self._held = np.zeros(0, np.int16)
        self.cut_lead_s = 0.0
        """Seconds of quiet that were cut off before the first sound."""
        self.heard_sound = False

    def push(self, pcm: bytes) -> bytes:
        samples = np.concatenate([self._held, np.frombuffer(pcm, np.int16)])
        loud = np.flatnonzero((samples > self._quiet) | (samples < -self._quiet))
        if not loud.size:
            self._hold(samples)
            return b""
        begin = 0 if self.heard_sound else max(0, int(loud[0]) - self._lead)
        end = int(loud[-1]) + 1
        if not self.heard_sound:
            self.cut_lead_s += begin / SAMPLE_RATE
        self.heard_sound, self._held = True, samples[end:]
        return samples[begin:end].tobytes()

    def flush(self) -> bytes:
        if not self.heard_sound:
            return b""
        tail = self._held[: self._tail]
        return np.pad(tail, (0, self._tail - len(tail))).tobytes()

    def _hold(self, samples: Samples) -> None:
        if self.heard_sound:
            self._held = samples
            return
        kept = samples[-self._lead :] if self._lead else samples[:0]
        self.cut_lead_s += (len(samples) - len(kept)) / SAMPLE_RATE
        self._held = kept
