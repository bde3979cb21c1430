"""Clips through the arms of `bench.asr_cost` and `bench.asr_latency`: in turns, kept, and joined.

A result is that of one clip in one arm, so that parts which ran elsewhere (`--first`, `--keep`) can
be joined (`--join`) into the same tables.
"""

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import jiwer

from asr import rehearsal
from asr.whisper import FLOOR_S
from bench import asr_answers, random_whisper
from bench.asr_arms import said
from bench.asr_meter import KNOWN
from bench.asr_script import Clip
from bench.asr_stage import Loaded, Run

MODELS = ("rehearsal", *random_whisper.SHAPES)
LENGTHS_S = (5.0, 15.0, 60.0, 180.0)
CLIPS = 40


@dataclass(frozen=True)
class Heard:
    """One clip in one arm; milliseconds are those of its last final."""

    model: str
    speech: str
    length_s: float
    arm: str
    clip: int
    """Its number, which is its seed."""
    speech_s: float
    cpu_s: float
    encoder_s: float
    calls: int
    steps: int
    """Tokens decoded."""
    captions: int
    missing: float
    """Share of words that no final had."""
    wait_ms: float
    """From the last voiced sample to the decision that it was the last."""
    text_ms: float
    """From there until all words were known."""
    final_ms: float
    """From there until they were given out as final."""
    load: float
    """Of the machine meanwhile: tasks, by its own count of the last minute."""

    @property
    def kind(self) -> tuple[str, str, float, str]:
        return self.model, self.speech, self.length_s, self.arm


@dataclass(frozen=True)
class Clips:
    """Answers of one length, numbered from `first` on."""

    speech: str
    length_s: float
    clips: Sequence[Clip]
    first: int = 0


def in_turns(
    model: Loaded, given: Clips, arms: Sequence[str], hear: Callable[[str, Clip], Run]
) -> Iterator[Heard]:
    """Each clip through every arm, in an order that changes from clip to clip."""
    for number, clip in enumerate(given.clips, given.first):
        turn = number % len(arms)
        for arm in [*arms[turn:], *arms[:turn]]:
            yield _heard(model, given, arm, number, clip, hear(arm, clip))


def _heard(model: Loaded, given: Clips, arm: str, number: int, clip: Clip, found: Run) -> Heard:
    last, counted = found.finals[-1], found.counted
    return Heard(
        model=model.name,
        speech=given.speech,
        length_s=given.length_s,
        arm=arm,
        clip=number,
        speech_s=clip.speech_s,
        cpu_s=found.cpu_s,
        encoder_s=counted.encoder_s,
        calls=counted.calls,
        steps=counted.steps,
        captions=len(found.captions_s),
        missing=missing(said(model, clip), found.said),
        wait_ms=1000 * (last.decided_s - clip.speech_s),
        text_ms=1000 * (last.ready_s - last.decided_s),
        final_ms=1000 * (last.given_s - last.decided_s),
        load=os.getloadavg()[0],
    )


def missing(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Share of the words that were said and not heard, or heard as others."""
    if not heard:
        return 1.0
    found = jiwer.process_words(" ".join(wanted), " ".join(heard))
    return (found.deletions + found.substitutions) / len(wanted)


def by_kind(found: Iterable[Heard]) -> list[list[Heard]]:
    """All clips of a model, speech, length and arm together, in the order in which they came."""
    groups: dict[tuple[str, str, float, str], list[Heard]] = {}
    for one in found:
        groups.setdefault(one.kind, []).append(one)
    return list(groups.values())


def loaded(name: str, options: argparse.Namespace) -> Loaded:
    """A model as the options want it."""
    people = name != "rehearsal"
    folder = random_whisper.folder(name, options.models) if people else rehearsal.MODEL_DIR
    model = Loaded.load(name, folder, options.floor or (FLOOR_S if people else rehearsal.FLOOR_S))
    model.meter.known_after = options.replay or KNOWN
    for file in options.known.glob(f"{name}-*.json") if options.known else ():
        model.meter.learn(json.loads(file.read_text()))
    return model


def keep_known(model: Loaded, folder: Path | None) -> None:
    """For other parts of this benchmark on this machine; each process has a file of its own."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{model.name}-{os.getpid()}.json"
        file.write_text(json.dumps(model.meter.measured))


def options_of(description: str, arms: Sequence[str]) -> argparse.ArgumentParser:
    """What the benchmarks of this kind understand."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one short round (for CI)")
    parser.add_argument("--arms", nargs="+", choices=arms, default=list(arms))
    parser.add_argument("--shapes", nargs="+", choices=MODELS, default=["rehearsal"])
    parser.add_argument("--lengths", nargs="+", type=float, help="seconds; 5 15 60 180")
    parser.add_argument("--n", type=int, help=f"clips of each length; {CLIPS}")
    parser.add_argument("--first", type=int, default=0, help="number of the first clip")
    parser.add_argument("--floor", type=float, help="shortest window of ours, seconds")
    parser.add_argument("--said", choices=list(asr_answers.PAUSES_S), default="fluent")
    parser.add_argument("--speech", type=Path, help="folder of .g722 recordings, not espeak")
    parser.add_argument("--models", type=Path, default=Path("out"), help="for random weights")
    parser.add_argument("--known", type=Path, help="folder of steps' times, to read and add to")
    parser.add_argument("--keep", type=Path, help="file to add each clip's result to")
    parser.add_argument("--join", type=Path, nargs="+", help="such files: tables of all of them")
    return parser


def lengths(options: argparse.Namespace) -> Sequence[float]:
    return options.lengths or ([5.0] if options.quick else LENGTHS_S)


def answers(options: argparse.Namespace, length_s: float) -> Clips:
    said_by = asr_answers.sentences(options.speech)
    n = options.n or (1 if options.quick else CLIPS)
    made = [
        asr_answers.answer(said_by, length_s, options.said, seed)
        for seed in range(options.first, options.first + n)
    ]
    return Clips(options.said, length_s, made, options.first)


def closing(
    name: str, figures: Sequence[dict[str, Any]], ratio: dict[str, float], found: Sequence[Heard]
) -> dict[str, Any]:
    """The last line of both."""
    return {
        "name": name,
        "figures": [row for row in figures if row["arm"].startswith("ours")],
        "baseline": [row for row in figures if not row["arm"].startswith("ours")],
        "ratio": ratio,
        "n": min(row["n"] for row in figures),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(median(one.load for one in found), 1),
    }
