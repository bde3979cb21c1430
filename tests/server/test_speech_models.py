"""Models of their own for languages: loaded once each, checked, and named truthfully."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.plan import Plan
from asr import rehearsal
from asr.engine import Engine
from asr.errors import HearingError, UnknownLanguage
from asr.router import Router
from asr.service.client import RemoteRecogniser
from server import doctor, preflight, recogniser, speech_models, stand_ins, wiring
from server.preflight import NotReady
from server.settings import Settings, load
from tests.asr.services import TOKEN, get, served
from tests.asr.tiny_sherpa import paraformer, sense_voice, spoken

HEARD = np.zeros(16_000, np.float32)


@pytest.fixture
def chosen(tmp_path: Path) -> Settings:
    """SenseVoice for Mandarin, and our own Whisper for the rest."""
    shutil.copytree(rehearsal.MODEL_DIR, tmp_path / "models" / "small")
    sense_voice(tmp_path / "models" / "sensevoice")
    return settings(tmp_path, asr_model="small", asr_models="zh=sensevoice")


def settings(folder: Path, **given: Any) -> Settings:
    return load(data_dir=folder, asr_device="cpu", **given)


def plan_in(plan: Plan, language: str) -> Plan:
    return plan.model_copy(update={"language": language})


async def test_each_language_is_heard_by_its_model(chosen: Settings) -> None:
    with await asyncio.to_thread(recogniser.load_recogniser, chosen) as engine:
        assert isinstance(engine, Router)
        assert (await engine.recognise(spoken("你", "好"), language="zh")).text == "你好"
        assert (await engine.recognise(HEARD, language="en")).avg_logprob is not None
        assert (engine.model, engine.languages["zh"].model) == ("small", "sensevoice")


def test_a_model_for_two_languages_is_loaded_once(
    chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []
    real = Engine.load.__func__  # type: ignore[attr-defined]

    def counted(cls: type[Engine], folder: Path, **options: Any) -> Engine:
        loads.append(folder)
        loaded: Engine = real(cls, folder, **options)
        return loaded

    monkeypatch.setattr(Engine, "load", classmethod(counted))
    (tmp_path / "again").symlink_to(tmp_path / "models" / "small")
    same = settings(
        tmp_path,
        asr_model="small",
        asr_models=f"en={tmp_path / 'again'},zh=sensevoice,ja=sensevoice",
    )
    with recogniser.load_recogniser(same) as engine:
        assert isinstance(engine, Router)
        assert [folder.name for folder in loads] == ["small", "sensevoice"]
        assert {language: one.model for language, one in engine.languages.items()} == {
            "en": "small",
            "zh": "sensevoice",
            "ja": "sensevoice",
        }


async def test_no_model_is_loaded_that_no_interview_asks_for(tmp_path: Path) -> None:
    sense_voice(tmp_path / "models" / "sensevoice")
    both = settings(tmp_path, asr_models="en=sensevoice,zh=sensevoice")
    assert list(speech_models.folders(both).values()) == [["en", "zh"]]
    engine = await asyncio.to_thread(recogniser.load_recogniser, both)
    with engine, pytest.raises(UnknownLanguage, match="VIVA_ASR_MODEL"):
        await engine.recognise(HEARD, language="fr")


def test_one_model_needs_no_router(chosen: Settings) -> None:
    alone = settings(chosen.data_dir, asr_model="small")
    with recogniser.load_recogniser(alone) as engine:
        assert isinstance(engine, Engine)
    with recogniser.load_recogniser(chosen, only="zh") as engine:
        assert engine.model == "sensevoice"


def test_a_model_that_does_not_load_leaves_no_other_behind(
    chosen: Settings, tmp_path: Path
) -> None:
    model = tmp_path / "models" / "sensevoice" / "model.int8.onnx"
    model.write_bytes(model.read_bytes().replace(b"MatMul", b"NatNul"))
    before = threading.active_count()
    with pytest.raises(HearingError, match="does not load"):
        recogniser.load_recogniser(chosen)
    assert threading.active_count() == before


async def test_reports_name_the_model_that_heard_their_language(
    chosen: Settings, plan: Plan
) -> None:
    def heard_by(ears: Any, language: str) -> tuple[str, str | None]:
        made = wiring.provenance_of(chosen, ears, lambda: None)(plan_in(plan, language), [], "hash")
        (one,) = [model for model in made.models if model.role == "asr"]
        return one.name, one.quantisation

    with await asyncio.to_thread(recogniser.load_recogniser, chosen) as engine:
        assert heard_by(engine, "zh") == ("sensevoice", "int8")
        english = heard_by(engine, "en")
        assert english[0] == "small"
        async with served(engine) as (_, url):
            remote = await asyncio.to_thread(lambda: RemoteRecogniser(url, token=TOKEN))
            try:
                assert heard_by(remote, "zh") == ("sensevoice", "int8")
                assert heard_by(remote, "en") == english
            finally:
                await asyncio.to_thread(remote.close)


async def test_the_service_says_which_models_it_has(chosen: Settings) -> None:
    with await asyncio.to_thread(recogniser.load_recogniser, chosen) as engine:
        async with served(engine) as (service, url):
            page = url.replace("ws", "http", 1) + "/healthz"
            _, _, text = await asyncio.to_thread(get, page)
            metrics = service.metrics.text().decode()
            found = await doctor_of(url)
    assert json.loads(text)["languages"] == {
        "zh": {"model": "sensevoice", "compute_type": "int8", "device": "cpu"}
    }
    assert json.loads(text)["model"] == "small"
    assert metrics.count("viva_asr_model_info{") == 2
    assert "small (int8" in found and ", zh: sensevoice at" in found


async def doctor_of(url: str) -> str:
    (finding,) = [one async for one in doctor._hearing(load(asr_url=url, asr_token=TOKEN))]
    assert finding.state == "ok"
    return finding.text


async def test_the_doctor_and_the_start_look_at_every_model(
    chosen: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [one async for one in doctor._hearing(chosen)]
    assert [(one.name, one.state) for one in found] == [
        ("speech model", "ok"),
        ("speech model (zh)", "ok"),
    ]
    preflight.check_hearing(chosen)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "sherpa_onnx", None)
        with pytest.raises(NotReady, match=r"pip install -e '\.\[sherpa\]'"):
            preflight.check_hearing(chosen)
    (tmp_path / "models" / "sensevoice" / "tokens.txt").unlink()
    with pytest.raises(NotReady, match=r"tokens\.txt missing"):
        preflight.check_hearing(chosen)
    (finding,) = [one async for one in doctor._hearing(chosen)]
    assert finding.state == "bad"
    away = settings(tmp_path, asr_model="small", asr_models="zh=paraformer-zh")
    with pytest.raises(NotReady, match="viva models fetch paraformer-zh"):
        preflight.check_hearing(away)


def test_the_rehearsals_ears_are_a_stand_in_in_any_language(tmp_path: Path) -> None:
    paraformer(tmp_path / "models" / "paraformer-zh")
    mixed = settings(tmp_path, asr_model="rehearsal", asr_models="zh=paraformer-zh")
    assert stand_ins.of(mixed) == (stand_ins.EARS,)
    other = settings(tmp_path, asr_model="small", asr_models=f"en={rehearsal.MODEL_DIR}")
    assert stand_ins.of(other) == (stand_ins.EARS,)
    with recogniser.load_recogniser(mixed) as engine:
        assert isinstance(engine, Router)
        assert (engine.model, engine.languages["zh"].model) == (stand_ins.EARS, "paraformer-zh")
