"""Settings become the parts they name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from agent.events import Incident
from agent.plan import Plan
from asr import rehearsal
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


def test_the_recogniser_is_named_as_it_was_chosen_with_what_it_computes() -> None:
    for given in ("rehearsal", str(rehearsal.MODEL_DIR)):
        with wiring.load_recogniser(load(asr_model=given, asr_device="cpu")) as engine:
            assert engine.model == "viva-rehearsal-whisper"
            assert engine.compute_type == engine._decoder._whisper.model.compute_type  # type: ignore[attr-defined]
            assert engine.compute_type.startswith("int8")


def test_a_recogniser_of_somebodys_own_is_named_as_its_folder(tmp_path: Path) -> None:
    own = shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "our-whisper")
    settings = load(asr_model=str(own), asr_device="cpu", asr_compute_type="float32")
    with wiring.load_recogniser(settings) as engine:
        assert (engine.model, engine.compute_type) == ("our-whisper", "float32")


class Ears:
    model, compute_type = "small", "float16"


def changed(voice: str) -> Incident:
    return Incident(at=1.0, kind="voice_changed", detail=f"{voice}: no audio in time")


def test_a_report_names_what_heard_spoke_and_stood_in(plan: Plan) -> None:
    settings = load(voice_en="en-GB-SoniaNeural", grader_model="viva-stand-in")
    edge, espeak = wiring.voice_names(settings, "en")
    assert "en-GB-SoniaNeural" in edge and espeak.startswith("espeak-ng: en-us")
    made = wiring.provenance_of(settings, Ears(), lambda: "tools")
    quiet = made(plan, [Incident(at=1.0, kind="stall", detail=espeak)], "hash")
    named = {(one.role, one.name, one.quantisation) for one in quiet.models}
    assert ("asr", "small", "float16") in named
    assert [one.name for one in quiet.models if one.role == "tts"] == [edge]
    assert quiet.stand_ins == ("viva-stand-in",)
    fell_back = made(plan, [changed(espeak), changed(edge), changed(espeak)], "hash")
    assert [one.name for one in fell_back.models if one.role == "tts"] == [edge, espeak]
    local = wiring.provenance_of(load(privacy="local"), Ears(), lambda: None)(plan, [], "hash")
    assert [one.name for one in local.models if one.role == "tts"] == [espeak]
    assert local.stand_ins == ()
