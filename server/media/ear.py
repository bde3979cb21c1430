"""An ear for one RTP stream: packets in, in any order, and what a recogniser should hear out.

It knows no codec, no socket and no clock: time is passed in, payloads are opaque. There is no sound
card behind it, so nothing is smoothed: a packet in order is released at once, and only a hole is
waited for. Rules:

- every packet that arrives in time is decoded exactly once, in the order of its sequence number;
- a hole is waited for no longer than reordering has been seen to last, then concealed once;
- a number that a packet without sound has used (a digit, comfort noise) is no hole: the sound on
  both sides of it is joined, with silence between where the timestamps say that time passed;
- when nothing arrives, three frames are concealed, then silence follows, at most two seconds of it;
  what arrives late but in order afterwards is still played, so no words are lost: the silence that
  it overtakes is counted in `inserted`;
- the samples released are the samples sent: decoded + filled = last end - first start + inserted
  - skipped, where `skipped` is the part of a gap beyond two seconds.

Times are in seconds of the caller's monotonic clock, timestamps and samples in units of the RTP
clock. Each operation says in `at` when it was sent, by the fastest path seen of late, whatever the
network did to it since: after a stall the operations come in a burst, with their own times.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass

MAX_FORWARD = 3000
"""Packets; a jump further ahead is a stream begun anew (RFC 3550 A.1)."""
MAX_BACKWARD = 100
MAX_HELD = 512
MAX_FILL_S = 2.0
MAX_PACKET_S = 0.12
"""Opus packets are never longer."""
CONCEALED_FRAMES = 3

HOLE_WAIT_MIN, HOLE_WAIT_MAX, HOLE_WAIT_START = 0.020, 0.250, 0.060
HOLE_MARGIN = 0.005
WARM_UP = 250
"""Packets until what was observed of the network is trusted."""
IDLE_WAIT_MIN, IDLE_WAIT_MAX, IDLE_MARGIN = 0.150, 0.400, 0.060
QUANTILE = 0.999
BASE_WINDOW_S = 5.0
"""The fastest path is remembered for one to two windows, so that clock drift is followed."""


@dataclass(frozen=True, slots=True)
class Decode:
    """Decode this payload."""

    at: float
    samples: int
    payload: bytes
    arrived: float


@dataclass(frozen=True, slots=True)
class Conceal:
    """Make up this much; `next_payload` may carry a copy of the last lost frame (in-band FEC)."""

    at: float
    samples: int
    next_payload: bytes | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing was said here, or nobody can know."""

    at: float
    samples: int


Operation = Decode | Conceal | Silence


@dataclass(slots=True)
class EarCounters:
    """What happened to the packets, for the report; samples in units of the RTP clock."""

    arrived: int = 0
    played: int = 0
    duplicates: int = 0
    late: int = 0
    """Arrived after their hole had been concealed."""
    dropped: int = 0
    """Malformed, or the lone outlier of another sequence."""
    lost: int = 0
    soundless: int = 0
    """Had a number in the stream, but no sound in it."""
    concealed: int = 0
    """Samples made up by the decoder."""
    silence: int = 0
    inserted: int = 0
    skipped: int = 0
    restarts: int = 0


class Spread:
    """The upper quantile of the latest values, most of which are zero."""

    def __init__(self, size: int = 2048) -> None:
        self._size = size
        self._all: deque[float] = deque()
        self._sorted: list[float] = []
        self.seen = 0

    def add(self, value: float) -> None:
        self.seen += 1
        self._all.append(value)
        if value > 0:
            insort(self._sorted, value)
        if len(self._all) > self._size:
            oldest = self._all.popleft()
            if oldest > 0:
                del self._sorted[bisect_left(self._sorted, oldest)]

    def quantile(self) -> float:
        above = int(len(self._all) * (1 - QUANTILE))
        return self._sorted[-1 - above] if above < len(self._sorted) else 0.0


@dataclass(frozen=True, slots=True)
class _Packet:
    ts: int
    samples: int
    """0 in a packet without sound, whose timestamp means nothing here."""
    payload: bytes
    arrived: float


def unwrap(value: int, near: int, bits: int) -> int:
    """The unbounded number closest to `near` whose lowest bits are `value`."""
    half = 1 << (bits - 1)
    return near + ((value - near + half) & ((1 << bits) - 1)) - half


class _Path:
    """When things were sent, on our clock: arrival minus timestamp, at its fastest of late."""

    def __init__(self, clock_rate: int) -> None:
        self._rate = clock_rate
        self._now_min = self._before_min = float("inf")
        self._turn = float("-inf")

    def add(self, ts: int, now: float) -> float:
        """Learn of an arrival and return by how much it was later than the fastest."""
        transit = now - ts / self._rate
        if now - self._turn > BASE_WINDOW_S:
            self._before_min, self._now_min, self._turn = self._now_min, transit, now
        self._now_min = min(self._now_min, transit)
        return transit - self.base

    @property
    def base(self) -> float:
        return min(self._now_min, self._before_min)

    def time_of(self, ts: int) -> float:
        return self.base + ts / self._rate


