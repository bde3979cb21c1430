"""One WebRTC connection that answers an offer: hears, speaks, and exchanges small messages.

It knows nothing of interviews. It cannot be renegotiated (aiortc has no ICE restart): when the
network changes, the other side makes a new offer and gets a new Peer. What an offer may hold is
checked before aiortc sees it, since aiortc parses with assertions.
"""

from __future__ import annotations

import asyncio
import inspect
import ipaddress
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from aiortc import (
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.codecs import get_capabilities
from aiortc.sdp import DIRECTIONS, SessionDescription

from server.media import ice
from server.media.errors import BadOffer, MediaError
from server.media.ice import IceSettings
from server.media.outgoing import OutgoingTrack
from server.media.receiver import EarReceiver, Hearing, Listener, install

logger = logging.getLogger(__name__)

MAX_OFFER = 64 * 1024
MAX_CANDIDATES = 40
MAX_MESSAGE = 16 * 1024
MAX_UNSENT = 256 * 1024
CHANNEL = "viva"
CONNECT_S = 20.0
QUIET_S = 4.0
WATCH_S = 0.25
NEGOTIATE_S = 15.0

Message = dict[str, Any]


class Peer:
    """An answered offer. Made by `Peer.answer`; `close` may be called any number of times."""

    def __init__(
        self,
        settings: IceSettings,
        codecs: Sequence[str],
        *,
        quiet_s: float = QUIET_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.track = OutgoingTrack()
        self.codec = ""
        self._settings, self._codecs = settings, codecs
        self._quiet_s, self._connect_s = quiet_s, connect_s
        self._loop = asyncio.get_running_loop()
        self._connection = RTCPeerConnection(ice.configuration(settings, time.time()))
        self._ear: EarReceiver | None = None
        self._listener: Listener | None = None
        self._channel: RTCDataChannel | None = None
        self._quiet = self._connected = False
        self._since = self._loop.time()
        self._closing: asyncio.Task[None] | None = None
        self._watch_timer: asyncio.TimerHandle | None = None
        self._on_quiet: Callable[[], None] | None = None
        self._on_back: Callable[[], None] | None = None
        self._on_connected: Callable[[], None] | None = None
        self._on_closed: Callable[[], None] | None = None
        self._on_message: Callable[[Message], None] | None = None

    @classmethod
    async def answer(
        cls,
        sdp: str,
        type: str = "offer",
        *,
        ice: IceSettings | None = None,
        codecs: Sequence[str] = ("opus",),
        quiet_s: float = QUIET_S,
        connect_s: float = CONNECT_S,
    ) -> tuple[Peer, str]:
        """Answer an offer; returns the peer and the answer's SDP, or raises `MediaError`.

        `codecs` are the ones this side allows, best first: browsers get Opus, a phone gateway
        may get PCMU. A browser must never be offered the phone's, which aiortc lists for all.
        """
        offer = check_offer(sdp, type)
        peer = cls(ice or IceSettings(), codecs, quiet_s=quiet_s, connect_s=connect_s)
        try:
            async with asyncio.timeout(NEGOTIATE_S):
                answer = await peer._negotiate(offer)
        except BaseException:
            await peer.close()
            raise
        return peer, answer

    # What the owner wants to know.

    def on_heard(self, listener: Listener | None) -> None:
        """Call with every stretch of sound: samples, rate, and the loop time it was sent at."""
        self._listener = listener

    def on_quiet(self, callback: Callable[[], None]) -> None:
        """Call when no packet has come for `quiet_s`, counted from the connection."""
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

    @property
    def hearing(self) -> Hearing:
        return self._ear.hearing if self._ear else Hearing()

    @property
    def connected(self) -> bool:
        return self._connected and self._closing is None

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
        connection = self._connection
        connection.on("connectionstatechange", self._state_changed)
        connection.on("datachannel", self._channel_opened)
        transceiver = connection.addTransceiver(self.track, direction="sendrecv")
        transceiver.setCodecPreferences(codec_preferences(self._codecs))
        try:
            await connection.setRemoteDescription(offer)
            self.codec = _settle(transceiver)
            self.track.use(self.codec)
            self._ear = EarReceiver(self.codec, self._heard)
            install(transceiver.receiver, self._ear)
            ice.prepare(connection, self._settings)
            await connection.setLocalDescription(await connection.createAnswer())
        except (MediaError, OSError):
            raise  # ours, or this machine's: not the offer's fault
        except Exception as error:
            # aiortc answers a hostile description with whatever it trips over.
            raise BadOffer(f"the offer cannot be used: {error or type(error).__name__}") from error
        self._watch()
        sdp: str = connection.localDescription.sdp
        return sdp

    def _heard(self, pcm: Any, rate: int, at: float) -> None:
        if self._listener is not None:
            self._listener(pcm, rate, at)

    # Watching over it.

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        logger.info("media connection: %s", state)
        if state == "connected" and not self._connected:
            self._connected = True
            self._since = self._loop.time()
            _call(self._on_connected)
        elif state in ("failed", "closed") and self._closing is None:
            self._closing = self._loop.create_task(self._close())

    def _watch(self) -> None:
        if self._closing is not None:
            return
        self._watch_timer = self._loop.call_later(WATCH_S, self._watch)
        now = self._loop.time()
        if not self._connected:
            if now - self._since > self._connect_s:
                logger.info("media connection not made within %.0f s", self._connect_s)
                self._closing = self._loop.create_task(self._close())
            return
        last = (self._ear.last_packet_at if self._ear else None) or self._since
        quiet = now - max(last, self._since) >= self._quiet_s
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


def check_offer(sdp: str, type: str) -> RTCSessionDescription:
    """The offer as aiortc may have it, or `BadOffer` with a sentence that says what is wrong."""
    if type != "offer":
        raise BadOffer(f"expected an offer, not {type[:20]!r}")
    if len(sdp) > MAX_OFFER:
        raise BadOffer(f"the offer is longer than {MAX_OFFER} characters")
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise BadOffer("this is not a session description")
    kinds = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if "audio" not in kinds:
        raise BadOffer("the offer has no audio")
    if kinds.count("audio") > 1 or kinds.count("application") > 1:
        raise BadOffer("the offer has more than one audio or data section")
    if set(kinds) - {"audio", "application"}:
        raise BadOffer("the offer has sections other than audio and data")
    offer = "\r\n".join(_few_candidates(filter(_usable, lines))) + "\r\n"
    _check_sections(offer)
    return RTCSessionDescription(sdp=_directed(offer), type="offer")


def _directed(sdp: str) -> str:
    """Say the default direction where the offer leaves it out, since aiortc knows no default."""
    head, audio = sdp.split("\r\nm=audio", 1)
    audio, *rest = audio.split("\r\nm=", 1)
    if not any(line.removeprefix("a=") in DIRECTIONS for line in audio.split("\r\n")):
        audio = audio.removesuffix("\r\n") + "\r\na=sendrecv" + ("" if rest else "\r\n")
    return "\r\nm=".join([head + "\r\nm=audio" + audio, *rest])


def _check_sections(sdp: str) -> None:
    try:
        description = SessionDescription.parse(sdp)
    except Exception as error:
        # The parser's answer to a hostile text is whatever it trips over, assertions included.
        raise BadOffer("the session description is malformed") from error
    for media in description.media:
        if media.dtls is None or not media.dtls.fingerprints:
            # aiortc would find out after its answer, in a task of its own.
            raise BadOffer(f"the offer's {media.kind} is not encrypted (no DTLS fingerprint)")
    # aiortc gives every bundled section the first one's transport: none, where that one is missing.
    bundled = {
        mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items
    }
    if not bundled <= {media.rtp.muxId for media in description.media}:
        raise BadOffer("the offer bundles a section that it does not have")


def _few_candidates(lines: Iterable[str]) -> Iterator[str]:
    """Each candidate makes us send to an address that a stranger chose."""
    left = MAX_CANDIDATES
    for line in lines:
        if line.startswith("a=candidate:"):
            left -= 1
        if left >= 0 or not line.startswith("a=candidate:"):
            yield line


def _usable(line: str) -> bool:
    """Leave out what aiortc would wait for in vain.

    Names in .local would be resolved by multicast, which delays the answer and fails where there
    is no multicast; the browser reaches us, and its address is learned from its checks. For the
    same reason the end of its candidates is not believed.
    """
    if line.startswith("a=end-of-candidates"):
        return False
    if not line.startswith("a=candidate:"):
        return True
    fields = line.split()
    if len(fields) < 8 or fields[2].lower() != "udp":
        return False
    try:
        ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return True


def codec_preferences(codecs: Sequence[str]) -> list[Any]:
    """What aiortc wants to be told, for codecs by name, best first."""
    known = get_capabilities("audio").codecs
    wanted = [f"audio/{name}".lower() for name in codecs]
    return [codec for name in wanted for codec in known if codec.mimeType.lower() == name]


def _settle(transceiver: RTCRtpTransceiver) -> str:
    """Which codec it will be, the best of those in common: the answer names no other."""
    del transceiver._codecs[1:]  # an answer with two lets the other side change at any packet
    codec = transceiver._codecs[0]
    if codec.name.lower() == "opus":
        # aiortc drops the offered parameters from its answer, and with them FEC.
        codec.parameters = {"minptime": 10, "useinbandfec": 1}
    name: str = codec.name
    return name.lower()


def _call(callback: Callable[..., None] | None, *args: Any) -> None:
    if callback is None:
        return
    try:
        callback(*args)
    except Exception:
        # The owner's code, called from aiortc's event emitter and from timers.
        logger.exception("a media callback failed")
