"""What `viva doctor` says of the telephone, from the state that the server keeps."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from server.phone.bridge import AccountState, GatewayState
from server.phone.janus import examine, wiring
from server.rehearsal.phone.ground import until
from server.settings import Settings, load

SINCE = datetime(2026, 3, 4, 12, tzinfo=UTC)
FAILED = AccountState("failed", SINCE, "The registrar does not answer.")
UP = GatewayState("up", accounts={"phone": FAILED})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(
        data_dir=tmp_path,
        phone=True,
        phone_registrar="127.0.0.1:9",
        phone_user="viva",
        phone_janus=str(tmp_path / "janus.sock"),
    )


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine, "ANSWER_S", 0.05)


def keep(settings: Settings, text: str) -> None:
    file = wiring.folder_of(settings) / wiring.STATE_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)


async def told(settings: Settings) -> dict[str, tuple[str, str]]:
    return {one.name: (one.state, one.text) async for one in examine.examine(settings)}


async def test_where_no_server_runs_nothing_is_known_of_the_registration(
    settings: Settings,
) -> None:
    said = await told(settings)
    assert said["phone"][0] == "note" and "does not run" in said["phone"][1]
    assert said["registrar"][0] == "note" and "registration" not in said


async def test_a_registration_that_failed_is_said_with_its_reason(settings: Settings) -> None:
    keep(settings, wiring.as_json(UP))
    said = await told(settings)
    assert said["registration"][0] == "bad"
    assert "phone is failed since 2026-03-04" in said["registration"][1]
    assert "does not answer" in said["registration"][1]
    assert said["SIP port"][0] == "note", "no port is known"


async def test_a_gateway_that_is_down_is_said(settings: Settings) -> None:
    keep(settings, wiring.as_json(GatewayState("down", "it was ended by SIGKILL")))
    assert (await told(settings))["phone"] == (
        "bad",
        "The gateway is down: it was ended by SIGKILL.",
    )


@pytest.mark.parametrize(
    "text",
    [
        wiring.as_json(UP).replace('"born": ', '"born": 1'),  # its number is another's by now
        wiring.as_json(GatewayState("stopped")),
        json.dumps({"state": "up", "server": 7}),
        "[]",
        "{",
    ],
    ids=["a server that was killed", "stopped", "strange", "a list", "cut"],
)
async def test_what_an_earlier_server_left_is_not_taken_for_now(
    settings: Settings, text: str
) -> None:
    keep(settings, text)
    assert "does not run" in (await told(settings))["phone"][1]


async def test_the_last_state_is_kept_though_the_loop_ends(tmp_path: Path) -> None:
    """A gateway that cannot be started stops the server, whose loop then gives no thread more."""
    kept = wiring.StateFile(tmp_path / "state.json")
    await asyncio.get_running_loop().shutdown_default_executor()
    kept(GatewayState("failed", "It is no Janus."))
    await until((tmp_path / "state.json").exists)
    assert json.loads((tmp_path / "state.json").read_text())["reason"] == "It is no Janus."
