"""The doctor says what is wrong, and what to do about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import certificate

from server import doctor
from server.doctor import Finding
from server.rehearsal import model
from server.settings import Settings, usable


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VIVA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def model_url() -> Iterator[str]:
    with model.serving(seed=0) as url:
        yield url


def healthy(tmp_path: Path, **given: object) -> Settings:
    return Settings.model_validate(
        {
            "data_dir": tmp_path / "data",
            "asr_model": "rehearsal",
            "privacy": "local",
            "port": 0,
            "model_url": "http://127.0.0.1:9/v1",
            "min_free_mb": 0,
            **given,
        }
    )


async def found(check: doctor.Check, settings: Settings) -> list[Finding]:
    return [one async for one in check(settings)]


async def test_a_machine_that_is_ready_has_nothing_bad(tmp_path: Path, model_url: str) -> None:
    settings = healthy(tmp_path, model_url=model_url, model=model.NAME)
    findings = await doctor.examine(settings)
    assert [one for one in findings if one.state == "bad"] == []
    told = {one.name: one for one in findings}
    assert "moves will be asked for by tools" in told["model"].text
    assert told["embedded voice (en)"].state == told["embedded voice (zh)"].state == "ok"
    assert told["speech model"].state == "note"  # for the rehearsal only
    assert told["privacy"].text == "Nothing leaves this machine."


async def test_settings_that_do_not_fit_are_findings_and_the_rest_is_checked(
    tmp_path: Path,
) -> None:
    given = healthy(tmp_path).model_dump(
        include={"data_dir", "asr_model", "privacy", "min_free_mb"}
    )
    found = usable(**given, model_url="http://gpu.lan/v1", tls_cert=tmp_path / "cert.pem")
    findings = await doctor.examine(found.settings, found.faults, found.left_out)
    tls, outside, note, *rest = findings
    assert [one.state for one in (tls, outside, note)] == ["bad", "bad", "note"]
    assert "tls_cert and tls_key" in tls.text and "VIVA_MODEL_URL names gpu.lan" in outside.text
    assert "VIVA_MODEL_URL, VIVA_TLS_CERT, VIVA_TLS_KEY" in note.text
    names = {one.name for one in rest}
    assert {"settings", "disk", "database", "embedded voice (en)"} <= names
    assert names.isdisjoint({"model", "privacy", "address", "web port", "TLS"})
    assert [one for one in rest if one.state == "bad"] == []


async def test_a_model_that_does_not_answer_is_said_with_what_follows(tmp_path: Path) -> None:
    [finding] = await found(doctor._model, healthy(tmp_path))
    assert finding.state == "bad"
    assert "does not answer" in finding.text and "VIVA_MODEL_URL" in finding.to_do


async def test_a_proxy_of_the_environment_is_not_asked_in_local_mode(
    tmp_path: Path, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    [finding] = await found(doctor._model, healthy(tmp_path, model_url=model_url, model=model.NAME))
    assert finding.state == "ok"


async def test_a_mode_that_the_server_does_not_enforce_is_said(
    tmp_path: Path, model_url: str
) -> None:
    settings = healthy(tmp_path, model_url=model_url, model=model.NAME, model_mode="json_schema")
    [finding] = await found(doctor._model, settings)
    assert finding.state == "bad" and "enforces tools" in finding.text


async def test_a_speech_model_that_is_missing_names_the_command(tmp_path: Path) -> None:
    [finding] = await found(doctor._hearing, healthy(tmp_path, asr_model="small"))
    assert finding.state == "bad" and "viva models fetch small" in finding.text


async def test_a_name_that_is_no_voices_is_said(tmp_path: Path) -> None:
    settings = healthy(tmp_path, privacy="network", voice_zh="Xiaoxiao")
    [finding] = await found(doctor._voices, settings)
    assert finding.state == "bad" and "VIVA_VOICE_ZH is 'Xiaoxiao'" in finding.text


async def test_too_little_disk_and_a_key_that_others_read_are_said(tmp_path: Path) -> None:
    settings = healthy(tmp_path, min_free_mb=1 << 40)
    settings.data_dir.mkdir()
    (settings.data_dir / "api_key").write_text("x")
    (settings.data_dir / "api_key").chmod(0o644)
    disk, key = await found(doctor._data, settings)
    assert (disk.name, disk.state) == ("disk", "bad")
    assert (key.name, key.state) == ("API key", "bad") and "chmod 600" in key.to_do


async def test_a_database_that_is_damaged_is_said(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    settings.data_dir.mkdir()
    (settings.data_dir / "viva.sqlite3").write_bytes(b"no database at all " * 99)
    [finding] = await found(doctor._database, settings)
    assert finding.state == "bad" and "damaged" in finding.text


async def test_a_desk_without_a_password_is_noted(tmp_path: Path) -> None:
    settings = healthy(tmp_path)
    settings.data_dir.mkdir()
    database, desk = await found(doctor._database, settings)
    assert (database.state, desk.state) == ("ok", "note") and "viva password" in desk.to_do


async def test_ports_that_are_taken_are_told_from_our_own_server(tmp_path: Path, url: str) -> None:
    [finding] = await found(doctor._ports, healthy(tmp_path, port=int(url.partition(":")[2])))
    assert finding.state == "ok" and "A Viva server answers" in finding.text
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        [finding] = await found(doctor._ports, healthy(tmp_path, port=other.getsockname()[1]))
        assert finding.state == "bad" and "--port" in finding.text
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        port = other.getsockname()[1]
        [finding] = await found(doctor._media, healthy(tmp_path, media_ports=f"{port}-{port}"))
        assert finding.state == "bad" and "0 of 1 UDP ports" in finding.text


@pytest.mark.parametrize(
    ("days", "state"), [(90, "ok"), (5, "note"), (-5, "bad")], ids=["good", "soon", "expired"]
)
async def test_a_certificates_last_day_is_told(tmp_path: Path, days: int, state: str) -> None:
    cert, key = certificate(tmp_path, days=days, issuer="Somebody").chain
    settings = healthy(tmp_path, tls_cert=cert, tls_key=key, host="localhost", port=1)
    [finding] = await found(doctor._tls, settings)
    assert finding.state == state


async def test_a_key_that_others_read_is_said(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path).files
    key.chmod(0o644)
    *_, finding = await found(doctor._tls, healthy(tmp_path, tls_cert=cert, tls_key=key))
    assert finding.state == "bad" and "chmod 600" in finding.to_do


@pytest.mark.parametrize(
    ("given", "state", "said"),
    [
        ({"port": 1}, "ok", "Candidates open http://127.0.0.1:1"),
        ({}, "note", "port 0"),
        ({"host": "0.0.0.0", "port": 1}, "bad", "no browser can open 0.0.0.0"),
        ({"host": "10.0.0.7", "port": 1}, "bad", "VIVA_TLS_CERT"),
        ({"public_url": "http://jobs.example"}, "note", "VIVA_TLS_CERT"),
    ],
)
async def test_an_address_without_a_microphone_is_said(
    tmp_path: Path, given: dict[str, object], state: str, said: str
) -> None:
    finding, *_ = await found(doctor._address, healthy(tmp_path, **given))
    assert (finding.name, finding.state) == ("address", state)
    assert said in finding.text


async def test_a_proxy_that_is_not_named_is_said(tmp_path: Path) -> None:
    behind = {"host": "0.0.0.0", "public_url": "https://jobs.example"}
    findings = await found(doctor._address, healthy(tmp_path, **behind))
    # With privacy=local nothing is asked, not even our own address.
    assert [one.name for one in findings] == ["address", "proxy", "public address"]
    assert findings[1].state == "bad" and "--trusted-proxies" in findings[1].to_do
    named = healthy(tmp_path, trusted_proxies="127.0.0.1", **behind)
    assert [one.name for one in await found(doctor._address, named)] == [
        "address",
        "public address",
    ]


async def test_the_public_address_is_tried_with_its_socket(tmp_path: Path, url: str) -> None:
    """`localhost` stands for a proxy: what matters is who answers there."""
    port = url.partition(":")[2]
    settings = healthy(tmp_path, public_url=f"http://localhost:{port}", privacy="network")
    [_, finding] = await found(doctor._address, settings)
    assert (finding.state, finding.name) == ("ok", "public address")
    assert "Page and WebSocket are reached" in finding.text
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = f"http://localhost:{nobody.getsockname()[1]}"
        settings = healthy(tmp_path, public_url=gone, privacy="network")
        [_, finding] = await found(doctor._address, settings)
        assert finding.state == "note" and "cannot be opened from here" in finding.text


async def test_another_server_at_the_public_address_is_noticed(
    tmp_path: Path, model_url: str
) -> None:
    settings = healthy(tmp_path, public_url=model_url.removesuffix("/v1"), privacy="network")
    [_, finding] = await found(doctor._address, settings)
    assert finding.state == "bad" and "is no Viva server" in finding.text


async def test_media_that_no_other_network_can_send_is_said(tmp_path: Path) -> None:
    def public(**given: object) -> Settings:
        return healthy(tmp_path, public_url="https://jobs.example", **given)

    assert await found(doctor._media, healthy(tmp_path)) == []
    ports, address = await found(doctor._media, public(media_ip="10.0.0.7"))
    assert ports.state == "note" and "VIVA_MEDIA_PORTS" in ports.to_do
    assert address.state == "note" and "VIVA_MEDIA_IP" in address.to_do
    ranged = {"media_ports": "43100-43110"}
    _, address = await found(doctor._media, public(media_ip="8.8.8.8", **ranged))
    assert address == Finding("media address", "ok", "Media comes to 8.8.8.8.")
    relay = {"turn_url": "turn:127.0.0.1", "turn_secret": "s"}
    _, address = await found(doctor._media, public(media_ip="10.0.0.7", **ranged, **relay))
    assert address.state == "ok" and "by the relay" in address.text


async def test_what_leaves_the_machine_is_named(tmp_path: Path) -> None:
    trusting = healthy(
        tmp_path, model_url="http://gpu.example/v1", trusted_hosts="gpu.example, db.example"
    )
    [finding] = await found(doctor._privacy, trusting)
    assert finding.state == "note"
    assert "save to gpu.example, db.example" in finding.text
    open_ = healthy(tmp_path, model_url="http://gpu.example/v1", privacy="network")
    [finding] = await found(doctor._privacy, open_)
    assert finding.state == "note"
    assert "Microsoft" in finding.text and "gpu.example" in finding.text


async def test_a_misspelt_variable_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVA_MODLE", "x")
    [finding] = await found(doctor._variables, healthy(tmp_path))
    assert finding.state == "note" and "VIVA_MODLE" in finding.text
