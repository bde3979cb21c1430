"""`viva asr` from the operator's side: its token, its settings, and a server that uses it."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.errors import ServiceUnavailable
from asr.service.client import RemoteRecogniser
from server import asr_token, doctor, preflight, recogniser, stand_ins
from server.rehearsal.processes import ServerProcess, free_port
from server.settings import SettingsError, load
from tests.asr.services import TOKEN, AsrProcess, ScriptedEngine, served

ROOT = Path(__file__).parents[2]
URL = "ws://127.0.0.1:8090"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VIVA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
async def url(engine: ScriptedEngine) -> AsyncIterator[str]:
    async with served(engine) as (_, url):
        yield url


def test_a_token_is_made_once_that_only_its_owner_reads(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path)
    first, second = asr_token.of_service(settings), asr_token.of_service(settings)
    assert first.value == second.value == asr_token.of_worker(settings)
    assert (first.new, second.new) == (True, False)
    assert first.file == tmp_path / "asr_token"
    assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
    assert len(first.value) >= 32
    assert first.value not in repr(first)


def test_a_token_of_the_settings_is_taken_and_none_is_made(tmp_path: Path) -> None:
    settings = load(data_dir=tmp_path, asr_token=TOKEN)
    assert asr_token.of_service(settings).value == asr_token.of_worker(settings) == TOKEN
    assert not list(tmp_path.iterdir())
    assert TOKEN not in repr(settings)


def test_a_token_that_is_short_or_missing_is_refused_with_what_to_do(tmp_path: Path) -> None:
    short = load(data_dir=tmp_path, asr_token="short")
    for of in (asr_token.of_service, asr_token.of_worker):
        with pytest.raises(SettingsError, match="VIVA_ASR_TOKEN needs at least 16 characters"):
            of(short)
    for value in ("sixteen characters", "sechzehn-Zeichen-\u00fc"):
        with pytest.raises(SettingsError, match="VIVA_ASR_TOKEN may have letters, digits"):
            asr_token.of_service(load(data_dir=tmp_path, asr_token=value))
    with pytest.raises(SettingsError, match=r"No such file.*Give it as VIVA_ASR_TOKEN"):
        preflight.check_hearing(load(data_dir=tmp_path, asr_url=URL))
    (tmp_path / "asr_token").write_bytes(b"\xff" * 32)
    for of in (asr_token.of_service, asr_token.of_worker):
        with pytest.raises(SettingsError, match="it is no text"):
            of(load(data_dir=tmp_path))


@pytest.mark.parametrize("value", ["127.0.0.1:8090", "http://a:1", "ws://", "ws://a:1/?token=x"])
def test_an_address_that_is_no_websocket_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match=r"VIVA_ASR_URL is .* such as ws://127\.0\.0\.1:8090"):
        load(asr_url=value)


def test_local_privacy_knows_the_recogniser_too() -> None:
    with pytest.raises(SettingsError, match=r"VIVA_ASR_URL names gpu\.lan"):
        load(privacy="local", asr_url="ws://gpu.lan:8090")
    assert load(privacy="local", asr_url="ws://gpu.lan:8090/", trusted_hosts="gpu.lan").asr_url
    assert load(privacy="local", asr_url=URL).asr_url == URL


def test_no_model_is_needed_here_where_the_recogniser_is_elsewhere(tmp_path: Path) -> None:
    preflight.check_hearing(load(data_dir=tmp_path, asr_url=URL, asr_token=TOKEN))


async def test_a_server_hears_with_the_recogniser_that_its_settings_name(url: str) -> None:
    settings = load(asr_url=url, asr_token=TOKEN)
    remote = await asyncio.to_thread(recogniser.recogniser_of, settings)
    try:
        assert isinstance(remote, RemoteRecogniser)
        assert (remote.model, remote.compute_type) == ("script", "none")
    finally:
        await asyncio.to_thread(remote.close)


async def test_a_report_is_never_made_unmarked_by_the_rehearsals_recogniser(
    url: str, engine: ScriptedEngine
) -> None:
    engine.model = stand_ins.EARS
    settings = load(asr_url=url, asr_token=TOKEN)
    with pytest.raises(SettingsError, match="set VIVA_ASR_MODEL=rehearsal here too"):
        await asyncio.to_thread(recogniser.recogniser_of, settings)
    marked = load(asr_url=url, asr_token=TOKEN, asr_model="rehearsal")
    remote = await asyncio.to_thread(recogniser.recogniser_of, marked)
    await asyncio.to_thread(remote.close)


async def test_the_doctor_tries_the_recogniser(url: str, tmp_path: Path) -> None:
    good = load(asr_url=url, asr_token=TOKEN)
    [finding] = [one async for one in doctor._hearing(good)]
    assert (finding.state, finding.text) == ("ok", f"script (none) at {url}.")
    bad = load(asr_url=url, asr_token="x" * 16)
    [finding] = [one async for one in doctor._hearing(bad)]
    assert finding.state == "bad"
    assert "token" in finding.text
    [finding] = [one async for one in doctor._hearing(load(asr_url=url, data_dir=tmp_path))]
    assert "VIVA_ASR_TOKEN" in finding.text


async def test_a_recogniser_that_does_not_answer_stops_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def soon(url: str, *, token: str) -> RemoteRecogniser:
        return RemoteRecogniser(url, token=token, wait_s=0.2)

    monkeypatch.setattr(recogniser, "RemoteRecogniser", soon)
    settings = SimpleNamespace(
        asr_url="ws://127.0.0.1:1", asr_token=load(asr_token=TOKEN).asr_token
    )
    with pytest.raises(ServiceUnavailable, match="Start it with `viva asr`"):
        await asyncio.to_thread(recogniser.connect_recogniser, settings)


@pytest.mark.media
async def test_a_server_starts_with_a_recogniser_elsewhere_and_no_model_of_its_own(
    tmp_path: Path,
) -> None:
    async with AsrProcess(tmp_path, free_port()) as process:
        given = {
            "VIVA_DATA_DIR": str(tmp_path / "server"),
            "VIVA_PRIVACY": "local",
            "VIVA_ASR_URL": process.url,
            "VIVA_ASR_TOKEN": TOKEN,
            "VIVA_ASR_MODEL": "rehearsal",
        }
        server = ServerProcess(given, free_port(), tmp_path / "server.log")
        await server.start()
        await server.stop()
    assert "connected to ws://127.0.0.1" in (tmp_path / "server.log").read_text()


def test_the_service_loads_nothing_of_livekit() -> None:
    """Its licence holds its VAD and turn detector inside of LiveKit Agents."""
    script = (
        "import sys; import server.cli.asr, server.preflight, server.asr_token, server.recogniser;"
        " sys.exit(any(name.partition('.')[0] == 'livekit' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
