"""Which sockets of a gateway are SIP's: by a child that opens them as Janus does, and the kernel's
own filter on them.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from server.phone.janus import doors
from server.phone.janus.doorkeeper import IP_RECVERR, NotGuarded, ports_of
from server.phone.janus.doors import SipDoors

GATEWAY = f"""
import socket, sys
def opened(told):
    one = socket.socket(type=socket.SOCK_DGRAM)
    one.setsockopt(socket.IPPROTO_IP, {IP_RECVERR}, told)
    one.bind(("127.0.0.1", 0))
    return one
held = {{}}
for line in sys.stdin:
    word, number = line.split()
    if word == "close":
        held.pop(int(number)).close()
        print(0, flush=True)
    elif word == "hear":
        print(held[int(number)].recvfrom(99)[1][0], flush=True)
    else:
        one = opened(word == "sip")
        held[one.getsockname()[1]] = one
        print(one.getsockname()[1], flush=True)
"""
REGISTRAR, STRANGER = "127.0.0.5", "127.0.0.6"


class Gateway:
    """A child that opens and closes sockets when told to."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process, self.pid = process, process.pid

    def asks(self, word: str, number: int = 0) -> str:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{word} {number}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def opens(self, kind: str) -> int:
        """`sip` or `sound`; the port."""
        return int(self.asks(kind))

    def hears_first(self, port: int) -> str:
        """Whose packet comes through first: the stranger's is sent first."""
        for sender in (STRANGER, REGISTRAR):
            with socket.socket(type=socket.SOCK_DGRAM) as one:
                one.bind((sender, 0))
                one.sendto(b"x", ("127.0.0.1", port))
        return self.asks("hear", port)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", GATEWAY], **pipes) as process:  # type: ignore[call-overload]  # passed on
        made = Gateway(process)
        made.opens("sound")
        try:
            ports_of(made.pid)
        except NotGuarded as error:
            pytest.skip(f"no filter here: {error}")
        yield made
        process.kill()


async def registers(kept: SipDoors, gateway: Gateway, *kinds: str) -> list[int]:
    """The ports that come into being meanwhile."""
    await kept.before()
    ports = [gateway.opens(kind) for kind in kinds]
    await kept.after("main", [REGISTRAR])
    return ports


async def test_the_port_of_every_handle_that_registers_is_kept_from_strangers(
    gateway: Gateway,
) -> None:
    kept = SipDoors()
    kept.begin(gateway.pid)
    (first,) = await registers(kept, gateway, "sip")
    assert (kept.ports, kept.guarded) == ({first}, True)
    gateway.asks("close", first)  # its master was taken away
    (second,) = await registers(kept, gateway, "sip")
    assert (kept.ports, kept.guarded) == ({second}, True)
    assert gateway.hears_first(second) == REGISTRAR
    await registers(kept, gateway)  # the same handle once more, with no new port
    assert (kept.ports, kept.guarded) == ({second}, True)


async def test_sound_of_a_call_that_begins_meanwhile_is_not_cut_off(gateway: Gateway) -> None:
    kept = SipDoors()
    kept.begin(gateway.pid)
    sip, sound = await registers(kept, gateway, "sip", "sound")
    (later,) = await registers(kept, gateway, "sound")
    assert kept.ports == {sip}
    assert gateway.hears_first(sound) == gateway.hears_first(later) == STRANGER
    assert gateway.hears_first(sip) == REGISTRAR


async def test_a_gateway_that_does_not_mark_its_sockets_is_guarded_all_the_same(
    gateway: Gateway,
) -> None:
    kept = SipDoors()
    kept.begin(gateway.pid)
    (port,) = await registers(kept, gateway, "sound")
    assert (kept.ports, kept.guarded) == ({port}, True)


async def test_a_port_that_is_gone_or_cannot_be_seen_is_not_said_to_be_guarded(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = SipDoors()
    kept.begin(gateway.pid)
    (port,) = await registers(kept, gateway, "sip")
    gateway.asks("close", port)
    await registers(kept, gateway)
    assert (kept.ports, kept.guarded) == (set(), False)

    def forbidden(pid: int) -> dict[int, bool]:
        raise NotGuarded("the kernel does not lend its sockets")

    monkeypatch.setattr(doors, "ports_of", forbidden)
    await registers(kept, gateway, "sip")
    monkeypatch.undo()
    await kept.after("main", [REGISTRAR])  # what was there before is not known
    assert (kept.ports, kept.guarded) == (set(), False)
