"""One WebRTC connection, answered or offered: hears, speaks, exchanges small messages.

It knows nothing of interviews. It cannot be renegotiated (aiortc has no ICE restart): when the
network changes, the other side makes a new offer and gets a new Peer. Towards a phone's gateway it
also takes digits, and can be put on hold. What a description may hold is checked before aiortc sees
it (`server.media.offers`).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, TypeVar

import numpy as np
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from numpy.typing import NDArray

from server.media import ice
from server.media.codecs import (
    COMFORT_NOISE,
    PHONE_CODECS,
    Settled,
    check_common,
    offer_events,
    preferences,
    settle,
    tolerate_comfort_noise,
)
from server.media.errors import BadOffer, MediaError
from server.media.ice import IceSettings
from server.media.liveness import Liveness, Steady
from server.media.offers import check_answer, check_offer
from server.media.outgoing import OutgoingTrack
from server.media.receiver import EarReceiver, Handler, Hearing, Listener, RtpPacket, install
from server.media.telephone_event import EventDecoder

logger = logging.getLogger(__name__)

MAX_MESSAGE = 16 * 1024
MAX_UNSENT = 256 * 1024
CHANNEL = "viva"
CONNECT_S = 20.0
QUIET_S = 4.0
WATCH_S = 0.25
LATE_S = 0.2
"""A watch that comes so late says that the loop was held up, and nothing of the line."""
NEGOTIATE_S = 15.0

T = TypeVar("T")
Message = dict[str, Any]


Pcm = NDArray[np.int16]
Filter = Callable[[Pcm, int, float], tuple[Pcm, int, float]]
"""Sound, its sample rate and the loop time at which it was sent; all three may be changed."""


class Peer:
    """A connection. Made by `Peer.answer` or `Peer.offer`; `close` may be called at any time, and
    any number of times."""

    def __init__(
        self,
        settings: IceSettings,
        codecs: Sequence[str],
        *,
        liveness: Liveness,
        connect_s: float = CONNECT_S,
        events: bool = False,
    ) -> None:
        self.track = OutgoingTrack()
        self.codec = ""
        self._settings, self._codecs = settings, codecs
        self._liveness, self._connect_s, self._events = liveness, connect_s, events
        self._loop = asyncio.get_running_loop()
        self._connection = RTCPeerConnection(ice.configuration(settings, time.time()))
        self._connection.on("connectionstatechange", self._state_changed)
        self._transceiver = self._connection.addTransceiver(self.track, direction="sendrecv")
        self._transceiver.setCodecPreferences(preferences(codecs))
        self._ear: EarReceiver | None = None
        self._keys = EventDecoder()
        self._listener: Listener | None = None
        self._filter: Filter | None = None
        self._channel: RTCDataChannel | None = None
        self._quiet = self._connected = self._held = False
        self._since = self._loop.time()
        self._closing: asyncio.Task[None] | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._held_up = False
        self._on_quiet: Callable[[], None] | None = None
        self._on_back: Callable[[], None] | None = None
        self._on_connected: Callable[[], None] | None = None
        self._on_closed: Callable[[], None] | None = None
        self._on_message: Callable[[Message], None] | None = None
        self._on_digit: Callable[[str, float], None] | None = None

    @classmethod
    async def answer(
        cls,
        sdp: str,
        type: str = "offer",
        *,
        ice: IceSettings | None = None,
        codecs: Sequence[str] = ("opus",),
        quiet_s: float = QUIET_S,
        liveness: Liveness | None = None,
        connect_s: float = CONNECT_S,
        events: bool = False,
    ) -> tuple[Self, str]:
        """Answer an offer; returns the peer and the answer's SDP, or raises `MediaError`.

        `codecs` are the ones this side allows, best first: browsers get Opus, a phone's gateway
        `PHONE_CODECS`. `liveness` says when the line is quiet, by default after `quiet_s`. With
        `events` the other side's digits are taken, and its comfort noise is borne: for phones.
        """
        offer = check_offer(sdp, type)
        peer = cls(
            ice or IceSettings(),
            codecs,
            liveness=liveness or Steady(quiet_s),
            connect_s=connect_s,
            events=events,
        )
        return peer, await peer._or_close(peer._negotiate(offer))

    @classmethod
    async def offer(
        cls,
        *,
        ice: IceSettings | None = None,
        codecs: Sequence[str] = PHONE_CODECS,
        liveness: Liveness | None = None,
        connect_s: float = CONNECT_S,
        events: bool = True,
    ) -> tuple[Self, str]:
        """Offer a connection, for a call out; returns the peer and the offer's SDP.

        Nothing is heard or sent, and no clock runs, until `accept`: it may ring for a minute.
        """
        peer = cls(
            ice or IceSettings(),
            codecs,
            liveness=liveness or Steady(QUIET_S),
            connect_s=connect_s,
            events=events,
        )
        return peer, await peer._or_close(peer._propose())

    async def accept(self, sdp: str) -> None:
        """Take the answer to our offer, once. Where it is none, raises `MediaError` and closes."""
        await self._or_close(self._conclude(sdp))

    async def _or_close(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            async with asyncio.timeout(NEGOTIATE_S):
                return await work
        except BaseException:
            await self.close()
            raise

    # What the owner wants to know.

    def on_heard(self, listener: Listener | None) -> None:
        """Call with every stretch of sound: samples, rate, and the loop time it was sent at."""
        self._listener = listener

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call when the line brought no packet for too long, by its `Liveness`."""
        self._on_quiet = callback

    def on_back(self, callback: Callable[[], None]) -> None:
        """Call when packets come again after `on_quiet`."""
        self._on_back = callback

    def on_connected(self, callback: Callable[[], None]) -> None:
        self._on_connected = callback

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Call once, whoever closed the connection, or when it could not be made."""
        self._on_closed = callback

    def on_message(self, callback: Callable[[Message], None]) -> None:
        """Call with each JSON object from the other side's data channel."""
        self._on_message = callback

    def on_digit(self, callback: Callable[[str, float], None]) -> None:
        """Call with each key that the other side presses, and the loop time of its first packet."""
        self._on_digit = callback

    def through(self, filter: Filter | None) -> None:
        """Send what is heard through this before `on_heard`'s listener gets it."""
        self._filter = filter

    def hold(self, held: bool) -> None:
        """The other side put us on hold, or came back. What comes meanwhile (music) is passed on as
        silence, and the line is not taken for dead."""
        self._held = held
        self._liveness.hold(held, self._loop.time())

    @property
    def local_sdp(self) -> str:
        """Our description as it was settled, with our candidates."""
        description = self._connection.localDescription
        return description.sdp if description else ""

    @property
    def hearing(self) -> Hearing:
        return self._ear.hearing if self._ear else Hearing()

    @property
    def connected(self) -> bool:
        return self._connected and self._closing is None

    @property
    def quiet(self) -> bool:
        """Between `on_quiet` and `on_back`."""
        return self._quiet

    @property
    def stopped(self) -> bool:
        """Whether packets that came without pause have stopped, before `on_quiet` or after it."""
        return self._connected and self._liveness.stopped(self._loop.time())

    @property
    def closed(self) -> bool:
        return self._closing is not None

    def send(self, message: Message) -> bool:
        """Send a JSON object; False where there is no open channel or too much is unsent."""
        channel = self._channel
        if channel is None or channel.readyState != "open" or self.closed:
            return False
        if channel.bufferedAmount > MAX_UNSENT:
            return False
        channel.send(json.dumps(message, ensure_ascii=False))
        return True

    async def close(self) -> None:
        """Close the connection and everything it holds."""
        if self._closing is None:
            self._closing = self._loop.create_task(self._close())
        await asyncio.shield(self._closing)

    # Negotiation.

    async def _negotiate(self, offer: RTCSessionDescription) -> str:
        check_common(offer.sdp, self._codecs)
        connection = self._connection
        connection.on("datachannel", self._channel_opened)
        with _their_fault("offer"):
            await connection.setRemoteDescription(offer)
            self._settle(offer.sdp, answer=False)
            ice.prepare(connection, self._settings)
            await connection.setLocalDescription(await connection.createAnswer())
        self._start()
        return self.local_sdp

    async def _propose(self) -> str:
        connection = self._connection
        ice.prepare(connection, self._settings)
        offer = await connection.createOffer()
        if self._events:
            offer.sdp = offer_events(offer.sdp)
        await connection.setLocalDescription(offer)
        return self.local_sdp

    async def _conclude(self, sdp: str) -> None:
        answer = check_answer(sdp)
        check_common(answer.sdp, self._codecs)
        with _their_fault("answer"):
            await self._connection.setRemoteDescription(answer)
            self._settle(answer.sdp, answer=True)
        self._start()

    def _settle(self, theirs: str, *, answer: bool) -> None:
        settled = settle(self._transceiver, theirs, events=self._events, answer=answer)
        self.codec = settled.codec
        self.track.use(self.codec)
        self._ear = EarReceiver(self.codec, self._heard, self._aside(settled))
        self._ear.on_arrival = self._liveness.arrived
        install(self._transceiver.receiver, self._ear)

    def _aside(self, settled: Settled) -> dict[int, Handler]:
        """What takes the packets that are no sound. aiortc lets no others through."""
        aside: dict[int, Handler] = {COMFORT_NOISE: _nothing} if self._events else {}
        if settled.events is not None:
            aside[settled.events] = self._event
        return aside

    def _start(self) -> None:
        if self._events:
            tolerate_comfort_noise(self._transceiver)
        self._since = self._loop.time()
        self._watch()

    def _event(self, packet: RtpPacket, at: float) -> None:
        digit = self._keys.push(packet.payload, packet.timestamp, packet.ssrc, at)
        if digit is not None and not self._held:
            _call(self._on_digit, digit, at)

    def _heard(self, pcm: Pcm, rate: int, at: float) -> None:
        if self._held:
            pcm = np.zeros_like(pcm)
        if self._filter is not None:
            pcm, rate, at = self._filtered(self._filter, pcm, rate, at)
        if self._listener is not None:
            self._listener(pcm, rate, at)

    @staticmethod
    def _filtered(filter: Filter, pcm: Pcm, rate: int, at: float) -> tuple[Pcm, int, float]:
        try:
            return filter(pcm, rate, at)
        except Exception:
            # The owner's code: better heard unfiltered than not at all.
            logger.exception("a filter of incoming sound failed")
            return pcm, rate, at

    # Watching over it.

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        logger.info("media connection: %s", state)
        if state == "connected" and not self._connected:
            self._connected = True
            self._liveness.connected(self._loop.time())
            _call(self._on_connected)
        elif state in ("failed", "closed") and self._closing is None:
            self._closing = self._loop.create_task(self._close())

    def _watch(self, due: float | None = None) -> None:
        if self._closing is not None:
            return
        now = self._loop.time()
        self._watch_timer = self._loop.call_at(now + WATCH_S, self._watch, now + WATCH_S)
        if not self._connected:
            if now - self._since > self._connect_s:
                logger.info("media connection not made within %.0f s", self._connect_s)
                self._closing = self._loop.create_task(self._close())
            return
        held_up, self._held_up = self._held_up, due is not None and now - due > LATE_S
        if self._held_up and not held_up:
            return  # what came meanwhile lies unread in the socket: look again when it is read
        quiet = self._liveness.quiet(now)
        if quiet != self._quiet:
            self._quiet = quiet
            _call(self._on_quiet if quiet else self._on_back)

    async def _close(self) -> None:
        if self._watch_timer is not None:
            self._watch_timer.cancel()
        if self._ear is not None:
            self._ear.close()
        self.track.stop()
        await close_connection(self._connection)
        _call(self._on_closed)

    # The data channel.

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label != CHANNEL or self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._message_arrived)

    def _message_arrived(self, data: str | bytes) -> None:
        if not isinstance(data, str) or len(data) > MAX_MESSAGE:
            self.send({"type": "error", "code": "message_too_long", "limit": MAX_MESSAGE})
            return
        try:
            message = json.loads(data)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.send({"type": "error", "code": "message_not_json"})
            return
        _call(self._on_message, message)


