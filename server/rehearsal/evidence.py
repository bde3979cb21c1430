"""What a rehearsal leaves behind, fetched over the API and written into a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from agent.events import Event, parse_event
from server.rehearsal.check import Recording
from server.rehearsal.client import Operator


@dataclass(frozen=True)
class Left:
    """An interview as the API gives it out."""

    interview: dict[str, Any]
    report: dict[str, Any]
    transcript: dict[str, Any]
    entries: Sequence[dict[str, Any]]
    """The event log, each with its envelope."""
    audio: bytes | None

    @property
    def events(self) -> list[Event]:
        return [parse_event(entry["event"]) for entry in self.entries]


async def fetch(operator: Operator, interview_id: str, report: dict[str, Any]) -> Left:
    return Left(
        await operator.interview(interview_id),
        report,
        await operator.transcript(interview_id),
        await operator.events(interview_id),
        await operator.audio(interview_id),
    )


def as_text(transcript: dict[str, Any]) -> str:
    """One utterance a line, with its time since the first."""
    said = transcript["utterances"]
    start = said[0]["t0"] if said else 0.0
    lines = []
    for one in said:
        minutes, seconds = divmod(int(one["t0"] - start), 60)
        cut = " —" if one["interrupted"] else ""
        lines.append(f"[{minutes}:{seconds:02d}] {one['speaker']}: {one['text']}{cut}\n")
    return "".join(lines)


def write(left: Left, latency: dict[str, Any], folder: Path) -> None:
    """One file each; those of an earlier run are replaced, or removed where there is none now."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "report.json", left.report)
    _write_json(folder / "transcript.json", left.transcript)
    (folder / "transcript.txt").write_text(as_text(left.transcript), encoding="utf-8")
    lines = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in left.entries]
    (folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")
    _write_json(folder / "latency.json", latency)
    audio = folder / "interview.ogg"
    if left.audio is None:
        audio.unlink(missing_ok=True)
    else:
        audio.write_bytes(left.audio)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def recording(ogg: bytes, started_at: float) -> Recording:
    """The candidate's (left) channel of an Ogg file."""
    with av.open(io.BytesIO(ogg), "r") as file:
        rate = file.streams.audio[0].rate
        resampler = av.AudioResampler(format="s16", layout="stereo", rate=rate)
        frames = [made for frame in file.decode(audio=0) for made in resampler.resample(frame)]
    left = [frame.to_ndarray().reshape(-1, 2)[:, 0].astype(np.int16) for frame in frames]
    return Recording(np.concatenate([*left, np.zeros(0, np.int16)]), rate, started_at)
