"""Where media may arrive: loopback, a port range, an address in front of a NAT, STUN and TURN.

aioice gathers no loopback candidate, takes any port and knows no outside address; aiortc asks a
public STUN server unless told otherwise. `configuration` names only the servers of the settings
(none by default), and `prepare` replaces, on one connection's own gatherers, the method that
binds sockets. Nothing global is changed. Private names used: `RTCIceGatherer._connection`,
`aioice.Connection.get_component_candidates` and `._protocols`, `aioice.ice.StunProtocol`.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import random
import socket
from collections.abc import Iterator
from dataclasses import dataclass

from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol, server_reflexive_candidate
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.rtcconfiguration import RTCBundlePolicy, RTCIceTransportPolicy

from server.media.errors import HookMissing, PortsExhausted
from server.media.turn import SERVERS_NAME, TurnServer

logger = logging.getLogger(__name__)

_GATHER = "get_component_candidates"
LOOPBACK = "127.0.0.1"
RECEIVE_BUFFER = 1 << 20
LOOPBACK_PREFERENCE = 1
"""Below every real interface (RFC 8445 5.1.2.1)."""


@dataclass(frozen=True)
class PortRange:
    """UDP ports first..last, both included."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """From `A-B`, as written on the command line."""
        first, dash, last = text.partition("-")
        if not (dash and first.strip().isdecimal() and last.strip().isdecimal()):
            raise ValueError(f"a port range is written A-B, such as 40000-40100, not {text!r}")
        return cls(int(first), int(last))

    def __post_init__(self) -> None:
        if not 0 < self.first <= self.last <= 65535:
            raise ValueError(f"ports {self} must lie in 1-65535, the lower one first")

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def shuffled(self) -> Iterator[int]:
        return iter(random.sample(range(self.first, self.last + 1), self.last - self.first + 1))


@dataclass(frozen=True)
class IceSettings:
    """How media finds its way; the defaults reach this machine and its networks, and ask no one."""

    ports: PortRange | None = None
    media_ip: str | None = None
    """The address to offer in place of this machine's own ones, behind a 1:1 NAT."""
    loopback: bool = True
    ipv6: bool = True
    stun: str | None = None
    """Such as `stun:stun.example.org:3478`."""
    turn: TurnServer | None = None
    relay_only: bool = False
    """Whatever arrives comes by way of the TURN server: how it is tried out."""

    def __post_init__(self) -> None:
        if self.media_ip is not None:
            ipaddress.ip_address(self.media_ip)  # a ValueError that names it


def configuration(settings: IceSettings, at: float = 0.0) -> RTCConfiguration:
    """For an `RTCPeerConnection` that is made at this Unix time: never aiortc's default servers."""
    servers = []
    if settings.stun is not None:
        servers.append(RTCIceServer(settings.stun))
    if settings.turn is not None:
        username, password = settings.turn.credentials(SERVERS_NAME, at)
        url = settings.turn.urls[0]
        servers.append(RTCIceServer(url, username=username, credential=password))
    policy = RTCIceTransportPolicy.RELAY if settings.relay_only else RTCIceTransportPolicy.ALL
    return RTCConfiguration(
        iceServers=servers, iceTransportPolicy=policy, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
    )


def prepare(connection: RTCPeerConnection, settings: IceSettings) -> None:
    """Make every gatherer of the connection bind as the settings say; before it gathers."""
    for ice in _connections(connection):
        gather = _Gather(ice, settings)
        if not callable(getattr(ice, _GATHER, None)):
            raise HookMissing("aioice's connection cannot be told where to bind; pin aioice")
        setattr(ice, _GATHER, gather.candidates)


def protocols(connection: RTCPeerConnection) -> list[StunProtocol]:
    """The sockets of a connection, as aioice wraps them."""
    return [protocol for ice in _connections(connection) for protocol in ice._protocols]


