"""espeak-ng with its clock: sound, and when every word and every phoneme begins.

The exact times are what lets so small a model learn in an hour. The library comes in the wheel
`espeakng-loader` and is GPL-3: a tool of the training, of which nothing is in the checkpoint. One
`Espeak` a process, for the library keeps global state.
"""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import resample_poly

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
ESPEAK_RATE = 22_050
SILENCE = "_"
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1
_END, _WORD, _PHONEME = 0, 1, 7
_RATE, _PITCH, _RANGE, _GAP = 1, 3, 4, 7


class _Id(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class Manner:
    """How something is said: espeak-ng's voice, words a minute, pitch and its range of 0 to 100,
    and the pause between words in steps of 10 ms."""

    voice: str = "en-us"
    rate: int = 160
    pitch: int = 50
    range: int = 50
    gap: int = 0


@dataclass
class Rendering:
    """Sound at 16 kHz. `words` are (first character, seconds), `phonemes` (label, seconds)."""

    samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    words: list[tuple[int, float]] = field(default_factory=list)
    phonemes: list[tuple[str, float]] = field(default_factory=list)


class Espeak:
    """Raises `RuntimeError` if the library gives another sample rate than it always has."""

    def __init__(self) -> None:
        import espeakng_loader

        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        self._lib.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        data = espeakng_loader.get_data_path().encode()
        rate = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, data, _PHONEME_EVENTS)
        if rate != ESPEAK_RATE:
            raise RuntimeError(f"espeak-ng answers with {rate} Hz, not {ESPEAK_RATE}.")
        self._callback = _Callback(self._take)  # kept, or ctypes frees it under the library
        self._pieces: list[npt.NDArray[np.int16]] = []
        self._made = Rendering()

    def say(self, text: str, manner: Manner) -> Rendering:
        """Raises `ValueError` for a voice that there is not."""
        if self._lib.espeak_SetVoiceByName(manner.voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {manner.voice!r}")
        for parameter, value in (
            (_RATE, manner.rate),
            (_PITCH, manner.pitch),
            (_RANGE, manner.range),
            (_GAP, manner.gap),
        ):
            self._lib.espeak_SetParameter(parameter, value, 0)
        self._pieces, self._made = [], Rendering()
        # The library has one callback, and another Espeak's may be gone by now.
        self._lib.espeak_SetSynthCallback(self._callback)
        encoded = text.encode() + b"\0"
        self._lib.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8, None, None)
        if self._pieces:
            pcm = np.concatenate(self._pieces).astype(np.float32) / 32768
            self._made.samples = resample_poly(pcm, 320, 441).astype(np.float32)
        return self._made

    def _take(self, wav: Any, samples: int, events: Any) -> int:
        if samples > 0:
            self._pieces.append(np.ctypeslib.as_array(wav, (samples,)).copy())
        at = 0
        while events[at].type != _END:
            self._note(events[at])
            at += 1
        return 0

    def _note(self, event: Any) -> None:
        seconds = event.sample / ESPEAK_RATE
        if event.type == _WORD:
            self._made.words.append((event.text_position - 1, seconds))
        elif event.type == _PHONEME:
            label = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "replace")
            self._made.phonemes.append((_phoneme(label), seconds))


def _phoneme(label: str) -> str:
    """Without stress and length: what they change in the sound is not worth a class of its own."""
    label = label.lstrip("',")
    if not label or label[0] in "_|:;":
        return SILENCE
    return re.sub(r"[;:|0-9#]+$", "", label) or label
