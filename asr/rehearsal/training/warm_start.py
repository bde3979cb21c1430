"""A new model from an exported one, with more words: the sound it knows need not be learnt again.

Tokens that both tokenizers have keep what they mean. A new one begins as the mean of the pieces in
which the old tokenizer wrote it. The heads of the training alone are not in an export: they begin
anew, and for some steps nothing else learns.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from asr.rehearsal.training import weights
from asr.rehearsal.training.fitting import Plan
from asr.rehearsal.training.model import Micro
from asr.rehearsal.training.tokens import FILE, Tokens

HEADS_ONLY_STEPS = 40
WARM_UP = 0.08
"""Of all steps, until the full learning rate: gentler than from nothing."""


def load(model: Micro, folder: Path, tokens: Tokens) -> None:
    """Fills `model` from the exported `folder`. Raises `ValueError` if the shapes differ."""
    stored = weights.read(folder)
    table = "model.decoder.embed_tokens.weight"
    stored[table] = widened(stored[table], Tokens.load(folder / FILE), tokens)
    state = {name: torch.from_numpy(np.ascontiguousarray(v)) for name, v in stored.items()}
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ValueError(f"{folder} is of another shape: {error}") from error
    heads = ("phonemes.", "word.")
    if unexpected or any(not name.startswith(heads) for name in missing):
        raise ValueError(f"{folder} is of another shape: {missing} missing, {unexpected} unknown.")


def gentler(plan: Plan) -> Plan:
    return replace(plan, heads_only=HEADS_ONLY_STEPS if plan.helpers else 0, warm_up=WARM_UP)


def widened(table: np.ndarray, old: Tokens, new: Tokens) -> np.ndarray:
    """The old rows [tokens, width] in the new order, with rows for the new tokens."""
    numbers = {name: number for number, name in enumerate(old.names())}
    rows = []
    for name in new.names():
        if name in numbers:
            rows.append(table[numbers[name]])
        else:
            text = new.tokenizer.decoder.decode([name])
            pieces = old.tokenizer.encode(text, add_special_tokens=False).ids
            rows.append(table[pieces].mean(0))
    return np.stack(rows)
