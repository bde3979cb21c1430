"""Settings become the parts they name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCPeerConnection

from agent.events import Incident
from agent.plan import Plan
from asr import rehearsal
from asr.errors import HearingError
from asr.recognition import Piece
from asr.whisper import Whisper
from server import recogniser, wiring
from server.media import ice
from server.settings import load

SECOND = Piece(np.zeros(16_000, np.float32), "en")
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
    with recogniser.load_recogniser(
        load(asr_model="rehearsal", asr_device="cpu", **given)
    ) as engine:
        assert isinstance(engine._decoder, Whisper)
        assert engine._decoder.bucket(SECOND)[0] == frames


def test_peoples_speech_gets_ten_seconds(tmp_path: Path) -> None:
    own = shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "our-whisper")
    with recogniser.load_recogniser(load(asr_model=str(own), asr_device="cpu")) as engine:
        assert engine._decoder.bucket(SECOND)[0] == 1000


def test_the_recogniser_is_named_as_it_was_chosen_with_what_it_computes() -> None:
    for given in ("rehearsal", str(rehearsal.MODEL_DIR)):
        with recogniser.load_recogniser(load(asr_model=given, asr_device="cpu")) as engine:
            assert engine.model == "viva-rehearsal-whisper"
            assert engine.compute_type == engine._decoder._whisper.model.compute_type  # type: ignore[attr-defined]
            assert engine.compute_type.startswith("int8")


def test_a_recogniser_of_somebodys_own_is_named_as_its_folder(tmp_path: Path) -> None:
    own = shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "our-whisper")
    settings = load(asr_model=str(own), asr_device="cpu", asr_compute_type="float32")
    with recogniser.load_recogniser(settings) as engine:
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


def test_by_default_no_server_is_asked_where_we_are() -> None:
    found = wiring.ice_settings(load())
    assert (found.stun, found.turn, found.ports, found.media_ip) == (None, None, None, None)
    assert not ice.configuration(found).iceServers


def test_every_media_setting_arrives() -> None:
    found = wiring.ice_settings(
        load(
            media_ip="192.0.2.7",
            media_ports="40000-40010",
            turn_url="turn:turn.example.org:3478",
            turn_user="viva",
            turn_password="secret",
        )
    )
    assert (found.media_ip, str(found.ports)) == ("192.0.2.7", "40000-40010")
    assert found.turn is not None
    turn = (found.turn.urls, found.turn.username, found.turn.password)
    assert turn == (("turn:turn.example.org:3478",), "viva", "secret")


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("stun.example.org:3478", "stun:stun.example.org:3478"),
        ("stun:stun.example.org:3478", "stun:stun.example.org:3478"),
        ("stun.example.org", "stun:stun.example.org"),
    ],
)
async def test_a_stun_server_may_be_written_without_its_scheme(written: str, asked: str) -> None:
    found = wiring.ice_settings(load(stun=written))
    assert found.stun == asked
    connection = RTCPeerConnection(ice.configuration(found))
    connection.addTransceiver("audio")  # here aiortc reads the address
    await connection.close()


async def test_no_proxy_carries_words_off_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for privacy, proxied in (("local", False), ("network", True)):
        async with wiring.model_client(load(privacy=privacy)) as client:
            ways = client._client._mounts.values()
            assert any(way is not None for way in ways) is proxied


def test_a_recogniser_that_is_not_there_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HearingError, match="viva models fetch"):
        recogniser.load_recogniser(load(data_dir=tmp_path, asr_device="cpu"))
