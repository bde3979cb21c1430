"""From the last voiced sample to the FINAL, by the answer's length: ours beside three other ways.

    python -m bench.asr_latency                   # rehearsal checkpoint, n = 40 each length
    python -m bench.asr_latency --shapes base --lengths 60 --arms "ours, captions" stream-adapter
    python -m bench.asr_latency --paced 2         # and two clips of 15 s in real time beside it
    python -m bench.asr_latency --quick

Arms and clock: see `bench/asr_arms.py`; each has one worker to itself. The clock runs with the CPU
seconds that an arm computes, so an arm that falls behind is late. *Wait* is the VAD's own: from the
last voiced sample until the silence that an arm asks for had been heard (ours: 0.2 s, until the
last segment is cut). *Text* is from there until all words were known, *final* until they were given
out as final, in ours not before 0.4 s of silence. WhisperLive has no such end: its *text* counts
from the last voiced sample to the end of the first pass that heard all, its *final* to the moment
at which the last passage has been repeated often enough.

To keep hours short, steps of the model that equal five measured ones (same window, tokens and
prompt) take one of their times again, in turn, until `--tail` seconds before the answer's end;
whatever comes after is really computed. WhisperLive's client is held to a pass a second until then,
and afterwards runs as it does.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from bench import asr_answers
from bench.asr_arms import run, said
from bench.asr_cost import answers, load, missing, options_of
from bench.asr_script import Clip
from bench.asr_stage import Clock, CpuClock, Loaded, Run, WallClock

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours, captions": ("ours", {"every_s": 1.0}),
    "ours, finals": ("ours", {"every_s": None}),
    "local-agreement": ("local-agreement", {}),
    "whisper-live": ("whisper-live", {}),
    "stream-adapter": ("stream-adapter", {}),
}
LENGTHS_S = (5.0, 15.0, 60.0, 180.0)
PACED_S = 15.0


@dataclass(frozen=True)
class Row:
    """Milliseconds."""

    model: str
    speech: str
    length_s: float
    arm: str
    n: int
    wait_p50: float
    text_p50: float
    text_p95: float
    final_p50: float
    final_p95: float
    missing: float
    """Share of words that no final had."""


class ReplayUntil(CpuClock):
    """Lets the meter replay what is known until `at`, and then no more."""

    def __init__(self, model: Loaded, at: float) -> None:
        super().__init__(model.meter)
        self._replaying, self._at = model.meter, at
        model.meter.replay = at > 0

    def until(self, at: float) -> None:
        super().until(at)
        self._replaying.replay = self.now() < self._at


def hear(arm: str, model: Loaded, clip: Clip, tail_s: float, clock: Clock | None = None) -> Run:
    name, options = ARMS[arm]
    live_from = clip.speech_s - tail_s
    if name == "whisper-live":
        options = {**options, "every_s": partial(_pace, live_from)}
    if clock is None:
        clock = CpuClock(model.meter) if name == "ours" else ReplayUntil(model, live_from)
    try:
        return run(name, model, clip, clock, **options)
    finally:
        model.meter.replay = False


def _pace(live_from: float, at: float) -> float:
    return 1.0 if at < live_from else 0.0


def measure(
    model: Loaded,
    clips: Sequence[Clip],
    arms: Sequence[str],
    speech: str,
    length_s: float,
    tail_s: float,
) -> list[Row]:
    runs: dict[str, list[tuple[Clip, Run]]] = {arm: [] for arm in arms}
    for turn, clip in enumerate(clips):
        first = turn % len(arms)
        for arm in [*arms[first:], *arms[:first]]:
            runs[arm].append((clip, hear(arm, model, clip, tail_s)))
    return [_row(model, speech, length_s, arm, pairs) for arm, pairs in runs.items()]


def _row(
    model: Loaded, speech: str, length_s: float, arm: str, pairs: Sequence[tuple[Clip, Run]]
) -> Row:
    last = [(clip, heard.finals[-1]) for clip, heard in pairs]
    waits = [(f.decided_s - clip.speech_s) * 1000 for clip, f in last]
    texts = [(f.ready_s - f.decided_s) * 1000 for _, f in last]
    finals = [(f.given_s - f.decided_s) * 1000 for _, f in last]
    lost = [missing(said(model, clip), heard.said) for clip, heard in pairs]
    return Row(
        model=model.name,
        speech=speech,
        length_s=length_s,
        arm=arm,
        n=len(pairs),
        wait_p50=_quantile(waits, 0.5),
        text_p50=_quantile(texts, 0.5),
        text_p95=_quantile(texts, 0.95),
        final_p50=_quantile(finals, 0.5),
        final_p95=_quantile(finals, 0.95),
        missing=round(sum(lost) / len(lost), 4),
    )


def _quantile(values: Sequence[float], at: float) -> float:
    return round(float(np.quantile(values, at)), 1)


def table(rows: Sequence[Row]) -> str:
    head = (
        "model      speech  length  arm                n   VAD's wait  then text p50     p95"
        "   final p50     p95 ms  missing"
    )
    lines = [
        f"{r.model:9}  {r.speech:6}  {r.length_s:5.0f} s  {r.arm:15}  {r.n:3}  {r.wait_p50:10.0f}"
        f"  {r.text_p50:13.0f} {r.text_p95:7.0f}  {r.final_p50:10.0f} {r.final_p95:7.0f}"
        f"     {r.missing:7.1%}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """p95 of ours to its own at the shortest length, and of the others to ours at the same."""
    by = {(r.model, r.speech, r.arm, r.length_s): r for r in rows}
    found = {}
    for (model, speech, arm, length_s), r in by.items():
        where = f"{model}, {speech}, {length_s:.0f} s"
        shortest = min(key[3] for key in by if key[:3] == (model, speech, arm))
        first = by[model, speech, arm, shortest]
        if length_s > shortest:
            found[f"{where}: {arm} to itself at {shortest:.0f} s"] = _ratio(r, first)
        mine = by.get((model, speech, "ours, captions", length_s))
        if mine and not arm.startswith("ours"):
            found[f"{where}: {arm} to ours"] = _ratio(r, mine)
    return found


def _ratio(r: Row, to: Row) -> float:
    return round(r.final_p95 / to.final_p95, 2)


def paced(model: Loaded, clips: Sequence[Clip], arms: Sequence[str]) -> list[str]:
    """The same clips in virtual and in real time; what is printed differs by the clock's error."""
    lines = []
    for clip in clips:
        for arm in arms:
            if arm.startswith("ours"):
                continue  # its worker is a thread of its own: bench/asr_sessions.py paces it
            real = hear(arm, model, clip, clip.speech_s, WallClock())
            virtual = hear(arm, model, clip, clip.speech_s)
            a, b = real.finals[-1], virtual.finals[-1]
            lines.append(
                f"{arm:15}  {clip.speech_s:4.1f} s  final after {a.given_s - clip.speech_s:6.2f} s"
                f" in real time, {b.given_s - clip.speech_s:6.2f} s in virtual; calls"
                f" {real.counted.calls} and {virtual.counted.calls}"
            )
    return lines


