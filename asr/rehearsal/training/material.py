"""Examples made ready for the loop: what they say in tokens, and batches of them as tensors.

Whatever a batch draws depends on the seed and its own number alone.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader

from asr.rehearsal.training import losses, sequences
from asr.rehearsal.training.examples import Example
from asr.rehearsal.training.losses import Batch
from asr.rehearsal.training.model import TRAINING_TAIL
from asr.rehearsal.training.sequences import Reading
from asr.rehearsal.training.tokens import Tokens

AHEAD = 8
"""Batches that a process makes before they are asked for."""


class Mix(NamedTuple):
    """`frames` of sound in a batch at most; the shares of examples that follow earlier text and of
    those that are to be read with times."""

    frames: int
    prompts: float = 0.12
    timestamps: float = 0.15


class Material:
    def __init__(
        self, examples: Sequence[Example], tokens: Tokens, phonemes: Sequence[str], mix: Mix
    ) -> None:
        numbers = {label: number for number, label in enumerate(phonemes)}
        self._mix = mix
        self._tokens = tokens
        self._examples = examples
        self._said = [sequences.said(one, tokens) for one in examples]
        self._phonemes = [
            np.array([numbers[label] for label in one.phonemes], np.int16) for one in examples
        ]

    def rows(self, seed: int) -> Iterator[list[int]]:
        """Which examples are in each batch; without end, every round in another order."""
        frames = [one.frames for one in self._examples]
        round_number = 0
        while True:
            chance = random.Random(f"{seed}/round/{round_number}")
            yield from sequences.batches(frames, self._mix.frames, chance)
            round_number += 1

    def batch(self, rows: Sequence[int], seed: int, number: int) -> Batch:
        chance, rng = random.Random(f"{seed}/{number}"), np.random.default_rng([seed, number])
        features, phonemes = losses.stacked(
            [self._examples[row].features for row in rows],
            [self._phonemes[row] for row in rows],
            rng,
        )
        readings = [self._reading(row, chance) for row in rows]
        tokens, labels = losses.padded(readings, self._tokens.end)
        within = torch.from_numpy(rng.random(TRAINING_TAIL, dtype=np.float32))
        places = [one.places for one in readings]
        length, width = tokens.shape[1], phonemes.shape[1]
        return Batch(
            features,
            phonemes,
            tokens,
            labels,
            within,
            losses.guide([sequences.earlier(one) for one in places], length, width),
            losses.guide(places, length, width),
            losses.points(readings, width, random.Random(f"{seed}/{number}/points")),
        )

    def batches(self, seed: int, first: int, workers: int = 0) -> Iterator[Batch]:
        """Those from number `first` on, without end; made ahead by so many processes, if any.

        Which processes make them changes nothing of what is in them.
        """
        numbered = itertools.islice(enumerate(self.rows(seed)), first, None)
        # A loader takes whatever is indexed: here, by a batch's number and rows.
        dataset: Any = _Made(self, seed)
        yield from DataLoader(
            dataset,
            batch_size=None,
            sampler=_Once(numbered),
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            pin_memory=torch.cuda.is_available(),
        )

    def _reading(self, row: int, chance: random.Random) -> Reading:
        one = self._examples[row]
        prompt: list[int] = []
        if one.spoken and chance.random() < self._mix.prompts:
            for _ in range(2 if chance.random() < 0.3 else 1):
                prompt += chance.choice(self._said).tokens
        timed = chance.random() < self._mix.timestamps
        return sequences.reading(one, self._said[row], self._tokens, prompt, timestamps=timed)


@dataclass(frozen=True)
class _Made:
    material: Material
    seed: int

    def __getitem__(self, which: tuple[int, list[int]]) -> Batch:
        number, rows = which
        return self.material.batch(rows, self.seed, number)


@dataclass(frozen=True)
class _Once:
    """An iterator as the loader's sampler."""

    numbered: Iterator[tuple[int, list[int]]]

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        return self.numbered
