"""What the training minimises: the text, and three helpers that vanish with time.

The helpers use the exact times of espeak-ng. The encoder names the phoneme at each position; some
of the decoder's heads are told where the word lies that is being said (guided attention, after
Tachibana et al. 2018); and from a single position in a word's second half the word itself is named.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from asr.rehearsal.training.model import MELS, POSITIONS, Micro
from asr.rehearsal.training.sequences import IGNORED, Place, Reading

GUIDED_HEADS = 2
"""Of each layer, from the first; those that word times are later taken from."""
SMOOTHING = 0.03
SPARE_POSITIONS = 3
PHONEME_WEIGHT, GUIDE_WEIGHT, WORD_WEIGHT = 0.5, 0.4, 0.6
LEAST_HELP = 0.1


class Guide(NamedTuple):
    """Where a token's attention may fall: `allowed` [rows, length, positions], and `told`
    [rows, length], 1.0 for the tokens that it counts for."""

    allowed: Tensor
    told: Tensor


class Points(NamedTuple):
    """Single positions that name a word: each one's row, position and first token, all [points]."""

    rows: Tensor
    positions: Tensor
    labels: Tensor


class Batch(NamedTuple):
    """Tensors of some examples: features [rows, 80, frames], phonemes [rows, positions], tokens
    and labels [rows, length]; `within` as the encoder wants it; `before` guides to the word
    before, `itself` to the word that is said."""

    features: Tensor
    phonemes: Tensor
    tokens: Tensor
    labels: Tensor
    within: Tensor
    before: Guide
    itself: Guide
    points: Points

    def to(self, device: str) -> Batch:
        return _moved(self, device)


def _moved(value: Any, device: str) -> Any:
    if isinstance(value, tuple):
        return type(value)(*(_moved(one, device) for one in value))
    return value.to(device, non_blocking=True)


@dataclass(frozen=True)
class Losses:
    text: Tensor
    phoneme: Tensor
    guide: Tensor
    word: Tensor

    def total(self, done: float) -> Tensor:
        """`done` is the share of the training that is over."""
        helping = max(LEAST_HELP, 1 - 1.2 * done)
        helpers = (
            PHONEME_WEIGHT * self.phoneme + GUIDE_WEIGHT * self.guide + WORD_WEIGHT * self.word
        )
        return self.text + helping * helpers

    def numbers(self) -> dict[str, float]:
        named = vars(self).items()
        return {name: round(float(value.detach()), 4) for name, value in named}


