"""CPU seconds per second of answer: ours beside three other ways to hear a stream.

    python -m bench.asr_cost                      # rehearsal checkpoint, n = 40 each length
    python -m bench.asr_cost --shapes base small --n 3
    python -m bench.asr_cost --quick

Arms: see `bench/asr_arms.py`. Terms: see `bench/asr_meter.py` (decoding forced to 3 tokens a second
of audio, the same true words for all, one model object). Ours runs with captions each second, and
with finals only. The growing buffers need their passes for their finals, so finals only costs them
the same; LiveKit's StreamAdapter has no captions. WhisperLive's client is made to wait until a
second has passed since its last pass began, which costs less than what it does, and stops at the
first pass that heard all.

The clock stands still while anyone computes, so that all keep their cadence and the calls do not
depend on the machine; the CPU seconds (getrusage, user and system) are those really spent. Arms
take turns clip by clip, in an order that changes. `base` and `small` are random weights of true
shape.
"""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jiwer

from asr import rehearsal
from asr.whisper import FLOOR_S
from bench import asr_answers, random_whisper
from bench.asr_arms import run, said
from bench.asr_script import Clip, Pcm
from bench.asr_stage import Loaded, Run, StillClock

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours, captions": ("ours", {"every_s": 1.0}),
    "ours, finals": ("ours", {"every_s": None}),
    "local-agreement": ("local-agreement", {}),
    "whisper-live": ("whisper-live", {"every_s": lambda at: 1.0, "to_final": False}),
    "stream-adapter": ("stream-adapter", {}),
}
MODELS = ("rehearsal", *random_whisper.SHAPES)
LENGTHS_S = (5.0, 15.0, 60.0, 180.0)


@dataclass(frozen=True)
class Row:
    """Medians over clips, per second of answer."""

    model: str
    speech: str
    length_s: float
    arm: str
    n: int
    cpu_s: float
    cpu_s_low: float
    cpu_s_high: float
    encoder_s: float
    calls: float
    steps: float
    """Tokens decoded."""
    captions: float
    missing: float
    """Share of words that no final had."""


def load(name: str, root: Path) -> Loaded:
    if name == "rehearsal":
        return Loaded.load(name, rehearsal.MODEL_DIR, rehearsal.FLOOR_S)
    return Loaded.load(name, random_whisper.folder(name, root), FLOOR_S)


def missing(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Share of the words that were said and not heard, or heard as others."""
    if not heard:
        return 1.0
    found = jiwer.process_words(" ".join(wanted), " ".join(heard))
    return (found.deletions + found.substitutions) / len(wanted)


def measure(
    model: Loaded, clips: Sequence[Clip], arms: Sequence[str], speech: str, length_s: float
) -> list[Row]:
    runs: dict[str, list[tuple[Clip, Run]]] = {arm: [] for arm in arms}
    for turn, clip in enumerate(clips):
        first = turn % len(arms)
        for arm in [*arms[first:], *arms[:first]]:
            name, options = ARMS[arm]
            runs[arm].append((clip, run(name, model, clip, StillClock(), **options)))
    lost = {
        arm: [missing(said(model, clip), heard.said) for clip, heard in pairs]
        for arm, pairs in runs.items()
    }
    return [
        _row(model.name, speech, length_s, arm, pairs, lost[arm]) for arm, pairs in runs.items()
    ]


def _row(
    model: str,
    speech: str,
    length_s: float,
    arm: str,
    pairs: Sequence[tuple[Clip, Run]],
    lost: Sequence[float],
) -> Row:
    def each(value: Any) -> list[float]:
        return [value(heard) / clip.speech_s for clip, heard in pairs]

    cpu = each(lambda r: r.cpu_s)
    return Row(
        model=model,
        speech=speech,
        length_s=length_s,
        arm=arm,
        n=len(pairs),
        cpu_s=round(median(cpu), 5),
        cpu_s_low=round(min(cpu), 5),
        cpu_s_high=round(max(cpu), 5),
        encoder_s=round(median(each(lambda r: r.counted.encoder_s)), 3),
        calls=round(median(each(lambda r: r.counted.calls)), 3),
        steps=round(median(each(lambda r: r.counted.steps)), 2),
        captions=round(median(each(lambda r: len(r.captions_s))), 3),
        missing=round(sum(lost) / len(lost), 4),
    )


def table(rows: Sequence[Row]) -> str:
    head = (
        "model      speech  length  arm                n   CPU s/s (least-most)"
        "       encoder s/s  calls/s  tokens/s  captions/s  missing"
    )
    lines = [
        f"{r.model:9}  {r.speech:6}  {r.length_s:5.0f} s  {r.arm:15}  {r.n:3}  {r.cpu_s:8.4f}"
        f" ({r.cpu_s_low:.4f}-{r.cpu_s_high:.4f})  {r.encoder_s:11.2f}  {r.calls:7.2f}"
        f"  {r.steps:8.1f}  {r.captions:10.2f}  {r.missing:7.1%}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """How much more the others cost than ours, captions beside captions and finals beside all."""
    found = {}
    by = {(r.model, r.speech, r.length_s, r.arm): r.cpu_s for r in rows}
    for (model, speech, length_s, arm), cpu_s in by.items():
        for ours in ("ours, captions", "ours, finals"):
            mine = by.get((model, speech, length_s, ours))
            captions = ours == "ours, captions"
            if mine and not arm.startswith("ours") and not (captions and arm == "stream-adapter"):
                found[f"{model}, {speech}, {length_s:.0f} s: {arm} to {ours}"] = round(
                    cpu_s / mine, 1
                )
    return found


def options_of(description: str) -> argparse.ArgumentParser:
    """What the benchmarks of this kind understand."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one short round (for CI)")
    parser.add_argument("--shapes", nargs="+", choices=MODELS, default=["rehearsal"])
    parser.add_argument("--lengths", nargs="+", type=float, help="seconds; 5 15 60 180")
    parser.add_argument("--n", type=int, help="clips of each length; 40")
    parser.add_argument("--said", choices=list(asr_answers.PAUSES_S), default="fluent")
    parser.add_argument("--speech", type=Path, help="folder of .g722 recordings, not espeak")
    parser.add_argument("--models", type=Path, default=Path("out"), help="for random weights")
    return parser


def answers(options: argparse.Namespace, said_by: Sequence[Pcm], length_s: float) -> list[Clip]:
    n = options.n or (1 if options.quick else 40)
    return [asr_answers.answer(said_by, length_s, options.said, seed) for seed in range(n)]


def main() -> None:
    parser = options_of((__doc__ or "").splitlines()[0])
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    options = parser.parse_args()
    lengths = options.lengths or ([5.0] if options.quick else LENGTHS_S)
    said_by, rows = asr_answers.sentences(options.speech), []
    for shape in options.shapes:
        model = load(shape, options.models)
        measure(model, answers(options, said_by, 5.0)[:1], options.arms, "", 0.0)  # warm up
        for length_s in lengths:
            clips = answers(options, said_by, length_s)
            rows += measure(model, clips, options.arms, options.said, length_s)
            print(table(rows[-len(options.arms) :]), flush=True)
    found = ratios(rows)
    print(f"\nload {os.getloadavg()[0]:.1f}\n{table(rows)}\n")
    for name, ratio in found.items():
        print(f"{ratio:6.1f}  {name}")
    mine = [asdict(r) for r in rows if r.arm.startswith("ours")]
    print(
        json.dumps(
            {
                "name": "asr_cost",
                "figures": mine,
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
