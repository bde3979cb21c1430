"""What a browser's fake microphone hears: a file that is read from its start whenever the page
opens the microphone.
"""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from tts.audio import SAMPLE_RATE
from tts.espeak import render

SILENCE_S = 120.0
"""Longer than any test leaves a microphone open."""


class Microphone:
    """Say something, then have the page open the microphone, or another one: so it is heard from
    its first word on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.say()

    def say(self, *parts: str | float) -> None:
        """Sentences, and seconds of silence between them; nothing: silence."""
        record(self.file, *parts, SILENCE_S)


def record(file: Path, *parts: str | float) -> None:
    """A file of sentences, and of seconds of silence."""
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(np.concatenate([_sound(part) for part in parts]).tobytes())


def _sound(part: str | float) -> np.ndarray:
    if isinstance(part, str):
        # A voice and a pace that the rehearsal's recogniser hears without a mistake.
        return render(part, voice="en-us", rate=155, pitch=50)
    return np.zeros(round(part * SAMPLE_RATE), np.int16)