def stacked(
    features: Sequence[np.ndarray], phonemes: Sequence[np.ndarray], rng: np.random.Generator | None
) -> tuple[Tensor, Tensor]:
    """Padded with 0.0 as faster-whisper pads; `rng` masks bands and times (after SpecAugment)."""
    positions = min(POSITIONS, (max(f.shape[1] for f in features) + 1) // 2 + SPARE_POSITIONS)
    stack = np.zeros((len(features), MELS, 2 * positions), np.float32)
    labels = np.full((len(features), positions), IGNORED, np.int64)
    for row, (one, heard) in enumerate(zip(features, phonemes, strict=True)):
        wide = one.astype(np.float32)
        stack[row, :, : wide.shape[1]] = wide if rng is None else masked(wide, rng)
        labels[row, : len(heard)] = heard[:positions]
    return torch.from_numpy(stack), torch.from_numpy(labels)


def masked(features: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another level, and up to two bands and two moments taken out."""
    features = features + np.float32(rng.uniform(-0.15, 0.15))
    for _ in range(2):
        if rng.random() < 0.5:
            width = int(rng.integers(1, 10))
            low = int(rng.integers(0, MELS - width))
            features[low : low + width] = features.mean()
    for _ in range(2):
        if rng.random() < 0.4:
            width = int(rng.integers(1, 12))
            start = int(rng.integers(0, max(1, features.shape[1] - width)))
            features[:, start : start + width] = features.mean()
    return features


def padded(readings: Sequence[Reading], end: int) -> tuple[Tensor, Tensor]:
    """Tokens and labels [rows, longest]."""
    length = max(len(one.tokens) for one in readings)
    tokens = torch.full((len(readings), length), end)
    labels = torch.full((len(readings), length), IGNORED)
    for row, one in enumerate(readings):
        tokens[row, : len(one.tokens)] = torch.tensor(one.tokens)
        labels[row, : len(one.labels)] = torch.tensor(one.labels)
    return tokens, labels


def losses(model: Micro, batch: Batch) -> Losses:
    memory, padding = model.model.encoder(batch.features, batch.within)
    states, attention = model.model.decoder(batch.tokens, memory, padding)
    real = batch.phonemes.shape[1]
    named = model.phonemes(memory[:, :real])
    text = F.cross_entropy(
        model.logits(states).float().flatten(0, 1),
        batch.labels.flatten(),
        ignore_index=IGNORED,
        label_smoothing=SMOOTHING,
    )
    return Losses(
        text,
        F.cross_entropy(
            named.float().flatten(0, 1), batch.phonemes.flatten(), ignore_index=IGNORED
        ),
        _guide(attention, batch),
        _word(model, memory, batch.points),
    )


def _guide(attention: Sequence[Tensor], batch: Batch) -> Tensor:
    """The first layer's heads belong on the word before, the others' on the word itself."""
    total = attention[0].new_zeros((), dtype=torch.float32)
    for layer, logits in enumerate(attention):
        total = total + _outside(logits, batch.before if layer == 0 else batch.itself)
    return total


def _outside(logits: Tensor, guide: Guide) -> Tensor:
    """Minus the logarithm of the attention that falls on the places, averaged."""
    guided = logits[:, :GUIDED_HEADS].float()
    # The padding's positions, behind those of the sound, are nobody's.
    allowed = F.pad(guide.allowed, (0, guided.shape[-1] - guide.allowed.shape[-1]))
    inside = torch.logsumexp(guided.masked_fill(~allowed[:, None], -1e4), -1)
    share = (inside - torch.logsumexp(guided, -1)).clamp(min=-20)
    return -(share * guide.told[:, None]).sum() / (guide.told.sum() * GUIDED_HEADS + 1e-6)


def guide(places: Sequence[Sequence[Place]], length: int, width: int) -> Guide:
    """Each place and a little around it, for rows of `length` tokens over `width` positions."""
    allowed = np.zeros((len(places), length, width), bool)
    told = np.zeros((len(places), length), np.float32)
    for row, chain in enumerate(places):
        for at, place in enumerate(chain):
            if place and place[0] < width:
                allowed[row, at, max(0, place[0] - 2) : place[1] + 3] = True
                told[row, at] = 1
    return Guide(torch.from_numpy(allowed), torch.from_numpy(told))


def _word(model: Micro, memory: Tensor, points: Points) -> Tensor:
    if not len(points.rows):
        return memory.new_zeros(())
    states = model.word(memory.float()[points.rows, points.positions])
    return F.cross_entropy(model.logits(states).float(), points.labels)


def points(readings: Sequence[Reading], width: int, chance: random.Random) -> Points:
    """One position for each word, from its second third on, and the word's first token."""
    found: list[tuple[int, int, int]] = []
    for row, one in enumerate(readings):
        last: Place = None
        for place, label in zip(one.places, one.labels, strict=True):
            if place and place != last and place[0] < width - 1:
                length = place[1] - place[0]
                late = chance.randint(0, max(0, int(length * 0.65) - 1))
                position = min(place[0] + int(length * 0.35) + late, width - 1)
                found.append((row, position, label))
                last = place
    table = torch.tensor(found, dtype=torch.int64).reshape(-1, 3)
    return Points(table[:, 0], table[:, 1], table[:, 2])
