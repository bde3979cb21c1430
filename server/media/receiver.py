"""An ear in place of aiortc's jitter buffer: RTP packets to dated sound.

`EarReceiver` stands where `RTCRtpReceiver` keeps its private jitter buffer. It takes every packet
and never gives one back, so that aiortc's decoder stays idle while payload types, statistics and
RTCP loss reports (which the sender's FEC needs) go on working. `install` is the only place that
touches the private name; aiortc is pinned and a test says when the name is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np
from aiortc import RTCRtpReceiver
from numpy.typing import NDArray

from server.media import g711, g722, opus
from server.media.codecs import COMFORT_NOISE
from server.media.ear import Conceal, Decode, Ear, Operation, Silence
from server.media.errors import BadPayload, HookMissing
from server.media.liveness import Arrival

logger = logging.getLogger(__name__)

Pcm = NDArray[np.int16]
Handler = Callable[["RtpPacket", float], None]
"""Called with a packet that carries no sound, and the loop time at which it came."""
Listener = Callable[[Pcm, int, float], None]
"""Called with sound, its sample rate, and the loop time at which it was sent."""

_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class RtpPacket(Protocol):
    """What of aiortc's packet is used."""

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


class Decoder(Protocol):
    """One stream's decoder. G.722 has more samples of sound than its RTP clock counts."""

    clock_rate: int
    """Of RTP timestamps and of `samples`."""
    sample_rate: int
    """Of the sound; a whole multiple of `clock_rate`."""

    def samples(self, payload: bytes) -> int:
        """How long the packet is, in units of the RTP clock; or `BadPayload`."""

    def decode(self, payload: bytes) -> Pcm:
        """The packet's sound, or `BadPayload`."""

    def conceal(self, samples: int, next_payload: bytes | None = None) -> Pcm:
        """Make up so many samples of sound."""

    def recovers(self, next_payload: bytes | None) -> bool:
        """Whether this packet carries a copy of the one before it."""


LATE_S = 0.02
"""A timer that fires this late says that the loop is busy, not that the line is quiet."""


@dataclass(frozen=True)
class Hearing:
    """How well a call was heard, for the report."""

    packets_arrived: int = 0
    packets_lost: int = 0
    """Lost on the way or too late to be of use."""
    packets_late: int = 0
    packets_bad: int = 0
    frames_recovered: int = 0
    """Losses restored from the copy that the next packet carried (FEC)."""
    frames_concealed: int = 0
    seconds_heard: float = 0.0
    seconds_concealed: float = 0.0
    seconds_silent: float = 0.0
    """Filled with silence because nothing came."""
    jitter_ms: float = 0.0
    last_packet_at: float | None = None
    """Loop time."""

    def since(self, earlier: Hearing) -> Hearing:
        """What was counted after an earlier look at the same stream; jitter and the last packet are
        the present ones."""
        now, then = asdict(self), asdict(earlier)
        counted = {name: now[name] - then[name] for name in now if name not in _PRESENT}
        return replace(self, **counted)


_PRESENT = ("jitter_ms", "last_packet_at")


def decoder_for(name: str) -> Decoder:
    match name.lower():
        case "opus":
            return opus.Decoder()
        case "pcmu":
            return g711.Decoder(g711.MU_LAW)
        case "pcma":
            return g711.Decoder(g711.A_LAW)
        case "g722":
            return g722.Decoder()
    raise ValueError(f"no decoder for {name}")


