"""CPU seconds per second of answer: ours beside three other ways to hear a stream.

    python -m bench.asr_cost                      # rehearsal checkpoint, n = 40 each length
    python -m bench.asr_cost --shapes base small --n 3
    python -m bench.asr_cost --first 20 --n 20 --keep part2.jsonl     # and --join part*.jsonl
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
shape; with `--replay 5`, steps of the model that equal five measured ones (same window, tokens and
prompt) take one of their times again, in turn, instead of being computed once more. Parts of a run
tell one another those times by a folder (`--known`).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

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
from bench.asr_stage import Loaded, Run, StillClock
from bench.asr_table import Table
from bench.kept import keep, kept

ARMS: dict[str, tuple[str, dict[str, Any]]] = {
    "ours, captions": ("ours", {"every_s": 1.0}),
    "ours, finals": ("ours", {"every_s": None}),
    "local-agreement": ("local-agreement", {}),
    "whisper-live": ("whisper-live", {"every_s": lambda at: 1.0, "to_final": False}),
    "stream-adapter": ("stream-adapter", {}),
}


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


def measure(model: Loaded, given: Clips, arms: Sequence[str]) -> Iterator[Heard]:
    def hear(arm: str, clip: Clip) -> Run:
        name, options = ARMS[arm]
        return run(name, model, clip, StillClock(), **options)

    return in_turns(model, given, arms, hear)


def row(clips: Sequence[Heard]) -> Row:
    """`clips`: of one kind."""
    model, speech, length_s, arm = clips[0].kind

    def each(total: str) -> list[float]:
        return [getattr(one, total) / one.speech_s for one in clips]

    cpu = each("cpu_s")
    return Row(
        model=model,
        speech=speech,
        length_s=length_s,
        arm=arm,
        n=len(clips),
        cpu_s=round(median(cpu), 5),
        cpu_s_low=round(min(cpu), 5),
        cpu_s_high=round(max(cpu), 5),
        encoder_s=round(median(each("encoder_s")), 3),
        calls=round(median(each("calls")), 3),
        steps=round(median(each("steps")), 2),
        captions=round(median(each("captions")), 3),
        missing=round(fmean(one.missing for one in clips), 4),
    )


table = Table[Row](
    model=lambda r: r.model,
    speech=lambda r: r.speech,
    length=lambda r: f"{r.length_s:.0f} s",
    arm=lambda r: r.arm,
    n=lambda r: str(r.n),
    CPU_s=lambda r: f"{r.cpu_s:.4f}",
    least=lambda r: f"{r.cpu_s_low:.4f}",
    most=lambda r: f"{r.cpu_s_high:.4f}",
    encoder_s=lambda r: f"{r.encoder_s:.2f}",
    calls=lambda r: f"{r.calls:.2f}",
    tokens=lambda r: f"{r.steps:.1f}",
    captions=lambda r: f"{r.captions:.2f}",
    missing=lambda r: f"{r.missing:.1%}",
)
"""All but the last per second of answer."""


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


def measured(options: argparse.Namespace) -> Iterator[list[Heard]]:
    """A length at a time."""
    for shape in options.shapes:
        model = loaded(shape, options)
        few = answers(options, 5.0)
        list(measure(model, Clips("", 0.0, few.clips[:1]), options.arms))  # warm up
        model.meter.replay = options.replay > 0
        for length_s in lengths(options):
            yield list(measure(model, answers(options, length_s), options.arms))
        keep_known(model, options.known)


def main() -> None:
    parser = options_of((__doc__ or "").splitlines()[0], list(ARMS))
    parser.add_argument("--replay", type=int, default=0, help="measured steps that stand for more")
    options = parser.parse_args()
    found: list[Heard] = kept(options.join, Heard) if options.join else []
    for part in measured(options) if not options.join else ():
        keep(options.keep, part)
        print(table([row(clips) for clips in by_kind(part)]), flush=True)
        found += part
    rows = [row(clips) for clips in by_kind(found)]
    ratio = ratios(rows)
    print(f"\nper second of answer\n{table(rows)}\n")
    print("\n".join(f"{value:7.1f}  {name}" for name, value in ratio.items()))
    print(json.dumps(closing("asr_cost", [asdict(r) for r in rows], ratio, found)))


if __name__ == "__main__":
    main()
