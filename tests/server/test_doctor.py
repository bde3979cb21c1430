"""The doctor says what is wrong, and what to do about it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server import doctor
from server.doctor import Finding
from server.rehearsal import model
from server.settings import Settings


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
        _, finding = await found(doctor._ports, healthy(tmp_path, media_ports=f"{port}-{port}"))
        assert finding.state == "bad" and "0 of 1 UDP ports" in finding.text


@pytest.mark.parametrize(
    ("days", "state"), [(90, "ok"), (5, "note"), (-5, "bad")], ids=["good", "soon", "expired"]
)
async def test_a_certificates_last_day_is_told(tmp_path: Path, days: int, state: str) -> None:
    cert, key = certificate(tmp_path, days)
    [finding] = await found(doctor._tls, healthy(tmp_path, tls_cert=cert, tls_key=key))
    assert finding.state == state


async def test_a_microphone_needs_tls_on_a_network(tmp_path: Path) -> None:
    [finding] = await found(doctor._tls, healthy(tmp_path, host="0.0.0.0"))
    assert finding.state == "bad" and "VIVA_TLS_CERT" in finding.to_do
    behind = healthy(tmp_path, host="0.0.0.0", public_url="https://jobs.example")
    [finding] = await found(doctor._tls, behind)
    assert finding.state == "ok"


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


def certificate(folder: Path, days: int) -> tuple[Path, Path]:
    """A self-signed certificate that ends in so many days."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(end - timedelta(days=365))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files