class EarReceiver:
    """Feeds arriving packets through an ear and a decoder to a listener."""

    def __init__(
        self, codec: str, listener: Listener, aside: Mapping[int, Handler] | None = None
    ) -> None:
        """`aside`: what takes packets of other payload types (digits), past the ear."""
        self._aside = dict(aside or {})
        self._decoder = decoder_for(codec)
        self._ear = Ear(self._decoder.clock_rate)
        self._per_tick = self._decoder.sample_rate // self._decoder.clock_rate
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._recovered = self._concealed = self._bad = self._heard = 0
        self.last_packet_at: float | None = None
        self.on_arrival: Callable[[Arrival], None] | None = None
        """Told of every packet, for whoever watches the line."""
        self.held_s: Callable[[float], None] | None = None
        """Told how long each packet was held, in seconds (benchmarks)."""

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """aiortc hands over a packet; False: no keyframe wanted, None: nothing for its decoder."""
        try:
            if not self._closed:
                self._take(packet)
        except Exception:
            # The edge of our code in aiortc's receive loop: an exception would end the whole call.
            logger.exception("a media packet could not be handled")
        return False, None

    def close(self) -> None:
        """The stream is over: play what is held and stop."""
        if self._closed:
            return
        self._closed = True
        self._ear.end()
        self._pump(fill=True)

    @property
    def hearing(self) -> Hearing:
        counters, rate = self._ear.counters, self._decoder.clock_rate
        return Hearing(
            packets_arrived=counters.arrived,
            packets_lost=counters.lost,
            packets_late=counters.late,
            packets_bad=counters.dropped + self._bad,
            frames_recovered=self._recovered,
            frames_concealed=self._concealed,
            seconds_heard=self._heard / rate,
            seconds_concealed=counters.concealed / rate,
            seconds_silent=counters.silence / rate,
            jitter_ms=self._ear.jitter * 1000,
            last_packet_at=self.last_packet_at,
        )

    def _take(self, packet: RtpPacket) -> None:
        now = self.last_packet_at = self._loop.time()
        handler = self._aside.get(packet.payload_type)
        samples = 0 if handler is not None else self._samples(packet)
        self._notice(packet, samples, now)
        if handler is not None:
            self._ear.skip(packet.sequence_number, now, packet.ssrc)
            handler(packet, now)
        elif samples:
            self._ear.push(
                packet.sequence_number, packet.timestamp, packet.payload, samples, now, packet.ssrc
            )
        self._pump(fill=False)

    def _samples(self, packet: RtpPacket) -> int:
        try:
            return self._decoder.samples(packet.payload)
        except BadPayload:
            self._bad += 1  # its place in the stream is concealed
            return 0

    def _notice(self, packet: RtpPacket, samples: int, now: float) -> None:
        if self.on_arrival is not None:
            comfort = packet.payload_type == COMFORT_NOISE and not samples
            self.on_arrival(
                Arrival(
                    now,
                    packet.sequence_number,
                    packet.timestamp,
                    samples,
                    self._decoder.clock_rate,
                    comfort,
                )
            )

    def _due(self, due: float) -> None:
        """The timer: fill what did not come, unless this loop is late itself: then packets that
        did come lie unread in the socket, one for each turn of the loop."""
        self._pump(fill=self._loop.time() - due < LATE_S)

    def _pump(self, *, fill: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while True:
            now = self._loop.time()
            operation, wake = self._ear.pull(now, fill=fill)
            if operation is None:
                break
            self._perform(operation, now)
        if wake is not None and not self._closed:
            due = wake if wake > now else now + LATE_S
            self._timer = self._loop.call_at(due, self._due, due)

    def _perform(self, operation: Operation, now: float) -> None:
        match operation:
            case Decode():
                if self.held_s is not None:
                    self.held_s(now - operation.arrived)
                pcm = self._decode(operation)
            case Conceal():
                pcm = self._conceal(operation)
            case Silence():
                pcm = np.zeros(operation.samples * self._per_tick, np.int16)
        try:
            self._listener(pcm, self._decoder.sample_rate, operation.at)
        except Exception:
            # Whoever listens must not end the call, nor make the ear lose its place.
            logger.exception("a listener failed")

    def _decode(self, operation: Decode) -> Pcm:
        self._heard += operation.samples
        try:
            return self._decoder.decode(operation.payload)
        except BadPayload:
            self._bad += 1
            return self._decoder.conceal(operation.samples * self._per_tick)

    def _conceal(self, operation: Conceal) -> Pcm:
        samples = operation.samples * self._per_tick
        try:
            pcm = self._decoder.conceal(samples, operation.next_payload)
        except BadPayload:
            pcm = np.zeros(samples, np.int16)
        frames = max(round(samples / (self._decoder.sample_rate / 50)), 1)
        copies = int(self._decoder.recovers(operation.next_payload))
        self._recovered += copies
        self._concealed += frames - copies
        return pcm


def install(receiver: RTCRtpReceiver, ear: EarReceiver) -> None:
    """Put `ear` where this receiver keeps its jitter buffer."""
    if not callable(getattr(getattr(receiver, _BUFFER, None), "add", None)):
        raise HookMissing("aiortc's receiver has no jitter buffer to stand in for; pin aiortc")
    setattr(receiver, _BUFFER, ear)
