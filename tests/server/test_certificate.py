"""What browsers have against a certificate is said before a candidate sees it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import certificate

from server import preflight
from server.certificate import faults, load
from server.preflight import NotReady
from server.settings import Settings


def said(folder: Path, host: str = "localhost", shift_days: float = 0, **made: Any) -> str:
    cert, _ = certificate(folder, issuer="Somebody", **made).chain
    at = datetime.now(UTC) + timedelta(days=shift_days)
    return " ".join(f"{one.text} {one.to_do}" for one in faults(load(cert.read_bytes()), host, at))


def test_nothing_is_said_against_a_good_one(tmp_path: Path) -> None:
    assert said(tmp_path) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"days": 5}, "expires in 5 days. Renew it."),
        ({"days": -1}, "has expired. Renew it, then restart"),
        ({"days": 400, "shift_days": -1}, "only. Set this machine's clock."),
        ({"host": "jobs.example"}, "is for localhost, 127.0.0.1; candidates open jobs.example."),
        ({"names": (), "host": "viva"}, "is for no name at all"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(
    tmp_path: Path, given: dict[str, Any], expected: str
) -> None:
    assert expected in said(tmp_path, **given)


@pytest.mark.parametrize(
    ("name", "host", "covered"),
    [
        ("jobs.example", "JOBS.example.", True),
        ("*.example", "jobs.example", True),
        ("*.example", "example", False),
        ("*.example", "a.jobs.example", False),
        ("*.0.0.1", "127.0.0.1", False),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("127.0.0.1", "127.0.0.2", False),
    ],
)
def test_names_are_compared_as_browsers_do(
    tmp_path: Path, name: str, host: str, covered: bool
) -> None:
    assert (said(tmp_path, host, names=(name,)) == "") is covered


def test_one_that_phones_cannot_follow_and_one_of_our_own_are_told(tmp_path: Path) -> None:
    alone = load(certificate(tmp_path, issuer="Somebody").cert.read_bytes())
    [fault] = faults(alone, "", datetime.now(UTC))
    assert "fullchain.pem" in fault.to_do and not fault.grave
    ours = load(certificate(tmp_path).cert.read_bytes())
    [fault] = faults(ours, "", datetime.now(UTC))
    assert "vouches for itself" in fault.text and not fault.grave


def chosen(folder: Path, cert: Path, key: Path, **given: Any) -> Settings:
    return Settings(data_dir=folder, tls_cert=cert, tls_key=key, **given)


def test_files_that_are_no_use_stop_the_server_with_what_to_do(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path / "a").files
    other = certificate(tmp_path / "b").key
    locked = certificate(tmp_path / "c", password="secret")
    (tmp_path / "text").write_text("no certificate")
    for files, to_do in (
        ((cert, tmp_path / "nothing"), "Name the files with --tls-cert and --tls-key."),
        ((cert, other), "Give the key that the certificate was made with."),
        (locked.files, "the key has no password"),
        ((tmp_path / "text", key), "Both are PEM files"),
    ):
        with pytest.raises(NotReady) as refused:
            preflight.check_tls(chosen(tmp_path, *files))
        assert to_do in str(refused.value)
        assert str(files[0]) in str(refused.value)


def test_behind_a_proxy_the_name_is_the_proxys_affair(tmp_path: Path) -> None:
    files = certificate(tmp_path, ["inside.lan"], issuer="Somebody").chain
    outside = {"public_url": "https://jobs.example"}
    [fault] = preflight.check_tls(chosen(tmp_path, *files, **outside))
    assert "inside.lan; candidates open jobs.example" in fault.text
    assert (
        preflight.check_tls(chosen(tmp_path, *files, trusted_proxies="127.0.0.1", **outside)) == []
    )
