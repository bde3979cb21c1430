"""The rehearsal model, loaded once, and speech for it."""

from collections.abc import Iterator

import pytest

from asr import rehearsal
from asr.engine import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as loaded:
        yield loaded
