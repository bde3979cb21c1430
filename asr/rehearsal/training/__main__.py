"""`python -m asr.rehearsal.training`: from templates to an evaluated checkpoint, step by step.

Each step leaves what it made in the work folder and is passed over when that is there already, so
the same command goes on after an interruption. `--help` names the options.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr import rehearsal

STEPS = ("corpus", "tok", "gen", "train", "export", "eval")


@dataclass(frozen=True)
class Size:
    """What a run's shape and length are, if no option says otherwise."""

    width: int
    encoder_layers: int
    decoder_layers: int
    text_tokens: int
    examples: int
    steps: int
    frames: int
    tests: int
    text_share: float = 1.0


NORMAL = Size(128, 4, 3, 3000, 30_000, 3600, 6000, 100)
SMALL = Size(64, 1, 2, 600, 24, 6, 2000, 1, 0.01)
LARGER = Size(192, 6, 3, 5000, 120_000, 12_000, 24_000, 100)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m asr.rehearsal.training", description=__doc__)
    made.add_argument("only", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; else all")
    made.add_argument("--work", type=Path, default=Path("out/rehearsal-training"))
    made.add_argument("--seed", type=int, default=1)
    made.add_argument("--examples", type=int, help="how many to speak")
    made.add_argument("--steps", type=int, help="batches to learn from")
    made.add_argument(
        "--frames", type=int, help="hundredths of a second in a batch, of which a step has two"
    )
    made.add_argument("--rate", type=float, default=2e-3, help="the highest learning rate")
    made.add_argument("--init-from-ct2", type=Path, metavar="FOLDER", help="begin with its weights")
    made.add_argument(
        "--text-alone", action="store_true", help="no helpers: a last run, warm, at a low rate"
    )
    made.add_argument("--against", type=Path, default=rehearsal.MODEL_DIR, metavar="FOLDER")
    made.add_argument("--device", default="cpu")
    made.add_argument(
        "--threads", type=int, default=2, help="processes that speak, and on a GPU make batches"
    )
    size = made.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="seconds, and good for nothing")
    size.add_argument("--larger", action="store_true", help="with Mandarin, for a GPU")
    return made


def chosen(options: argparse.Namespace) -> Size:
    size = SMALL if options.small else LARGER if options.larger else NORMAL
    given = {name: getattr(options, name) for name in ("examples", "steps", "frames")}
    return dataclasses.replace(size, **{name: n for name, n in given.items() if n is not None})


def main(arguments: Sequence[str] | None = None) -> None:
    options = parser().parse_args(arguments)
    unknown = [name for name in options.only if name not in STEPS]
    if unknown:
        parser().error(f"no step {unknown[0]!r}; there are {', '.join(STEPS)}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    from asr.rehearsal.training import steps  # torch comes with it: not for --help

    options.work.mkdir(parents=True, exist_ok=True)
    for name in STEPS:
        if not options.only or name in options.only:
            logging.info("step %s", name)
            getattr(steps, {"eval": "evaluate"}.get(name, name))(options, chosen(options))


if __name__ == "__main__":
    main()
