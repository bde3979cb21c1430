"""The gateway and its filter in the bounds of the unit that we ship: a real Janus registers at a
real registrar, and both our system calls and its own are restricted as systemd restricts them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bridges import answers_options

from server.rehearsal.phone.ground import PBX, STRANGER, VIVA, Ground, until, why_not
from server.rehearsal.phone.registrar import Registrar
from tests import unit_filter

pytestmark = pytest.mark.phone

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "viva.service"
BRIDGE = """
import asyncio, sys
from server.phone.janus.wiring import janus_bridge
from server.settings import load

async def main(folder, registrar, address):
    bridge = janus_bridge(load(data_dir=folder, phone=True, phone_registrar=registrar,
        phone_user="viva", phone_password="viva-word", phone_address=address))
    await bridge.start()
    await asyncio.sleep(600)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
async def registrar(ground: Ground) -> AsyncIterator[Registrar]:
    if reason := why_not("janus", "kamailio") or unit_filter.why_not():
        pytest.skip(reason)
    made = Registrar(ground, {"viva": "viva-word"}, challenge_calls=False)
    await made.start()
    yield made
    made.stop()


async def test_in_the_units_bounds_the_gateway_registers_and_strangers_are_kept_out(
    ground: Ground, registrar: Registrar
) -> None:
    program = (sys.executable, "-c", BRIDGE, str(ground.folder), PBX, VIVA)
    server = ground.start("env", f"PYTHONPATH={ROOT}", *unit_filter.command(UNIT, *program))
    kept = ground.folder / "janus" / "state.json"
    await until(
        lambda: kept.exists() and '"registered"' in kept.read_text(), 60, lambda: server.said
    )
    # The port may be guarded a moment after the registration is known.
    await until(lambda: json.loads(kept.read_text())["guarded"], what=lambda: server.said)
    state = json.loads(kept.read_text())
    assert state["guarded"] is True, server.said
    (port,) = state["sip_ports"]
    assert await answers_options(PBX, port)
    assert not await answers_options(STRANGER, port)
