"""Requests to Janus over its unix socket, and what comes back: one JSON object a packet.

Knows nothing of SIP. What Janus sends has been through a stranger's hands (headers, SDP), so a
packet that is no JSON, no object, or too long is dropped and counted, and nothing else happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from server.phone.bridge import GatewayLost

logger = logging.getLogger(__name__)

LONGEST_REQUEST = 8000
"""Bytes. Janus reads packets into 8192 and drops longer ones without a word."""
LONGEST_PACKET = 1 << 18
ANSWER_S = 5.0
_AT_ONCE = 64  # packets, before others of the loop have their turn
_WAITING = 256  # requests that Janus does not take up
Message = dict[str, Any]


class JanusRefused(Exception):
    """Janus answered with an error of its own."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class JanusSocket:
    """A connection. `on_message` gets every packet that is no first answer to a request; `lost` is
    done, with the reason, when the connection is gone."""

    def __init__(self, sock: socket.socket, secret: str, on_message: Callable[[Message], None]):
        self._sock, self._secret, self._on_message = sock, secret, on_message
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count(1)
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._unsent: deque[bytes] = deque()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.dropped = 0
        """Packets that could not be read."""
        self._loop.add_reader(sock, self._read)

    @classmethod
    async def connect(
        cls, path: Path, secret: str, on_message: Callable[[Message], None]
    ) -> JanusSocket:
        """Raises `GatewayLost`."""
        try:
            return cls(await asyncio.to_thread(_connected, path), secret, on_message)
        except OSError as error:
            raise GatewayLost(f"Nobody listens at {path}: {error.strerror}.") from error

    @property
    def peer_pid(self) -> int:
        """The process at the other end."""
        found = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int.from_bytes(found[:4], sys.byteorder)

    async def request(self, body: Message, *, within_s: float = ANSWER_S) -> Message:
        """Send one and wait for its first answer. Raises `JanusRefused`, `GatewayLost`."""
        transaction = body.get("transaction") or self.transaction()
        told = self._asked[transaction] = self._loop.create_future()
        try:
            self._send({**body, "transaction": transaction})
            async with asyncio.timeout(within_s):
                return _checked(await told)
        except TimeoutError:
            raise GatewayLost(f"Janus did not answer within {within_s:g} s.") from None
        finally:
            del self._asked[transaction]

    def transaction(self) -> str:
        return f"v{next(self._numbers)}"

    def close(self, reason: str = "closed") -> None:
        """Whoever waits for an answer gets `GatewayLost`."""
        if self.lost.done():
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self.lost.set_result(reason)
        for told in self._asked.values():
            if not told.done():
                told.set_exception(GatewayLost(f"Janus went away: {reason}."))

    # --- sending ----------------------------------------------------------------------------------
    def _send(self, body: Message) -> None:
        packet = json.dumps({**body, "apisecret": self._secret}).encode()
        if len(packet) > LONGEST_REQUEST:
            raise JanusRefused(0, f"a request of {len(packet)} bytes is too long")
        if self.lost.done():
            raise GatewayLost(f"Janus went away: {self.lost.result()}.")
        if len(self._unsent) >= _WAITING:
            self.close("it takes nothing up")
            raise GatewayLost("Janus takes nothing up.")
        self._unsent.append(packet)
        self._write()

    def _write(self) -> None:
        try:
            while self._unsent:
                self._sock.send(self._unsent[0])
                self._unsent.popleft()
            self._loop.remove_writer(self._sock)
        except BlockingIOError:
            self._loop.add_writer(self._sock, self._write)
        except OSError as error:
            self.close(error.strerror or "broken")

    # --- reading ----------------------------------------------------------------------------------
    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet, _, flags, _ = self._sock.recvmsg(LONGEST_PACKET)
            except BlockingIOError:
                return
            except OSError as error:
                self.close(error.strerror or "broken")
                return
            if not packet:
                self.close("it closed the connection")
                return
            self._take(b"" if flags & socket.MSG_TRUNC else packet)
            if self.lost.done():
                return

    def _take(self, packet: bytes) -> None:
        if (message := _parsed(packet)) is None:
            self.dropped += 1
            return
        told = self._asked.get(str(message.get("transaction")))
        if told is not None and not told.done():
            told.set_result(message)
            if message.get("janus") != "event":
                return
        try:
            self._on_message(message)
        except Exception:  # the connection outlives whatever one message does to its receiver
            logger.exception("A message of Janus could not be handled")


def _connected(path: Path) -> socket.socket:
    """By way of the folder: the kernel takes no path of a socket beyond 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        with contextlib.ExitStack() as undo:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(sock.close)
            sock.connect(f"/proc/self/fd/{folder}/{path.name}")
            sock.setblocking(False)
            undo.pop_all()
            return sock
    finally:
        os.close(folder)


def _parsed(packet: bytes) -> Message | None:
    try:
        message = json.loads(packet)
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _checked(answer: Message) -> Message:
    if answer.get("janus") != "error":
        return answer
    error = answer.get("error")
    error = error if isinstance(error, dict) else {}
    code = error.get("code")
    raise JanusRefused(code if isinstance(code, int) else 0, str(error.get("reason", ""))[:200])
