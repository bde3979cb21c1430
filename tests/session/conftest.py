"""A studio for each test, and a model by rules for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from asr import rehearsal
from asr.engine import Engine
from server.rehearsal import model
from server.rehearsal.faults import NONE
from tests.session.studio import Studio


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of rendered lines, so that each is rendered once."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="session")
def model_url() -> Iterator[str]:
    with model.serving(NONE) as url:
        yield url


@pytest.fixture
async def studio(folder: Path, model_url: str) -> AsyncIterator[Studio]:
    made = Studio(folder, model_url)
    yield made
    await made.aclose()


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """The rehearsal model: it knows a few hundred words."""
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as loaded:
        yield loaded
