"""Examples on disk: one `.npz` of so many, and a folder of them made by several processes."""

from __future__ import annotations

import json
import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asr.rehearsal.training.examples import Example, training_example

logger = logging.getLogger(__name__)

SIZE = 1000
"""Examples in a shard."""


class Order(NamedTuple):
    """A shard to be made: where, and of which seeds."""

    path: Path
    seeds: range
    mandarin_share: float


def save(examples: Sequence[Example], path: Path) -> None:
    """Under its name only once it is whole: what an interruption left is made again."""
    labels = sorted({label for one in examples for label in one.phonemes})
    numbers = {label: number for number, label in enumerate(labels)}
    rows = [
        {"text": one.text, "words": one.words, "sentences": one.sentences, "voice": one.voice}
        for one in examples
    ]
    arrays: dict[str, Any] = {
        "features": np.concatenate([one.features for one in examples], axis=1),
        "frames": np.array([one.frames for one in examples]),
        "phonemes": np.array([numbers[p] for one in examples for p in one.phonemes], np.int16),
        "rows": np.array(json.dumps({"labels": labels, "rows": rows})),
    }
    if all(one.samples is not None for one in examples):
        arrays["samples"] = np.concatenate(
            [one.samples for one in examples if one.samples is not None]
        )
        arrays["lengths"] = np.array(
            [len(one.samples) for one in examples if one.samples is not None]
        )
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.rename(path)


def load(path: Path) -> list[Example]:
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    told = json.loads(str(arrays["rows"]))
    features = np.split(arrays["features"], np.cumsum(arrays["frames"])[:-1], axis=1)
    positions = np.cumsum((arrays["frames"] + 1) // 2)[:-1]
    phonemes = np.split(arrays["phonemes"], positions)
    samples: Sequence[Any] = [None] * len(features)
    if "samples" in arrays:
        samples = np.split(arrays["samples"], np.cumsum(arrays["lengths"])[:-1])
    return [
        Example(
            features[i],
            row["text"],
            tuple(tuple(span) for span in row["words"]),
            tuple(tuple(span) for span in row["sentences"]),
            tuple(told["labels"][number] for number in phonemes[i]),
            row["voice"],
            samples[i],
        )
        for i, row in enumerate(told["rows"])
    ]


def make(
    folder: Path, examples: int, seed: int, processes: int, *, mandarin_share: float = 0.0
) -> list[Path]:
    """The shards of so many examples; those that are there are left as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(_wanted(folder, examples, seed, mandarin_share))
    missing = [order for order in wanted if not order.path.exists()]
    # A process for each shard: what espeak-ng says depends a little on what it said before.
    with multiprocessing.get_context("spawn").Pool(processes, maxtasksperchild=1) as pool:
        for done, path in enumerate(pool.imap_unordered(_shard, missing), 1):
            logger.info("made %s, %d of %d", path.name, done, len(missing))
    return [order.path for order in wanted]


def _wanted(folder: Path, examples: int, seed: int, mandarin_share: float) -> Iterator[Order]:
    """Names hold all that the contents depend on: other options find other files."""
    kind = "train-zh" if mandarin_share else "train"
    for number, first in enumerate(range(0, examples, SIZE)):
        count = min(SIZE, examples - first)
        start = seed * 10_000_000 + first
        path = folder / f"{kind}-{seed}-{number:03d}-{count}.npz"
        yield Order(path, range(start, start + count), mandarin_share)


def _shard(order: Order) -> Path:
    save([training_example(seed, order.mandarin_share) for seed in order.seeds], order.path)
    return order.path
