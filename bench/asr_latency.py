"""From the last voiced sample to the FINAL, by the answer's length: ours beside three other ways.

    python -m bench.asr_latency                   # rehearsal checkpoint, n = 40 each length
    python -m bench.asr_latency --shapes base --lengths 60 --arms "ours, captions" stream-adapter
    python -m bench.asr_latency --paced 2         # and two clips of 15 s in real time beside it
    python -m bench.asr_latency --first 20 --n 20 --keep part2.jsonl  # and --join part*.jsonl
    python -m bench.asr_latency --quick

Arms and clock: see `bench/asr_arms.py`; each has one worker to itself. The clock runs with the CPU
seconds that an arm computes, so an arm that falls behind is late. *Wait* is the VAD's own: from the
last voiced sample until the silence that an arm asks for had been heard (ours: 0.2 s, until the
last segment is cut; 0.06 s where it is cut at a dip). *Text* is from there until all words were
known, *final* until they were given out as final, in ours not before 0.4 s of silence: what is left
of those is a wait of the VAD's too, so answers of two lengths are compared by their *text*. *In
all* is from the last voiced sample to the final. WhisperLive has no such end: its *text* counts
from the last voiced sample to the end of the first pass that heard all, its *final* to the moment
at which the last passage has been repeated often enough.

To keep hours short, steps of the model that equal five measured ones (same window, tokens and
prompt) take one of their times again, in turn, until `--tail` seconds before the answer's end;
whatever comes after is really computed. WhisperLive's client is held to a pass a second until then,
and afterwards runs as it does.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from typing import Any

import numpy as np

from bench.asr_arms import run
from bench.asr_runs import (
    Clips,
    Heard,
    answers,
    by_kind,
    closing,
    in_turns,
    keep_known,
    lengths,
    loaded,
    options_of,
)
from bench.asr_script import Clip
from bench.asr_stage import Clock, CpuClock, Loaded, Run, WallClock
from bench.asr_table import Table
from bench.kept import keep, kept

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours, captions": ("ours", {"every_s": 1.0}),
    "ours, finals": ("ours", {"every_s": None}),
    "local-agreement": ("local-agreement", {}),
    "whisper-live": ("whisper-live", {}),
    "stream-adapter": ("stream-adapter", {}),
}
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
    all_p50: float
    all_p95: float
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
    try:
        return run(name, model, clip, clock or ReplayUntil(model, live_from), **options)
    finally:
        model.meter.replay = False


def _pace(live_from: float, at: float) -> float:
    return 1.0 if at < live_from else 0.0


def measure(model: Loaded, given: Clips, arms: Sequence[str], tail_s: float) -> Iterator[Heard]:
    return in_turns(model, given, arms, lambda arm, clip: hear(arm, model, clip, tail_s))


def row(clips: Sequence[Heard]) -> Row:
    """`clips`: of one kind."""
    model, speech, length_s, arm = clips[0].kind

    def quantile(at: float, *names: str) -> float:
        sums = [sum(getattr(one, name) for name in names) for one in clips]
        return round(float(np.quantile(sums, at)), 1)

    return Row(
        model=model,
        speech=speech,
        length_s=length_s,
        arm=arm,
        n=len(clips),
        wait_p50=quantile(0.5, "wait_ms"),
        text_p50=quantile(0.5, "text_ms"),
        text_p95=quantile(0.95, "text_ms"),
        final_p50=quantile(0.5, "final_ms"),
        final_p95=quantile(0.95, "final_ms"),
        all_p50=quantile(0.5, "wait_ms", "final_ms"),
        all_p95=quantile(0.95, "wait_ms", "final_ms"),
        missing=round(fmean(one.missing for one in clips), 4),
    )


table = Table[Row](
    model=lambda r: r.model,
    speech=lambda r: r.speech,
    length=lambda r: f"{r.length_s:.0f} s",
    arm=lambda r: r.arm,
    n=lambda r: str(r.n),
    VAD_s_wait=lambda r: f"{r.wait_p50:.0f}",
    then_text_p50=lambda r: f"{r.text_p50:.0f}",
    text_p95=lambda r: f"{r.text_p95:.0f}",
    final_p50=lambda r: f"{r.final_p50:.0f}",
    final_p95=lambda r: f"{r.final_p95:.0f}",
    in_all_p50=lambda r: f"{r.all_p50:.0f}",
    in_all_p95=lambda r: f"{r.all_p95:.0f}",
    missing=lambda r: f"{r.missing:.1%}",
)


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """p95 of each arm to its own at the shortest length, and of the others to ours at the same."""
    by = {(r.model, r.speech, r.arm, r.length_s): r for r in rows}
    found = {}
    for (model, speech, arm, length_s), r in by.items():
        where = f"{model}, {speech}, {length_s:.0f} s"
        shortest = min(key[3] for key in by if key[:3] == (model, speech, arm))
        first = by[model, speech, arm, shortest]
        if length_s > shortest:
            to_itself = f"{where}: {arm} to itself at {shortest:.0f} s"
            found[f"{to_itself}, text"] = round(r.text_p95 / first.text_p95, 2)
            found[f"{to_itself}, in all"] = round(r.all_p95 / first.all_p95, 2)
        mine = by.get((model, speech, "ours, captions", length_s))
        if mine and not arm.startswith("ours"):
            found[f"{where}: {arm} to ours, final"] = round(r.final_p95 / mine.final_p95, 2)
    return found


def paced(model: Loaded, given: Clips, arms: Sequence[str]) -> list[str]:
    """The same clips in virtual and in real time; what is printed differs by the clock's error."""
    lines = []
    for clip in given.clips:
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


def measured(options: argparse.Namespace) -> Iterator[list[Heard]]:
    """A length at a time."""
    for shape in options.shapes:
        model = loaded(shape, options)
        few = answers(options, 3.0)
        for arm in options.arms:  # warm up
            hear(arm, model, few.clips[0], 0.0)
        for length_s in lengths(options):
            yield list(measure(model, answers(options, length_s), options.arms, options.tail))
        some = answers(options, PACED_S).clips[: options.paced]
        keep_known(model, options.known)
        print("\n".join(paced(model, Clips(options.said, PACED_S, some), options.arms)))


def main() -> None:
    parser = options_of((__doc__ or "").splitlines()[0], list(ARMS))
    parser.add_argument("--tail", type=float, default=5.0, help="seconds that are never replayed")
    parser.add_argument("--replay", type=int, default=5, help="measured steps that stand for more")
    parser.add_argument("--paced", type=int, default=0, help="clips in real time, too")
    options = parser.parse_args()
    found: list[Heard] = kept(options.join, Heard) if options.join else []
    for part in measured(options) if not options.join else ():
        keep(options.keep, part)
        print(table([row(clips) for clips in by_kind(part)]), flush=True)
        found += part
    rows = [row(clips) for clips in by_kind(found)]
    ratio = ratios(rows)
    print(f"\nmilliseconds\n{table(rows)}\n")
    print("\n".join(f"{value:7.2f}  {name}" for name, value in ratio.items()))
    print(json.dumps(closing("asr_latency", [asdict(r) for r in rows], ratio, found)))


if __name__ == "__main__":
    main()
