"""Settings become the parts they name."""

from __future__ import annotations

import os

import pytest

from asr.whisper import Whisper
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


@pytest.mark.parametrize(
    ("given", "frames"),
    [({}, 500), ({"asr_window_s": "30"}, 3000), ({"asr_window_s": "12"}, 1200)],
)
def test_the_shortest_window_is_a_setting(given: dict[str, str], frames: int) -> None:
    with wiring.load_recogniser(load(asr_model="rehearsal", asr_device="cpu", **given)) as engine:
        assert isinstance(engine._decoder, Whisper)
        assert engine._decoder._window(100) == frames


def test_peoples_speech_gets_ten_seconds() -> None:
    assert wiring.window_s(load()) == 10.0
