"""Settings become the parts they name."""

from __future__ import annotations

import os

import pytest

from server import wiring
from server.settings import load

MODEL = "http://127.0.0.1:8000/v1"
GRADER = "http://127.0.0.1:8001/v1"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VIVA_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({}, "models-key"),
        ({"grader_url": MODEL + "/"}, "models-key"),
        ({"grader_url": GRADER}, "none"),
        ({"grader_url": GRADER, "grader_api_key": "graders-key"}, "graders-key"),
        ({"grader_api_key": "graders-key"}, "graders-key"),
    ],
)
async def test_the_models_key_goes_to_the_models_address_only(
    given: dict[str, str], key: str
) -> None:
    settings = load(model_url=MODEL, model_api_key="models-key", **given)
    for grading, expected in ((False, "models-key"), (True, key)):
        async with wiring.model_client(settings, grading=grading) as client:
            assert client.api_key == expected
