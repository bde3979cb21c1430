"""Who may speak SIP to Janus: its registrar, and whom the operator named; nobody else.

Janus takes an INVITE from anybody, answers it with 180 and holds a line for it; it tells neither
where a request came from nor which of our contacts it was for. So strangers are kept out before
Janus: a socket filter in the kernel, put on Janus's own SIP sockets, drops every packet from
another address. It needs no rights beyond those over a process of our own, costs nothing, and
holds where nobody wrote a firewall rule. A firewall stays the better place: this filter begins a
moment after the socket does.

`pidfd_getfd` (Linux 5.6) lends us the socket. It asks for the rights of ptrace: the same user, no
privilege that we lack, and with Yama's `ptrace_scope` 1 a child of ours. Some containers forbid it,
as Yama does from 2 on, and the state says so; our systemd unit allows the call by name.
"""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

SO_ATTACH_FILTER = 26
IP_RECVERR = 11
_PIDFD_GETFD = 438  # the same on every architecture
_MOST = 200  # networks: a jump of the filter's language reaches 255 instructions
Network = ipaddress.IPv4Network

_NET_OFF = 0xFFF00000  # SKF_NET_OFF: counted from the IP header
_LOAD_ABS, _AND, _EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06
_SOURCE = 12  # where an IPv4 header has the sender's address


class NotGuarded(Exception):
    """The filter could not be put on; the message says why."""


def networks(text: str) -> list[Network]:
    """Of addresses and networks by comma; raises `ValueError`."""
    return [Network(one.strip()) for one in text.split(",") if one.strip()]


def filter_code(allowed: Iterable[Network]) -> list[tuple[int, int, int, int]]:
    """A classic BPF program that lets pass what comes from these networks: for each, the sender's
    address without its host part is compared with the network's."""
    merged = list(ipaddress.collapse_addresses(allowed))
    if len(merged) > _MOST:
        raise ValueError(f"{len(merged)} networks are too many; at most {_MOST}")
    code: list[tuple[int, int, int, int]] = []
    for network in merged:
        code += [
            (_LOAD_ABS, 0, 0, _NET_OFF + _SOURCE),
            (_AND, 0, 0, int(network.netmask)),
            (_EQUAL, 0, 1, int(network.network_address)),
            (_RETURN, 0, 0, 0xFFFFFFFF),
        ]
    return [*code, (_RETURN, 0, 0, 0)]


def ports_of(pid: int) -> dict[int, bool]:
    """The ports at which a process takes IPv4 packets of anybody, and whether it asks the kernel
    to be told of ICMP errors there. Raises `NotGuarded`."""
    return {port: _asks(one) for one in _sockets(pid) if (port := _open_port(one))}


def guard(pid: int, allowed: Iterable[Network], ports: Collection[int]) -> None:
    """Put the filter on a process's sockets at these ports, in place of one that is there; its
    other sockets are for sound, which comes from wherever the PBX says. Raises `NotGuarded`,
    `ValueError`."""
    code = filter_code(allowed)
    packed = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = struct.pack("HL", len(code), ctypes.addressof(packed))
    for borrowed in _sockets(pid):
        if _open_port(borrowed) in ports:
            try:
                borrowed.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
            except OSError as error:
                raise NotGuarded(f"the kernel refuses the filter: {error.strerror}") from error


def _open_port(one: socket.socket) -> int:
    """The port of a socket that strangers could write to; 0 of any other."""
    if one.family != socket.AF_INET:
        return 0
    with contextlib.suppress(OSError):
        one.getpeername()
        return 0  # the kernel already takes nobody else's
    return int(one.getsockname()[1])


def _asks(one: socket.socket) -> bool:
    return bool(one.getsockopt(socket.IPPROTO_IP, IP_RECVERR))


def _sockets(pid: int) -> Iterator[socket.socket]:
    """Each socket of a process, borrowed while it is looked at."""
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        raise NotGuarded(f"the process is gone: {error.strerror}") from error
    try:
        for entry in _descriptors(pid):
            with contextlib.closing(socket.socket(fileno=_borrow(handle, entry))) as borrowed:
                yield borrowed
    finally:
        os.close(handle)


def _descriptors(pid: int) -> list[int]:
    found = []
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed while it was read
                if os.readlink(entry).startswith("socket:"):
                    found.append(int(entry.name))
    except OSError as error:
        raise NotGuarded(f"its files cannot be seen: {error.strerror}") from error
    return found


def _borrow(handle: int, descriptor: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    lent = libc.syscall(_PIDFD_GETFD, handle, descriptor, 0)
    if lent < 0:
        why = os.strerror(ctypes.get_errno())
        raise NotGuarded(f"the kernel does not lend its sockets: {why}")
    return int(lent)