class Ear:
    """Orders one RTP stream and says what to decode, conceal or leave silent."""

    def __init__(self, clock_rate: int) -> None:
        self.clock_rate = clock_rate
        self.counters = EarCounters()
        self._ready: deque[Operation] = deque()
        self._reordering = Spread()
        self._lateness = Spread()
        self._ended = False
        self._jitter = 0.0
        self._ssrc: int | None = None
        self._forget()

    def _forget(self) -> None:
        """Begin a stream: the next packet is the first."""
        self._path = _Path(self.clock_rate)
        self._held: dict[int, _Packet] = {}
        self._next_seq: int | None = None
        self._next_ts = 0
        self._filled = 0
        """Samples released after `_next_ts` because nothing came."""
        self._frame = self.clock_rate // 50
        self._holed = False
        """A packet was given up since the last sound."""
        self._probation: tuple[int, int, bytes, int, float] | None = None
        self._missing: dict[int, float] = {}
        """Lost packets and since when they were waited for, to learn from those that still come."""
        self._transit: float | None = None

    # What comes in.

    def push(self, seq: int, ts: int, payload: bytes, samples: int, now: float, ssrc: int) -> None:
        """A packet arrived. Sequence number and timestamp are as on the wire."""
        self.counters.arrived += 1
        if not 0 < samples <= MAX_PACKET_S * self.clock_rate:
            self.counters.dropped += 1
            return
        if ssrc != self._ssrc:
            self._restart(ssrc)
        if self._next_seq is None:
            self._begin(seq, ts)
        self._accept(seq & 0xFFFF, ts & 0xFFFFFFFF, payload, samples, now)

    def skip(self, seq: int, now: float, ssrc: int) -> None:
        """A packet arrived that used a sequence number of the stream for something else."""
        self.counters.arrived += 1
        if ssrc != self._ssrc or self._next_seq is None:
            self.counters.soundless += 1
            return
        number = unwrap(seq & 0xFFFF, self._next_seq, 16)
        if -MAX_BACKWARD <= number - self._next_seq < 0:
            self._too_late(number, now)
        elif number in self._held:
            self.counters.duplicates += 1
        else:
            self.counters.soundless += 1
            self._pass(number, now)

    def _pass(self, number: int, now: float) -> None:
        assert self._next_seq is not None
        if 0 <= number - self._next_seq <= MAX_FORWARD:
            self._held[number] = _Packet(0, 0, b"", now)
            self._release(now)

    def end(self) -> None:
        """The stream is over: nothing is waited for any more."""
        self._ended = True
        self._let_go()

    def _let_go(self) -> None:
        """Release what is held; silence after the last packet was no one's."""
        self._release(now=float("inf"))
        self.counters.inserted += self._filled
        self._filled = 0

    def _restart(self, ssrc: int) -> None:
        if self._ssrc is not None:
            self.counters.restarts += 1
            self._let_go()
        self._ssrc = ssrc
        self._forget()

    def _begin(self, seq: int, ts: int) -> None:
        # Offset by a whole wrap, so that extended numbers never become negative.
        self._next_seq = (seq & 0xFFFF) + (1 << 16)
        self._next_ts = (ts & 0xFFFFFFFF) + (1 << 32)

    def _accept(self, seq: int, ts: int, payload: bytes, samples: int, now: float) -> None:
        assert self._next_seq is not None
        number = unwrap(seq, self._next_seq, 16)
        ahead = number - self._next_seq
        if not -MAX_BACKWARD <= ahead <= MAX_FORWARD:
            self._suspect(seq, ts, payload, samples, now)
            return
        stamp = unwrap(ts, self._next_ts, 32)
        if ahead < 0:
            self._too_late(number, now)
        elif number in self._held:
            self.counters.duplicates += 1
        else:
            self._observe(number, stamp, now)
            self._held[number] = _Packet(stamp, samples, payload, now)
            self._release(now)

    def _suspect(self, seq: int, ts: int, payload: bytes, samples: int, now: float) -> None:
        """Two packets in a row make a new sequence; a single one is noise."""
        before = self._probation
        self._probation = (seq, ts, payload, samples, now)
        if before is None or (before[0] + 1) & 0xFFFF != seq:
            self.counters.dropped += before is not None
            return
        self._let_go()
        self.counters.restarts += 1
        self._forget()
        self._begin(before[0], before[1])
        self._accept(*before)
        self._accept(seq, ts, payload, samples, now)

    def _too_late(self, number: int, now: float) -> None:
        since = self._missing.pop(number, None)
        if since is None:
            self.counters.duplicates += 1
            return
        self.counters.late += 1
        self._reordering.add(now - since)

    def _observe(self, number: int, stamp: int, now: float) -> None:
        lateness = self._path.add(stamp, now)
        self._lateness.add(lateness)
        if self._transit is not None:  # RFC 3550 6.4.1
            self._jitter += (abs(lateness - self._transit) - self._jitter) / 16
        self._transit = lateness
        newer = [p.arrived for n, p in self._held.items() if n > number]
        self._reordering.add(now - min(newer) if newer else 0.0)

    # What goes out.

    def pull(self, now: float, *, fill: bool = True) -> tuple[Operation | None, float | None]:
        """The next operation, or None and when to ask again (None: when a packet has come).

        Without `fill` nothing is put in the place of packets that may still lie in the socket.
        """
        if not self._ready:
            self._release(now)
        if not self._ready and fill:
            self._idle(now)
        if self._ready:
            operation = self._ready.popleft()
            self._count(operation)
            return operation, now
        return None, self._wake()

    def _time_of(self, ts: int) -> float:
        return self._path.time_of(ts)

    @property
    def jitter(self) -> float:
        """Seconds, as in RFC 3550."""
        return self._jitter

    @property
    def held(self) -> int:
        """Packets waiting behind a hole."""
        return len(self._held)

    @property
    def hole_wait(self) -> float:
        """How long a hole is waited for, in seconds."""
        if self._reordering.seen < WARM_UP:
            return HOLE_WAIT_START
        wait = self._reordering.quantile() + HOLE_MARGIN
        return min(max(wait, HOLE_WAIT_MIN), HOLE_WAIT_MAX)

    @property
    def _idle_wait(self) -> float:
        if self._lateness.seen < WARM_UP:
            return IDLE_WAIT_MAX
        wait = self._lateness.quantile() + IDLE_MARGIN
        return min(max(wait, IDLE_WAIT_MIN), IDLE_WAIT_MAX)

    def _release(self, now: float) -> None:
        """Let go of all that is in order, and of a hole whose time is up."""
        while self._held:
            assert self._next_seq is not None
            first = self._next_seq
            if first not in self._held:
                if not self._hole_is_over(now):
                    return
                first = min(self._held)
                self._give_up(range(self._next_seq, first))
                self._holed = True
            self._next_seq = first + 1
            packet = self._held.pop(first)
            if packet.samples:
                self._play(packet)

    def _play(self, packet: _Packet) -> None:
        self._fill(packet, lost=self._holed)
        self._ready.append(
            Decode(self._time_of(packet.ts), packet.samples, packet.payload, packet.arrived)
        )
        self._next_ts, self._frame = packet.ts + packet.samples, packet.samples
        self._filled, self._holed = 0, False

    def _give_up(self, lost: range) -> None:
        self.counters.lost += len(lost)
        since = min(p.arrived for p in self._held.values())
        self._missing.update(dict.fromkeys(lost[-MAX_BACKWARD:], since))
        while len(self._missing) > MAX_BACKWARD:
            del self._missing[next(iter(self._missing))]

    def _hole_is_over(self, now: float) -> bool:
        if self._ended or len(self._held) > MAX_HELD:
            return True
        return now >= self._hole_deadline()

    def _hole_deadline(self) -> float:
        return min(p.arrived for p in self._held.values()) + self.hole_wait

    def _fill(self, packet: _Packet, lost: bool) -> None:
        """Bring the output to where `packet` begins, less what was filled while nothing came."""
        gap = max(packet.ts - self._next_ts, 0)
        self.counters.inserted += max(self._filled - gap, 0)
        limit = max(int(MAX_FILL_S * self.clock_rate), self._filled)
        self.counters.skipped += max(gap - limit, 0)
        missing = min(gap, limit) - min(self._filled, gap)
        at = packet.ts - missing
        if missing <= 0:
            return
        if not lost:  # a jump of the timestamp alone is a pause of the sender (DTX)
            self._ready.append(Silence(self._time_of(at), missing))
        elif missing <= CONCEALED_FRAMES * self._frame:
            self._ready.append(Conceal(self._time_of(at), missing, packet.payload))
        else:
            self._fill_long(at, missing, packet)

    def _fill_long(self, at: int, missing: int, packet: _Packet) -> None:
        """Fade out, be silent, and end with the frame that the next payload may have a copy of."""
        head = 0 if self._filled else CONCEALED_FRAMES * self._frame
        tail = min(packet.samples, missing - head)
        if head:
            self._ready.append(Conceal(self._time_of(at), head))
        if missing > head + tail:
            self._ready.append(Silence(self._time_of(at + head), missing - head - tail))
        self._ready.append(Conceal(self._time_of(packet.ts - tail), tail, packet.payload))

    def _idle(self, now: float) -> None:
        """Nothing came: keep the listener's time going for a while."""
        due = self._idle_due()
        if due is None or now < due:
            return
        at = self._next_ts + self._filled
        concealing = self._filled < CONCEALED_FRAMES * self._frame
        operation = Conceal if concealing else Silence
        self._ready.append(operation(self._time_of(at), self._frame))
        self._filled += self._frame

    def _idle_due(self) -> float | None:
        if self._ended or self._held or self._next_seq is None or self._path.base == float("inf"):
            return None
        if self._filled >= MAX_FILL_S * self.clock_rate:
            return None
        return self._time_of(self._next_ts + self._filled) + self._idle_wait

    def _wake(self) -> float | None:
        return self._hole_deadline() if self._held else self._idle_due()

    def _count(self, operation: Operation) -> None:
        match operation:
            case Decode():
                self.counters.played += 1
            case Conceal():
                self.counters.concealed += operation.samples
            case Silence():
                self.counters.silence += operation.samples
