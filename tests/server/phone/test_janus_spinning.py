"""A gateway that loses its mind, through the whole bridge: a program of its own that spins, and a
real Janus that is made to.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from bridges import account, janus_pid, ready, registered
from calls_in import Desk
from spinning_janus import install

from server.phone.accounts import Account
from server.phone.bridge import GATEWAY_LOST, HungUp
from server.phone.janus import health, process, sip
from server.phone.janus.bridge import JanusBridge
from server.phone.janus.gateway import OwnJanus
from server.rehearsal.phone.ground import Ground, until
from server.rehearsal.phone.registrar import Registrar

ACCOUNT = Account("main", "viva", "192.0.2.5", password="hush-hush")
WITHIN_S = 60.0
SPINS_WITHIN_S = 45.0


async def towards() -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "BUSY", 0.1)  # of a core that others may want, too
    monkeypatch.setattr(health, "SPINNING_S", 1.5)
    monkeypatch.setattr(process, "LOOK_EVERY_S", 0.5)


async def test_a_gateway_that_spins_is_started_again_and_takes_calls(tmp_path: Path) -> None:
    desk = Desk()
    program = install(tmp_path / "usr")
    own = OwnJanus(tmp_path / "janus", (22000, 22099), named=str(program), towards=towards)
    bridge = JanusBridge([ACCOUNT], own, lines=2)
    bridge.on_call(desk)
    await bridge.start()
    try:
        await until(lambda: desk.calls, WITHIN_S, lambda: str(bridge.state))
        await until(lambda: bridge.state.state == "down", WITHIN_S, lambda: str(bridge.state))
        assert "kept a core busy" in bridge.state.reason
        assert desk.events[0][-1] == HungUp(0, GATEWAY_LOST)
        await until(lambda: len(desk.calls) == 2, WITHIN_S, lambda: str(bridge.state))
        assert bridge.state.restarts == 1 and bridge.accounts["main"].state == "registered"
    finally:
        await bridge.stop()


@pytest.mark.phone
async def test_a_real_janus_that_spins_is_started_again_and_takes_calls(
    ground: Ground, pbx: Registrar
) -> None:
    """Over the name of a host, which it then looks for itself: so none is given to it."""
    desk = Desk()
    async with registered(ground.folder, desk) as made:
        first = janus_pid(ground.folder)
        session = made._of["main"].session
        handle = await session.attach(lambda message: None)
        await handle.tell(sip.register(account(), "pbx.nowhere.test"))
        try:
            await until(lambda: made.state.restarts, SPINS_WITHIN_S)
        except TimeoutError:
            pytest.skip("Where a resolver answers at once Janus does not spin over a name.")
        assert made.state.reason, made.state
        await ready(made)
        assert janus_pid(ground.folder) != first
