"""Opus by the library that PyAV's wheel carries, for what PyAV does not offer: concealment and FEC.

PyAV's own decoder cannot conceal (an empty packet ends it) and its encoder takes no in-band FEC.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from server.media.errors import BadPayload, CodecUnavailable

Pcm = NDArray[np.int16]

SAMPLE_RATE = 48000
MAX_SAMPLES = 5760  # 120 ms, the longest packet there is
GRAIN = 120
"""Concealment is made in steps of 2.5 ms."""

_APPLICATION_VOIP = 2048
_APPLICATION_AUDIO = 2049
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC = 4002, 4010, 4012
_SET_PACKET_LOSS_PERC, _GET_LOOKAHEAD = 4014, 4027


def library_path(root: Path | None = None) -> Path:
    """Where the wheel has its libopus."""
    package = root or Path(av.__file__).parent
    for folder in (package.parent / "av.libs", package / ".dylibs"):
        for found in sorted(folder.glob("libopus*")):
            return found
    raise CodecUnavailable(
        f"no libopus beside PyAV in {package.parent}: install PyAV from its wheel"
        " (pip install --only-binary av av)"
    )


@functools.cache
def _library() -> ctypes.CDLL:
    path = library_path()
    try:
        lib = ctypes.CDLL(str(path))
    except OSError as error:
        raise CodecUnavailable(f"{path} cannot be loaded: {error}") from error
    for name in ("opus_decoder_create", "opus_encoder_create"):
        getattr(lib, name).restype = ctypes.c_void_p
    return lib


def packet_samples(payload: bytes) -> int:
    """How many samples at 48 kHz a packet holds."""
    count: int = _library().opus_packet_get_nb_samples(payload, len(payload), SAMPLE_RATE)
    if count <= 0:
        raise BadPayload("not an Opus packet")
    return count


def has_fec(payload: bytes) -> bool:
    """Whether the packet carries a copy of the one before it."""
    return bool(payload) and _library().opus_packet_has_lbrr(payload, len(payload)) > 0


class Decoder:
    """Opus to 48 kHz mono."""

    clock_rate = sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        self._lib = _library()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(
            self._lib.opus_decoder_create(SAMPLE_RATE, 1, ctypes.byref(error))
        )
        if error.value:
            raise CodecUnavailable(f"libopus made no decoder: error {error.value}")

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._lib.opus_decoder_destroy(self._state)

    def samples(self, payload: bytes) -> int:
        return packet_samples(payload)

    def decode(self, payload: bytes) -> Pcm:
        return self._run(payload, MAX_SAMPLES, fec=False)

    def conceal(self, samples: int, next_payload: bytes | None = None) -> Pcm:
        """Make up `samples`; their end is taken from `next_payload` where it carries a copy."""
        out = np.zeros(samples, np.int16)
        whole = samples - samples % GRAIN
        if whole:
            made = self._run(next_payload, whole, fec=next_payload is not None)
            out[samples - whole : samples - whole + len(made)] = made
        return out

    def recovers(self, next_payload: bytes | None) -> bool:
        return next_payload is not None and has_fec(next_payload)

    def _run(self, payload: bytes | None, samples: int, fec: bool) -> Pcm:
        pcm = np.empty(samples, np.int16)
        count = self._lib.opus_decode(
            self._state,
            payload,
            0 if payload is None else len(payload),
            pcm.ctypes.data_as(ctypes.c_void_p),
            samples,
            int(fec),
        )
        if count < 0:
            raise BadPayload(f"libopus cannot decode this: error {count}")
        return pcm[:count]


class Encoder:
    """Speech to Opus packets, with in-band FEC, at any of Opus' input rates."""

    def __init__(
        self,
        sample_rate: int,
        channels: int = 1,
        *,
        bitrate: int = 32000,
        fec_loss_percent: int = 10,
        complexity: int = 5,
        speech: bool = True,
    ) -> None:
        self.sample_rate, self.channels = sample_rate, channels
        self._lib = _library()
        error = ctypes.c_int()
        application = _APPLICATION_VOIP if speech else _APPLICATION_AUDIO
        self._state = ctypes.c_void_p(
            self._lib.opus_encoder_create(sample_rate, channels, application, ctypes.byref(error))
        )
        if error.value:
            raise CodecUnavailable(f"libopus made no encoder: error {error.value}")
        self._set(_SET_BITRATE, bitrate)
        self._set(_SET_COMPLEXITY, complexity)
        if fec_loss_percent:
            self._set(_SET_INBAND_FEC, 1)
            self._set(_SET_PACKET_LOSS_PERC, fec_loss_percent)

    def __del__(self) -> None:
        if getattr(self, "_state", None):
            self._lib.opus_encoder_destroy(self._state)

    @property
    def lookahead(self) -> int:
        """Samples at 48 kHz by which the decoded sound is late."""
        value = ctypes.c_int()
        self._lib.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(value))
        return value.value * SAMPLE_RATE // self.sample_rate

    def encode(self, pcm: Pcm) -> bytes:
        """One packet from one frame (2.5, 5, 10, 20, 40 or 60 ms), interleaved if stereo."""
        frame = np.ascontiguousarray(pcm, np.int16)
        out = ctypes.create_string_buffer(1500)
        size = self._lib.opus_encode(
            self._state,
            frame.ctypes.data_as(ctypes.c_void_p),
            frame.size // self.channels,
            out,
            len(out),
        )
        if size < 0:
            raise ValueError(f"libopus cannot encode {frame.size} samples: error {size}")
        return out.raw[:size]

    def _set(self, request: int, value: int) -> None:
        self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int(value))