def main() -> None:
    parser = options_of((__doc__ or "").splitlines()[0])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--tail", type=float, default=5.0, help="seconds that are never replayed")
    parser.add_argument("--paced", type=int, default=0, help="clips in real time, too")
    options = parser.parse_args()
    lengths = options.lengths or ([5.0] if options.quick else LENGTHS_S)
    said_by, rows = asr_answers.sentences(options.speech), []
    for shape in options.shapes:
        model = load(shape, options.models)
        for arm in options.arms:  # warm up
            hear(arm, model, asr_answers.answer(said_by, 3.0, options.said, 0), 0.0)
        for length_s in lengths:
            clips = answers(options, said_by, length_s)
            rows += measure(model, clips, options.arms, options.said, length_s, options.tail)
            print(table(rows[-len(options.arms) :]), flush=True)
        clips = [
            asr_answers.answer(said_by, PACED_S, options.said, seed)
            for seed in range(options.paced)
        ]
        print("\n".join(paced(model, clips, options.arms)))
    found = ratios(rows)
    print(f"\nload {os.getloadavg()[0]:.1f}\n{table(rows)}\n")
    for name, ratio in found.items():
        print(f"{ratio:7.2f}  {name}")
    print(
        json.dumps(
            {
                "name": "asr_latency",
                "figures": [asdict(r) for r in rows if r.arm.startswith("ours")],
                "baseline": [asdict(r) for r in rows if not r.arm.startswith("ours")],
                "ratio": found,
                "n": min(r.n for r in rows),
                "cores": len(os.sched_getaffinity(0)),
                "load": os.getloadavg()[0],
            }
        )
    )


if __name__ == "__main__":
    main()
