"""What we ship for an operator's machine is what the programs there take."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server import microphone_url
from server.settings import Settings, load
from tests import unit_filter

ROOT = Path(__file__).parents[1]
UNIT = ROOT / "deploy" / "systemd" / "viva.service"
ENV = UNIT.with_suffix(".env")
SHIPPED = [file for file in (ROOT / "deploy").rglob("*") if file.is_file()]
MOST_EXPOSED = 2.5
"""systemd's measure from 0 to 10: 9.6 for a service that asks for nothing."""
GUARDS_A_CHILD = """
import subprocess, sys
from server.phone.janus.doorkeeper import Network, NotGuarded, guard, ports_of
OPENS_A_PORT = (
    "import socket, time; one = socket.socket(type=socket.SOCK_DGRAM); one.bind(('127.0.0.1', 0));"
    "print(one.getsockname()[1], flush=True); time.sleep(600)"
)
command = ("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-c", OPENS_A_PORT)
with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
    port = int(child.stdout.readline())
    try:
        assert set(ports_of(child.pid)) == {port}
        guard(child.pid, [Network("192.0.2.1")], {port})
        print("guarded")
    except NotGuarded as error:
        print(error)
    child.kill()
"""
"""As the telephone does with its gateway: `server.phone.janus.doorkeeper`."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, with a program that exists here."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text, count = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    assert count == 1
    file = tmp_path / UNIT.name
    file.write_text(text)
    return file


def test_systemd_takes_the_unit(unit: Path) -> None:
    done = analyse("verify", "--man=no", str(unit))
    about_it = [line for line in done.stderr.splitlines() if unit.name in line]
    assert (done.returncode, about_it) == (0, []), done.stderr


def test_the_unit_leaves_the_server_little_to_do_harm_with(unit: Path) -> None:
    done = analyse("security", "--offline=true", "--no-pager", str(unit))
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot judge a file")
    found = re.search(r"Overall exposure level for viva.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    assert float(found[1]) <= MOST_EXPOSED


def guards_a_child(unit: Path | None = None) -> str:
    """What comes of it, in the bounds of a unit."""
    program = [sys.executable, "-c", GUARDS_A_CHILD]
    program = unit_filter.command(unit, *program) if unit else program
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_unit_lets_the_server_keep_strangers_from_the_sip_port(tmp_path: Path) -> None:
    if reason := unit_filter.why_not() or guards_a_child().removeprefix("guarded\n"):
        pytest.skip(reason)
    assert guards_a_child(UNIT) == "guarded\n"
    narrower = tmp_path / UNIT.name
    narrower.write_text(UNIT.read_text().replace(" pidfd_getfd\n", "\n"))
    assert "Operation not permitted" in guards_a_child(narrower), "so the filter is a filter"


@pytest.mark.parametrize("commented", [False, True])
def test_the_settings_that_are_shipped_are_settings(
    commented: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that are in force; and the others with them."""
    for name in [name for name in os.environ if name.startswith("VIVA_")]:
        monkeypatch.delenv(name)
    mark = "#?" if commented else ""
    given = dict(re.findall(rf"(?m)^{mark}(VIVA_\w+)=(.*)$", ENV.read_text()))
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    chosen = load()
    assert chosen.base_url == "https://interviews.example.org"
    assert (chosen.tls_cert is not None) is commented
    assert microphone_url.refusal(chosen.base_url) == ""


def test_the_command_that_is_shipped_is_a_script() -> None:
    subprocess.run(["sh", "-n", UNIT.with_name("viva")], check=True)


def test_what_is_shipped_names_only_settings_that_there_are() -> None:
    known = {f"VIVA_{name.upper()}" for name in Settings.model_fields}
    named = {
        name for file in SHIPPED for name in re.findall(r"VIVA_[A-Z_]*[A-Z]", file.read_text())
    }
    assert named and named <= known


def test_what_is_shipped_is_explained() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text() + (
        ROOT / "docs" / "model.md"
    ).read_text()
    for file in SHIPPED:
        assert str(file.relative_to(ROOT)) in manual, file


def analyse(*what: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *what], capture_output=True, text=True)
