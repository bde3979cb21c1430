"""The telephone network of the tests marked `phone`; see `ground.py`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from extensions import EXTENSIONS, NUMBERS

from asr import rehearsal
from asr.engine import Engine
from server.rehearsal import model
from server.rehearsal.faults import NONE
from server.rehearsal.phone.ground import Ground, why_not
from server.rehearsal.phone.registrar import Registrar


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """The test itself runs in the network, and so does all it starts."""
    if reason := why_not():
        pytest.skip(f"no telephone network here: {reason}")
    with Ground(tmp_path) as made:
        yield made


@pytest.fixture
async def pbx(ground: Ground) -> AsyncIterator[Registrar]:
    """A registrar with the extensions above; each call needs a password."""
    if reason := why_not("kamailio"):
        pytest.skip(f"no registrar here: {reason}")
    registrar = Registrar(ground, EXTENSIONS, NUMBERS)
    await registrar.start()
    try:
        yield registrar
    finally:
        registrar.stop()


# What a whole interview by telephone needs besides (`telephone_calls.py`).


@pytest.fixture
def telephone_programs(ground: Ground) -> None:
    if reason := why_not("janus", "kamailio"):
        pytest.skip(reason)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine.load(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S) as loaded:
        yield loaded


@pytest.fixture
def model_url(ground: Ground) -> Iterator[str]:
    with model.serving(NONE) as url:
        yield url


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rendered")
