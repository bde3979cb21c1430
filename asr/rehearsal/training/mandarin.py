"""The small Mandarin set, which only the larger model is taught."""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import Any

from ruamel.yaml import YAML

from asr.rehearsal.training import corpus

SHARE = 0.2
"""Of the larger model's examples."""


@cache
def _tree() -> Mapping[str, Any]:
    tree: Mapping[str, Any] = YAML(typ="safe").load(corpus.FOLDER / "mandarin.yaml")
    return tree


def sentence(chance: random.Random) -> str:
    template = chance.choice(_tree()["templates"])
    return corpus.SLOT.sub(lambda slot: chance.choice(_tree()["slots"][slot.group(1)]), template)


def training_text(chance: random.Random) -> str:
    """One sentence to three."""
    return "".join(sentence(chance) for _ in range(chance.choice((1, 1, 1, 2, 2, 3))))
