"""One call's RTP: a socket, and a thread that sends every 20 ms and notes when packets come.

A thread of its own, since an event loop that is busy would send late; the kernel's receive times,
since even a thread may be woken late.
"""

from __future__ import annotations

import contextlib
import heapq
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import numpy as np

from server.phone.softphone.errors import Malformed
from server.phone.softphone.impairment import CLEAN, Impairment, Line
from server.phone.softphone.listening import KEPT, Frame, Listening
from server.phone.softphone.rtp import Packet, unpack
from server.phone.softphone.sdp import EVENTS, Description
from server.phone.softphone.speaking import LAWS, Pcm, Speaking, Terms
from server.phone.softphone.srtp import Shield
from server.phone.softphone.telephone_event import Listener

_SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
_TIMESPEC = struct.Struct("@ll")
_AT_ONCE = 64
"""Datagrams read before the clock is looked at again: a flood must not hold up what is sent."""


class Media:
    """Made when a call begins, ended by `close`."""

    def __init__(
        self,
        local_ip: str,
        seed: int,
        sending: Impairment = CLEAN,
        hearing: Impairment = CLEAN,
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        self.sent: deque[Frame] = deque(maxlen=KEPT)
        """When each left, those too that the line then lost."""
        self.heard = Listening()
        self.digits: deque[tuple[float, str]] = deque(maxlen=KEPT)
        """Digits heard inside RTP, with the time of the first packet of each."""
        self.garbage = 0
        """Datagrams that were no RTP of this call."""
        self._speaking = Speaking(seed, time.monotonic())
        self._line_out, self._line_in = Line(sending, seed + 1), Line(hearing, seed + 2)
        self._keys = Listener()
        self._local_ip = local_ip
        self._socket = _socket(local_ip)
        self._remote: tuple[str, int] | None = None
        self._codecs: dict[int, str] = {}
        self._shield: Shield | None = None
        self._on_progress = on_progress
        self._waiting: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="softphone RTP", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return cast(int, self._socket.getsockname()[1])

    @property
    def late(self) -> int:
        """Packets that were left out, since this machine was too busy to send them in time."""
        return self._speaking.late

    def agree(self, remote: Description, terms: Terms, shield: Shield | None = None) -> None:
        """Send there and so, and hear those payload types, from now on."""
        with self._lock:
            self._remote = (remote.address, remote.port) if remote.port else None
            self._speaking.terms = terms
            self._codecs = dict(remote.codecs) | {terms.payload_type: terms.codec}
            self._shield = shield

    def move(self) -> None:
        """To a new port; tell the other side."""
        with self._lock:
            old, self._socket = self._socket, _socket(self._local_ip)
        old.close()

    @property
    def remote(self) -> tuple[str, int] | None:
        """Where packets go."""
        return self._remote

    def restart(self, seed: int) -> None:
        """Another stream from the same port, as where a PBX puts another source into a call: SSRC,
        sequence and clock are new. What was still to be said is gone."""
        with self._lock:
            before = self._speaking
            self._speaking = Speaking(seed, before.due)
            self._speaking.terms, self._speaking.muted = before.terms, before.muted

    def send(self, data: bytes) -> None:
        """A datagram of somebody's making, from this telephone's port."""
        with self._lock:
            if self._remote is not None:
                _send(self._socket, data, self._remote)

    def play(self, pcm: Pcm) -> None:
        with self._lock:
            self._speaking.play(pcm)

    def press(self, key: str, down_s: float, gap_s: float) -> None:
        with self._lock:
            self._speaking.press(key, down_s, gap_s)

    def hush(self) -> None:
        with self._lock:
            self._speaking.hush()

    def mute(self, muted: bool) -> None:
        self._speaking.muted = muted

    def music(self, pcm: Pcm | None) -> None:
        self._speaking.music = pcm

    @property
    def saying(self) -> bool:
        return self._speaking.saying

    @property
    def pressing(self) -> bool:
        return self._speaking.pressing

    @property
    def terms(self) -> Terms:
        return self._speaking.terms

    def close(self) -> None:
        """Also in mid-call: nothing is sent any more, nothing heard."""
        self._closed = True  # the thread sees it within a tick, and frees the port

    def _run(self) -> None:
        while not self._closed:
            now = time.monotonic()
            if now >= self._speaking.due:
                self._tick(now)
            self._release(now)
            self._listen(self._next() - time.monotonic())
        self._socket.close()

    def _next(self) -> float:
        return min(self._speaking.due, self._waiting[0][0] if self._waiting else np.inf)

    def _tick(self, now: float) -> None:
        with self._lock:
            before, shield = (self.saying, self.pressing), self._shield
            said = self._speaking.tick(now)
        if said is not None and self._remote is not None:
            packet, pcm = said
            self.sent.append(Frame(now, packet, pcm))
            data = shield.protect(packet.packed()) if shield else packet.packed()
            self._later(data, now)
        if before != (self.saying, self.pressing):
            self._on_progress()

    def _later(self, data: bytes, now: float) -> None:
        arrival = self._line_out.arrival(now)
        if arrival is not None:
            self._count += 1
            heapq.heappush(self._waiting, (arrival, self._count, data))

    def _release(self, now: float) -> None:
        while self._waiting and self._waiting[0][0] <= now:
            data = heapq.heappop(self._waiting)[2]
            with self._lock:
                remote, out = self._remote, self._socket
                if remote is not None:
                    _send(out, data, remote)

    def _listen(self, within_s: float) -> None:
        with self._lock:
            ear = self._socket
        try:
            ready, _, _ = select.select([ear], [], [], max(0.0, within_s))
            for _ in range(_AT_ONCE if ready else 0):
                data, aside, _, source = ear.recvmsg(2048, 64, socket.MSG_DONTWAIT)
                self._hear(data, source, _arrived(aside))
        except (BlockingIOError, ConnectionRefusedError):
            pass  # all read; or nobody was there, as the kernel says of a packet sent before
        except (OSError, ValueError):
            if not self._closed and ear is self._socket:
                raise  # not the old socket of a call that moved

    def _hear(self, data: bytes, source: tuple[str, int], at: float) -> None:
        try:
            if self._remote is None or source[0] != self._remote[0]:
                raise Malformed("it comes from elsewhere")
            packet = unpack(self._shield.open(data) if self._shield else data)
            codec = self._codecs.get(packet.payload_type, "")
            if codec not in LAWS and codec.lower() != EVENTS:
                raise Malformed("nobody agreed on its payload type")
        except Malformed:
            self.garbage += 1
            return
        arrival = self._line_in.arrival(at)
        if arrival is not None:
            self._take(packet, codec, arrival)

    def _take(self, packet: Packet, codec: str, at: float) -> None:
        if codec in LAWS:
            self.heard.hear(packet, LAWS[codec].decode(packet.payload), at)
            return
        self.heard.count(packet)
        if key := self._keys.hear(packet):
            self.digits.append((at, key))


def _socket(local_ip: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((local_ip, 0))
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    return made


def _send(out: socket.socket, data: bytes, remote: tuple[str, int]) -> None:
    # A line that is down loses what is sent; the call goes on.
    with contextlib.suppress(OSError):
        out.sendto(data, remote)


def _arrived(aside: list[tuple[int, int, bytes]]) -> float:
    """The kernel's time of arrival, on the monotonic clock."""
    for level, kind, value in aside:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(value) == _TIMESPEC.size:
            seconds, nanoseconds = cast(tuple[int, int], _TIMESPEC.unpack(value))
            return time.monotonic() - max(0.0, time.time() - (seconds + nanoseconds / 1e9))
    return time.monotonic()
