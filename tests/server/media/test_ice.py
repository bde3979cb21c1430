"""Where media may arrive."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCPeerConnection

from server.media import ice
from server.media.errors import HookMissing, PortsExhausted
from server.media.ice import IceSettings, PortRange
from server.media.turn import TurnServer


@pytest.fixture
async def connection() -> AsyncIterator[RTCPeerConnection]:
    made = RTCPeerConnection(ice.configuration(IceSettings()))
    made.addTransceiver("audio")
    yield made
    await made.close()


async def candidates(connection: RTCPeerConnection, settings: IceSettings) -> list[tuple[str, int]]:
    ice.prepare(connection, settings)
    await connection.setLocalDescription(await connection.createOffer())
    lines = [x for x in connection.localDescription.sdp.splitlines() if "candidate:" in x]
    return [(line.split()[4], int(line.split()[5])) for line in lines]


async def test_loopback_is_offered_after_every_real_interface(
    connection: RTCPeerConnection,
) -> None:
    hosts = [host for host, _ in await candidates(connection, IceSettings())]
    assert hosts.count("127.0.0.1") == 1
    lines = [x for x in connection.localDescription.sdp.splitlines() if "candidate:" in x]
    by_priority = sorted(lines, key=lambda line: int(line.split()[3]))
    assert by_priority[0].split()[4] == "127.0.0.1"


async def test_loopback_can_be_left_out(connection: RTCPeerConnection) -> None:
    found = await candidates(connection, IceSettings(loopback=False))
    assert "127.0.0.1" not in [host for host, _ in found]


async def test_ports_stay_in_the_range(connection: RTCPeerConnection) -> None:
    found = await candidates(connection, IceSettings(ports=PortRange(42100, 42150)))
    assert found
    assert all(42100 <= port <= 42150 for _, port in found)


async def test_an_occupied_range_is_named(connection: RTCPeerConnection) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 42170))
        with pytest.raises(PortsExhausted, match="42170-42170 is occupied"):
            await candidates(connection, IceSettings(ports=PortRange(42170, 42170)))


async def test_the_outside_address_stands_in_for_this_machines(
    connection: RTCPeerConnection,
) -> None:
    settings = IceSettings(media_ip="203.0.113.7", ipv6=False)
    ice.prepare(connection, settings)
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    hosts = {x.split()[4] for x in sdp.splitlines() if "candidate:" in x}
    assert hosts <= {"203.0.113.7", "127.0.0.1"}
    bound = {protocol.local_candidate.host for protocol in ice.protocols(connection)}
    assert "203.0.113.7" not in bound


def test_no_server_is_asked_unless_set() -> None:
    assert ice.configuration(IceSettings()).iceServers == []
    both = IceSettings(
        stun="stun:192.0.2.1:3478", turn=TurnServer(("turn:192.0.2.1",), "user", "secret")
    )
    assert [s.urls for s in ice.configuration(both).iceServers] == [
        "stun:192.0.2.1:3478",
        "turn:192.0.2.1",
    ]


@pytest.mark.parametrize("text", ["", "40000", "a-b", "40000-", "50000-40000", "0-10", "1-70000"])
def test_a_malformed_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        PortRange.parse(text)


def test_a_range_is_read_as_written() -> None:
    assert PortRange.parse("40000-40100") == PortRange(40000, 40100)
    assert str(PortRange(1, 2)) == "1-2"


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"example\.org"):
        IceSettings(media_ip="example.org")


async def test_another_aioice_is_noticed() -> None:
    class Stranger:
        get_component_candidates = None

    class Transport:
        transport = None

    stranger = Stranger()
    transport = Transport()
    transport.transport = type(
        "Ice", (), {"iceGatherer": type("Gatherer", (), {"_connection": stranger})}
    )
    fake = type("Connection", (), {})()
    receiver = type("Receiver", (), {"transport": transport})
    fake.getTransceivers = lambda: [type("Transceiver", (), {"receiver": receiver})]
    fake.sctp = None
    with pytest.raises(HookMissing, match="pin aioice"):
        ice.prepare(fake, IceSettings())
