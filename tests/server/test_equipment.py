"""What calls are made of: a model's server may come up after us."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from livekit.agents import APIConnectionError
from written_calls import NoEars

from server.equipment import Equipment
from server.rehearsal import model as stand_in
from server.settings import Settings
from server.wiring import model_client
from tts.edge import EdgeTTS


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


async def test_a_model_that_starts_late_is_asked_what_it_enforces(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "server.equipment")
    port = free_port()
    settings = Settings(
        data_dir=tmp_path,
        model=stand_in.NAME,
        model_url=f"http://127.0.0.1:{port}/v1",
        model_mode="auto",
        privacy="local",
    )
    equipment = Equipment(settings, NoEars(), model_client(settings))
    finding = asyncio.create_task(equipment.find_mode(ask_again_s=0.01))
    try:
        async with asyncio.timeout(20):
            while not caplog.messages:  # noqa: ASYNC110 — a log tells in no other way
                await asyncio.sleep(0.01)
            assert "does not answer" in caplog.messages[0]
            assert equipment.mode is None
            with stand_in.serving(port=port):
                await finding
        assert equipment.mode == "tools"
        (_, found) = caplog.messages
        assert "moves are asked for by tools" in found
    finally:
        finding.cancel()
        await equipment.aclose()


class Refusing(EdgeTTS):
    """No network: the service is not there."""

    def synthesize(self, text: str, **_: object) -> NoReturn:
        raise APIConnectionError(f"nobody hears {text}")


async def tries_voices(settings: Settings) -> None:
    equipment = Equipment(settings, NoEars(), model_client(settings))
    try:
        await equipment.try_voices()
    finally:
        await equipment.aclose()


async def test_a_voice_of_the_network_that_does_not_answer_is_said_once_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tts.edge.EdgeTTS", Refusing)
    caplog.set_level(logging.INFO, "server.equipment")
    await tries_voices(Settings(data_dir=tmp_path, privacy="network"))
    # `tts.voices` says by itself where the words go.
    told = [one.getMessage() for one in caplog.records if one.name == "server.equipment"]
    english, chinese = told
    assert "Emma" in english and "nobody hears Hello." in english and "espeak" in english
    assert "Xiaoxiao" in chinese and "VIVA_PRIVACY=local" in chinese


@pytest.mark.parametrize("given", [{"privacy": "local"}, {"voice": "espeak"}], ids=str)
async def test_where_the_network_is_not_spoken_with_nobody_is_asked(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
) -> None:
    monkeypatch.setattr("tts.edge.EdgeTTS", Refusing)
    caplog.set_level(logging.INFO, "server.equipment")
    await tries_voices(Settings.model_validate({"data_dir": tmp_path, **given}))
    assert caplog.messages == []