async def close_connection(connection: RTCPeerConnection) -> None:
    """Close, ending first what aiortc does to connect.

    aiortc neither awaits nor cancels those tasks: one that is a step behind would start senders,
    receivers and a thread on the closed connection, which nobody would ever stop.
    """
    connecting = [task for task in asyncio.all_tasks() if _connects(task, connection)]
    for task in connecting:
        task.cancel()
    await asyncio.gather(*connecting, return_exceptions=True)
    await connection.close()


def _connects(task: asyncio.Task[Any], connection: RTCPeerConnection) -> bool:
    coroutine = task.get_coro()
    if not inspect.iscoroutine(coroutine) or coroutine.cr_frame is None:
        return False
    named = coroutine.__qualname__ == "RTCPeerConnection.__connect"
    return named and coroutine.cr_frame.f_locals.get("self") is connection


@contextmanager
def _their_fault(what: str) -> Iterator[None]:
    try:
        yield
    except (MediaError, OSError):
        raise  # ours, or this machine's: not the description's fault
    except Exception as error:
        # aiortc answers a hostile description with whatever it trips over.
        raise BadOffer(f"the {what} cannot be used: {error or type(error).__name__}") from error


def _nothing(packet: RtpPacket, at: float) -> None:
    """Comfort noise: what it stands for is silence, which the ear makes anyway."""
    del packet, at


def _call(callback: Callable[..., None] | None, *args: Any) -> None:
    if callback is None:
        return
    try:
        callback(*args)
    except Exception:
        # The owner's code, called from aiortc's event emitter and from timers.
        logger.exception("a media callback failed")