def _connections(connection: RTCPeerConnection) -> list[Connection]:
    transports = [t.receiver.transport for t in connection.getTransceivers()]
    if connection.sctp is not None:
        transports.append(connection.sctp.transport)
    found = {id(t): t.transport.iceGatherer._connection for t in transports}
    return list(found.values())


class _Gather:
    """One connection's way of finding its candidates."""

    def __init__(self, connection: Connection, settings: IceSettings) -> None:
        self._connection, self._settings = connection, settings
        self._others = connection.get_component_candidates

    async def candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 - aioice's own signature
    ) -> list[Candidate]:
        """In place of aioice's method of the same arguments."""
        hosts = await self._bind_all(component, addresses)
        found = [self._advertised(protocol.local_candidate) for protocol in hosts]
        found += await self._reflexive(hosts, wait_s=timeout)
        # With no address left to bind, aioice's own method only asks the TURN server.
        found += await self._others(component=component, addresses=[], timeout=timeout)
        return found

    async def _bind_all(self, component: int, addresses: list[str]) -> list[StunProtocol]:
        wanted = [a for a in addresses if self._settings.ipv6 or ":" not in a]
        if self._settings.loopback and not self._settings.relay_only:
            wanted.append(LOOPBACK)
        bound = []
        for address in wanted:
            protocol = await self._bind(component, address)
            if protocol is not None:
                bound.append(protocol)
                self._connection._protocols.append(protocol)  # closed with the connection
        return bound

    async def _bind(self, component: int, address: str) -> StunProtocol | None:
        sock = self._socket(address)
        if sock is None:
            return None
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: StunProtocol(self._connection), sock=sock
        )
        host, port = transport.get_extra_info("sockname")[:2]
        preference = LOOPBACK_PREFERENCE if host == LOOPBACK else 65535
        protocol.local_candidate = Candidate(
            foundation=candidate_foundation("host", "udp", host),
            component=component,
            transport="udp",
            priority=candidate_priority(component, "host", preference),
            host=host,
            port=port,
            type="host",
        )
        return protocol

    def _socket(self, address: str) -> socket.socket | None:
        """A socket bound to a free port of the range, or None where the address is of no use."""
        ports = self._settings.ports
        for port in ports.shuffled() if ports else iter((0,)):
            sock = socket.socket(
                socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM
            )
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                sock.bind((address, port))
                return sock
            except OSError as error:
                sock.close()
                if error.errno != errno.EADDRINUSE:
                    logger.info("media cannot use the address %s: %s", address, error)
                    return None
        raise PortsExhausted(
            f"every UDP port of {ports} is occupied on {address}: widen --media-ports"
            " (a call takes one port for each address of this machine)"
        )

    def _advertised(self, candidate: Candidate) -> Candidate:
        """As the other side is told of it: checks still go out from the real address."""
        outside = self._settings.media_ip
        if outside is None or candidate.host == LOOPBACK:
            return candidate
        if ipaddress.ip_address(outside).version != ipaddress.ip_address(candidate.host).version:
            return candidate
        return _moved(candidate, outside)

    async def _reflexive(self, hosts: list[StunProtocol], wait_s: int) -> list[Candidate]:
        server = self._connection.stun_server
        asking = [
            asyncio.create_task(server_reflexive_candidate(protocol, server))
            for protocol in hosts
            if server and ":" not in (host := protocol.local_candidate.host) and host != LOOPBACK
        ]
        if not asking:
            return []
        done, pending = await asyncio.wait(asking, timeout=wait_s)
        for task in pending:
            task.cancel()
        return [task.result()[0] for task in done if task.exception() is None]


def _moved(candidate: Candidate, host: str) -> Candidate:
    return Candidate(
        foundation=candidate.foundation,
        component=candidate.component,
        transport=candidate.transport,
        priority=candidate.priority,
        host=host,
        port=candidate.port,
        type=candidate.type,
    )
