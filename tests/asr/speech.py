"""Speech by espeak-ng at 16 kHz, and word errors."""

import atexit
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

RATE = 16_000


@cache
def _child() -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(Path(__file__).with_name("espeak_child.py"))]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(_stop, child)
    return child


def _stop(child: "subprocess.Popen[bytes]") -> None:
    child.communicate()


@cache
def say(text: str, voice: str = "en-us+m3", words_per_minute: int = 160) -> np.ndarray:
    """int16 at 16 kHz."""
    child = _child()
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps([voice, words_per_minute, text]).encode() + b"\n")
    child.stdin.flush()
    pcm = child.stdout.read(int.from_bytes(child.stdout.read(4), "little"))
    speech = resample_poly(np.frombuffer(pcm, np.int16).astype(np.float32), 320, 441)
    return np.clip(speech, -32_768, 32_767).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


def answer(*parts: str | float, voice: str = "en-us+m3") -> np.ndarray:
    """Sentences, and seconds of pause between them."""
    return np.concatenate([say(p, voice) if isinstance(p, str) else silence(p) for p in parts])


def words(text: str) -> list[str]:
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()


def errors(said: str, heard: str) -> int:
    """Word substitutions, insertions and deletions."""
    row = list(range(len(words(heard)) + 1))
    for i, x in enumerate(words(said), 1):
        previous, row[0] = row[0], i
        for j, y in enumerate(words(heard), 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (x != y))
    return row[-1]
