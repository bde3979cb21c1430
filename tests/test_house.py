"""The house stands by itself: our packages are ours alone, the wheel holds what it must, the lock
names no address.
"""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"agent", "asr", "tts", "server", "web", "prompts"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The names in a wheel built from this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = out.glob("*.whl")
    return zipfile.ZipFile(file).namelist()


def test_no_other_distribution_provides_our_top_level_packages() -> None:
    providers = packages_distributions()
    foreign = {
        package: [name for name in providers.get(package, []) if name != "viva-interviewer"]
        for package in PACKAGES
    }
    assert not any(foreign.values()), foreign


def test_the_wheel_holds_our_packages_and_no_tests(wheel: list[str]) -> None:
    tops = {name.split("/")[0] for name in wheel if ".dist-info" not in name}
    assert tops == PACKAGES


@pytest.mark.parametrize(
    "needed",
    [
        r"asr/rehearsal/model/model\.bin",
        r"prompts/en/lines\.md",
        r"prompts/zh/interviewer\.md",
        r"prompts/plans/backend_engineer_en\.yaml",
        r"server/store/migrations/.*\.py",
    ],
)
def test_the_wheel_holds_what_is_no_code(wheel: list[str], needed: str) -> None:
    assert any(re.fullmatch(needed, name) for name in wheel), needed


def test_the_lock_pins_everything_by_hash_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    pinned = re.findall(r"(?m)^([a-z0-9-]+)(\[[a-z,]+\])?==", lock)
    assert len(pinned) > 100
    entries = re.split(r"(?m)^(?=[a-z0-9-]+(?:\[[a-z,]+\])?==)", lock)[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


def test_what_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text())
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_each_module_opens_with_a_sentence() -> None:
    """House style: a file says first what it is."""
    silent = [
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if not file.read_text(encoding="utf-8").lstrip().startswith('"""')
    ]
    assert not silent
