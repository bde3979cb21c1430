"""Which models can be fetched by name, of whatever package: one list for `viva models`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr import models
from asr.errors import UnknownModel
from server.fetching import Kind
from tts import neural_models


@dataclass(frozen=True)
class Known:
    """A model that somebody publishes."""

    name: str
    """As the operator writes it, and as its folder is called."""
    repository: str
    """owner/name at the hub."""
    kinds: Sequence[Kind]
    """What it may be; the repository's files tell which."""


KINDS: tuple[Kind, ...] = (*neural_models.KINDS, *models.KINDS)
"""Of repositories that are named as owner/name: the first that fits. A voice of sherpa-onnx has the
files of a recogniser and more, so voices stand before recognisers."""


def known() -> dict[str, Known]:
    """By name, in the order in which they are shown."""
    every: dict[str, tuple[str, Kind]] = {**models.CATALOGUE, **neural_models.CATALOGUE}
    found = [Known(name, where, (kind,)) for name, (where, kind) in every.items()]
    return {one.name: one for one in found}


def find(name: str) -> Known:
    """A known model, or any `owner/name`; raises `UnknownModel`."""
    if name in known():
        return known()[name]
    if models.is_repository(name):
        return Known(name, name, KINDS)
    raise UnknownModel(f"There is no model {name!r}. Known: {', '.join(known())}, or owner/name.")
