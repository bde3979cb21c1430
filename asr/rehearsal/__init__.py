"""The tiny Whisper of our own, for rehearsals and tests: where it lies and what it likes."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"

FLOOR_S = 5.0
"""Shortest window it is given: five seconds read as well as thirty, for a thirtieth of the time."""


def model_dir() -> Path:
    return MODEL_DIR
