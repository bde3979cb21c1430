"""VIVA_PHONE is the one setting that every command reads; where it is missing, each says so."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server import cli, doctor, preflight, wiring
from server.settings import load

PLAN = Path(__file__).parents[3] / "prompts" / "plans" / "rehearsal_en.yaml"
CALL = ("phone", "call", "--interview", "nobody", "--to", "+49301234567")
SERVE = ("serve", "--port", "0", "--asr-model", "rehearsal", "--voice", "espeak")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def telephone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All but VIVA_PHONE."""
    for name in [name for name in os.environ if name.startswith("VIVA_")]:
        monkeypatch.delenv(name)
    given = {
        "DATA_DIR": str(tmp_path),
        "PHONE_REGISTRAR": "127.0.0.1:9",
        "PHONE_USER": "viva",
        "PHONE_NUMBER": "4711",
        "PHONE_CALL_PREFIXES": "+49",
        "PHONE_JANUS": str(tmp_path / "janus.sock"),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"VIVA_{name}", value)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`viva …` in this process: exit code, output, errors."""

    def viva(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["viva", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return (ended.value.code if isinstance(ended.value.code, int) else 0), out, err

    return viva


def told() -> list[doctor.Finding]:
    async def all_of_it() -> list[doctor.Finding]:
        return [one async for one in doctor._phone(load())]

    return asyncio.run(all_of_it())


def test_without_it_every_command_says_what_is_missing(run: Run) -> None:
    code, out, err = run("invite", str(PLAN))
    assert (code, "PIN" in out) == (0, False)
    assert "No PIN." in err and "VIVA_PHONE=true" in err
    code, _, err = run(*CALL)
    assert (code, "VIVA_PHONE=true" in err, "PREFIXES" in err) == (1, True, False)
    [found] = told()
    assert (found.name, found.state) == ("phone", "note") and "VIVA_PHONE=true" in found.text


def test_with_it_there_is_a_pin_a_call_and_a_doctor_for_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIVA_PHONE", "true")
    code, out, _ = run("invite", str(PLAN))
    assert code == 0 and re.search(r"By telephone at 4711: PIN \d", out)
    assert "no interview nobody" in run(*CALL)[2]
    assert {"gateway", "registrar", "phone"} <= {one.name for one in told()}


def test_where_nothing_of_a_telephone_is_set_nothing_is_said_of_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIVA_PHONE_REGISTRAR")
    assert "PHONE" not in "".join(map(str, run("invite", str(PLAN))))
    assert told() == []
    assert "VIVA_PHONE=true" in run(*CALL)[2]


@pytest.mark.parametrize("everywhere", [False, True])
def test_a_server_that_alone_has_the_telephone_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch, everywhere: bool
) -> None:
    if everywhere:
        monkeypatch.setenv("VIVA_PHONE", "true")
    served: list[bool] = []
    monkeypatch.setattr(wiring, "serve", lambda chosen: served.append(chosen.phone))
    monkeypatch.setattr(preflight, "check_hearing", lambda chosen: None)
    code, _, err = run(*SERVE, "--phone")
    assert (code, served) == (0, [True]), err
    assert ("--phone is this server's alone" in err) is not everywhere
