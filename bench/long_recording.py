"""What a long recording costs `viva transcribe`: time, memory, and whether its words are right.

    python -m bench.long_recording                   a minute, an hour, an hour of two speakers
    python -m bench.long_recording --minutes 1 10    others, each with one speaker and with two

Sentences that the rehearsal model knows, by espeak-ng, with pauses, in a wave file; each is
transcribed by a process of its own, that tells its CPU time and its peak of resident memory.
The last line is JSON. Memory is compared with that for the shortest recording, since the model and
the libraries are in it too.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from asr.segmenter import SAMPLE_RATE
from asr.transcription import Transcription
from bench.paced_speech import Speech, clips, speech, word_errors

ROOT = Path(__file__).parents[1]
VIVA = """
import atexit, json, re, resource
from pathlib import Path
from server.cli import main

def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    told = {"cpu_s": used.ru_utime + used.ru_stime, "peak_mb": peak_kb * 1024 / 1e6}
    Path("used.json").write_text(json.dumps(told))

atexit.register(tell)
main()
"""
"""The command, and what it used. `ru_maxrss` would count the process that started it as well."""
NAMES = ("Ada", "Bob")
RECORDINGS = ((1.0, 1), (60.0, 1), (60.0, 2))
"""Minutes, and speakers, each on a channel of their own."""


@dataclass(frozen=True)
class Row:
    minutes: float
    speakers: int
    wall_s: float
    cpu_s: float
    peak_mb: float
    """Of resident memory."""
    segments: int
    dropped: int
    words: int
    errors: int
    """Substitutions, deletions and insertions."""
    complete: bool


def measured(folder: Path, minutes: float, speakers: int) -> Row:
    said = [speech(clips(), 60 * minutes, seed) for seed in range(speakers)]
    path = folder / "long.wav"
    _write(path, said)
    begun = time.monotonic()
    cpu_s, peak_mb = _transcribe(path, NAMES[:speakers], folder)
    wall_s = time.monotonic() - begun
    heard = Transcription.model_validate_json((folder / "long.json").read_text(encoding="utf-8"))
    errors, words = word_errors(
        [one.text for one in said], [_text(heard, name) for name in NAMES[:speakers]]
    )
    return Row(
        minutes=round(heard.seconds / 60, 2),
        speakers=speakers,
        wall_s=round(wall_s, 1),
        cpu_s=round(cpu_s, 1),
        peak_mb=round(peak_mb, 1),
        segments=len(heard.segments),
        dropped=heard.dropped_segments,
        words=words,
        errors=errors,
        complete=heard.complete,
    )


def _write(path: Path, said: Sequence[Speech]) -> None:
    longest = max(len(one.pcm) for one in said)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(said))
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        channels = [np.pad(one.pcm, (0, longest - len(one.pcm))) for one in said]
        file.writeframes(np.stack(channels, axis=1).tobytes())


def _transcribe(path: Path, names: Sequence[str], out: Path) -> tuple[float, float]:
    """Seconds of CPU, and MB of resident memory at its highest."""
    given = ("--speakers", ",".join(names), "--asr-model", "rehearsal")
    shape = ("--out", str(out), "--format", "json", "--force")
    viva = (sys.executable, "-c", VIVA, "transcribe", str(path), *given, *shape)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(viva, cwd=out, env=environment, check=True)
    used = json.loads((out / "used.json").read_text(encoding="utf-8"))
    return used["cpu_s"], used["peak_mb"]


def _text(heard: Transcription, speaker: str) -> str:
    return " ".join(one.text for one in heard.segments if one.speaker == speaker)


def table(rows: Sequence[Row]) -> str:
    head = "minutes  speakers  wall s   CPU s  peak MB  segments  dropped  words  errors"
    lines = [
        f"{r.minutes:7.1f}  {r.speakers:8}  {r.wall_s:6.1f}  {r.cpu_s:6.1f}  {r.peak_mb:7.1f}"
        f"  {r.segments:8}  {r.dropped:7}  {r.words:5}  {r.errors:6}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", help="instead of 1 and 60")
    options = parser.parse_args()
    wanted = [(m, n) for m in options.minutes or () for n in (1, 2)] or list(RECORDINGS)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measured(Path(folder), minutes, speakers) for minutes, speakers in wanted]
    print(table(rows))
    shortest, *longer = sorted(rows, key=lambda row: (row.minutes, row.speakers))
    print(
        json.dumps(
            {
                "name": "long_recording",
                "figures": [asdict(row) for row in longer],
                "baseline": asdict(shortest),
                "ratio": {"peak": [round(row.peak_mb / shortest.peak_mb, 2) for row in longer]},
                "n": len(rows),
                "cores": len(os.sched_getaffinity(0)),
            }
        )
    )


if __name__ == "__main__":
    main()
