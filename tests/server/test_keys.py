"""The operator's key: the one that is set, or one that is made once and said where."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from server.api.keys import operator_key
from server.settings import Settings, SettingsError


def with_key(tmp_path: Path, key: str | None = None) -> Settings:
    return Settings(data_dir=tmp_path, api_key=SecretStr(key) if key is not None else None)


def test_without_a_key_one_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    first = operator_key(with_key(tmp_path / "data"))
    assert first.new and first.file == tmp_path / "data" / "api_key"
    assert first.file.stat().st_mode & 0o777 == 0o600
    key = first.file.read_text().strip()
    assert len(key) == 43 and first.matches(key) and not first.matches(key + "x")
    again = operator_key(with_key(tmp_path / "data"))
    assert not again.new and again.hash == first.hash
    assert [one.name for one in (tmp_path / "data").iterdir()] == ["api_key"]


def test_two_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(operator_key, [with_key(tmp_path)] * 4))
    assert len({key.hash for key in made}) == 1
    assert sum(key.new for key in made) == 1


def test_a_key_or_its_hash_can_be_set(tmp_path: Path) -> None:
    key = "a-key-of-an-operator"
    hashed = hashlib.sha256(key.encode()).hexdigest()
    for given in (key, f"sha256:{hashed}"):
        found = operator_key(with_key(tmp_path, given))
        assert found.matches(key) and not found.matches(hashed) and found.file is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["short", "sha256:abc", "sha256:" + "x" * 64])
def test_a_weak_or_broken_key_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(SettingsError, match="at least 16"):
        operator_key(with_key(tmp_path, bad))


def test_a_folder_that_takes_no_key_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be read or made"):
        operator_key(with_key(tmp_path / "file" / "data"))
