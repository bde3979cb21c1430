"""The ear, against simulated networks and against rubbish."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.media.ear import (
    MAX_FILL_S,
    Conceal,
    Decode,
    Ear,
    Operation,
    Silence,
    Spread,
    unwrap,
)

RATE, FRAME = 48000, 960
FRAME_S = FRAME / RATE


@dataclass(frozen=True)
class Sent:
    """Packet `n` of a stream, and when it arrives (None: never)."""

    n: int
    arrives: float | None
    gap: int = 0
    """Samples of silence the sender left out before this packet and all later ones."""


class Listening:
    """An ear driven as the receiver drives it: pumped at each arrival and at each wake time."""

    def __init__(self, first_seq: int = 100, first_ts: int = 5000, ear: Ear | None = None) -> None:
        self.ear = ear or Ear(RATE)
        self.first_seq, self.first_ts = first_seq, first_ts
        self.operations: list[tuple[float, Operation]] = []
        self._wake: float | None = None

    def hear(self, packets: Iterable[Sent], until: float = 0.0) -> Listening:
        arriving = sorted(
            ((p.arrives, p) for p in packets if p.arrives is not None), key=lambda x: x[0]
        )
        for at, packet in arriving:
            self._sleep(at)
            self.push(packet, at)
        self._sleep(until)
        return self

    def push(self, packet: Sent, at: float) -> None:
        self.ear.push(
            (self.first_seq + packet.n) & 0xFFFF,
            (self.first_ts + packet.n * FRAME + packet.gap) & 0xFFFFFFFF,
            packet.n.to_bytes(4, "big"),
            FRAME,
            at,
            ssrc=1,
        )
        self._pump(at)

    def end(self, at: float) -> Listening:
        self.ear.end()
        self._pump(at)
        return self

    def _sleep(self, until: float) -> None:
        while self._wake is not None and self._wake < until:
            self._pump(self._wake)

    def _pump(self, now: float) -> None:
        while True:
            operation, self._wake = self.ear.pull(now)
            if operation is None:
                return
            self.operations.append((now, operation))

    @property
    def played(self) -> list[int]:
        return [int.from_bytes(o.payload, "big") for _, o in self.operations if _is(o, Decode)]

    @property
    def held(self) -> list[float]:
        return [now - o.arrived for now, o in self.operations if isinstance(o, Decode)]

    @property
    def samples(self) -> int:
        return sum(o.samples for _, o in self.operations)

    def owed(self, packets: Iterable[Sent]) -> int:
        """The samples that must come out for these packets, by the ear's own account of extras."""
        arrived = [p for p in packets if p.arrives is not None]
        last = max(arrived, key=lambda p: p.n)
        first = min(arrived, key=lambda p: p.n)
        span = (last.n - first.n + 1) * FRAME + last.gap - first.gap
        return span + self.ear.counters.inserted - self.ear.counters.skipped


def _is(operation: Operation, kind: type) -> bool:
    return isinstance(operation, kind)


def steady(count: int, delay: float = 0.05) -> Iterator[Sent]:
    return (Sent(n, n * FRAME_S + delay) for n in range(count))


def lossy(count: int, rng: random.Random, loss: float, jitter: float, burst: int = 1) -> list[Sent]:
    lost: set[int] = set()
    for n in range(1, count - 1):
        if rng.random() < loss / burst:
            lost.update(range(n, min(n + burst, count - 1)))
    return [
        Sent(n, None if n in lost else n * FRAME_S + 0.05 + rng.random() * jitter)
        for n in range(count)
    ]


def test_packets_in_order_are_released_at_once() -> None:
    packets = list(steady(500))
    heard = Listening().hear(packets)
    assert heard.played == list(range(500))
    assert max(heard.held) == 0.0
    assert heard.samples == heard.owed(packets) == 500 * FRAME


def test_two_swapped_packets_are_put_in_order() -> None:
    packets = list(steady(50))
    packets[20], packets[21] = Sent(20, packets[21].arrives), Sent(21, packets[20].arrives)
    heard = Listening().hear(packets)
    assert heard.played == list(range(50))
    assert heard.ear.counters.lost == 0


def test_a_lost_packet_is_concealed_once_with_the_next_payload_for_fec() -> None:
    packets = [p if p.n != 10 else Sent(10, None) for p in steady(30)]
    heard = Listening().hear(packets)
    concealed = [o for _, o in heard.operations if isinstance(o, Conceal)]
    assert [(o.samples, o.next_payload) for o in concealed] == [(FRAME, (11).to_bytes(4, "big"))]
    assert heard.played == [n for n in range(30) if n != 10]
    assert heard.samples == 30 * FRAME
    assert heard.ear.counters.lost == 1


def test_a_hole_is_waited_for_sixty_milliseconds_at_first() -> None:
    packets = [p if p.n != 10 else Sent(10, None) for p in steady(30)]
    heard = Listening().hear(packets)
    assert max(heard.held) == pytest.approx(0.060)


def test_a_long_hole_fades_is_silent_and_ends_with_fec() -> None:
    packets = [p if not 10 <= p.n < 20 else Sent(p.n, None) for p in steady(40)]
    heard = Listening().hear([p for p in packets if p.n < 10])
    # All at once, before the idle timer fills anything.
    for packet in packets[20:]:
        heard.push(packet, 0.3)
    heard.end(0.3)
    filled = [o for _, o in heard.operations if not isinstance(o, Decode)]
    assert [(type(o), o.samples // FRAME) for o in filled] == [
        (Conceal, 3),
        (Silence, 6),
        (Conceal, 1),
    ]
    assert heard.samples == 40 * FRAME


def test_waiting_learns_how_late_packets_come() -> None:
    rng = random.Random(5)
    packets = [
        Sent(p.n, p.arrives + (0.09 if rng.random() < 0.02 else 0.0))
        for p in steady(3000)
        if p.arrives is not None
    ]
    heard = Listening().hear(packets)
    assert heard.ear.hole_wait == pytest.approx(0.075, abs=0.01)
    later = [Sent(p.n + 3000, p.arrives + 60.0) for p in packets if p.arrives is not None]
    lost_before = heard.ear.counters.lost
    heard.hear(later)
    assert heard.ear.counters.lost == lost_before


def test_without_reordering_the_wait_shrinks_to_twenty_milliseconds() -> None:
    assert Listening().hear(steady(400)).ear.hole_wait == pytest.approx(0.020)


def test_when_nothing_comes_three_frames_are_concealed_and_two_seconds_filled() -> None:
    heard = Listening().hear(steady(100), until=30.0)
    filled = [o for _, o in heard.operations if not isinstance(o, Decode)]
    assert [type(o) for o in filled[:4]] == [Conceal, Conceal, Conceal, Silence]
    assert all(isinstance(o, Silence) for o in filled[3:])
    assert sum(o.samples for o in filled) == MAX_FILL_S * RATE


def test_what_comes_late_but_in_order_is_still_played() -> None:
    stalled = [Sent(n, max(n * FRAME_S + 0.05, 3.0 if n >= 100 else 0.0)) for n in range(200)]
    heard = Listening().hear(stalled)
    assert heard.played == list(range(200))
    assert heard.ear.counters.inserted > 0
    assert heard.samples == heard.owed(stalled)


def test_a_short_stall_inserts_nothing() -> None:
    stalled = [Sent(n, max(n * FRAME_S + 0.05, 2.14 if n >= 100 else 0.0)) for n in range(200)]
    heard = Listening().hear(stalled)
    assert heard.samples == 200 * FRAME
    assert heard.ear.counters.inserted == 0


def test_operations_after_a_stall_keep_the_time_at_which_they_were_sent() -> None:
    stalled = [Sent(n, max(n * FRAME_S + 0.05, 3.0 if n >= 100 else 0.0)) for n in range(200)]
    heard = Listening().hear(stalled)
    for _, operation in heard.operations:
        if isinstance(operation, Decode):
            n = int.from_bytes(operation.payload, "big")
            assert operation.at == pytest.approx(n * FRAME_S + 0.05, abs=0.001)


def test_a_pause_of_the_sender_is_silence_and_not_loss() -> None:
    pause = 8 * FRAME
    packets = [
        Sent(n, n * FRAME_S + 0.05 + (pause / RATE if n >= 50 else 0), pause if n >= 50 else 0)
        for n in range(100)
    ]
    heard = Listening().hear(packets)
    assert heard.played == list(range(100))
    assert heard.samples == 100 * FRAME + pause
    assert heard.ear.counters.lost == 0


def test_a_gap_of_a_minute_is_filled_for_two_seconds_only() -> None:
    pause = 60 * RATE
    packets = [
        Sent(n, n * FRAME_S + 0.05 + (60.0 if n >= 50 else 0), pause if n >= 50 else 0)
        for n in range(100)
    ]
    heard = Listening().hear(packets)
    assert heard.samples == 100 * FRAME + int(MAX_FILL_S * RATE) == heard.owed(packets)


def test_sequence_and_timestamp_wrap() -> None:
    packets = lossy(600, random.Random(1), loss=0.05, jitter=0.03)
    heard = Listening(first_seq=65400, first_ts=(1 << 32) - 200 * FRAME).hear(packets)
    assert heard.played == [p.n for p in packets if p.arrives is not None]
    assert heard.samples == heard.owed(packets)


def test_duplicates_are_played_once() -> None:
    packets = [q for p in steady(100) for q in (p, Sent(p.n, (p.arrives or 0) + 0.007))]
    heard = Listening().hear(packets)
    assert heard.played == list(range(100))
    assert heard.ear.counters.duplicates == 100
    assert heard.ear.hole_wait == pytest.approx(0.060)


def test_another_source_begins_a_stream_of_its_own() -> None:
    heard = Listening().hear(steady(100))
    heard.ear.push(9, 77, b"\0\0\0\x07", FRAME, 2.1, ssrc=2)
    heard.ear.push(10, 77 + FRAME, b"\0\0\0\x08", FRAME, 2.12, ssrc=2)
    heard.end(2.2)
    assert heard.played[-2:] == [7, 8]
    assert heard.ear.counters.restarts == 1
    assert heard.samples == 102 * FRAME


def test_a_jump_is_believed_when_the_next_packet_follows_it() -> None:
    heard = Listening().hear(steady(50))
    for n in range(30000, 30010):
        heard.push(Sent(n, None), 1.1 + (n - 30000) * FRAME_S)
    heard.end(2.0)
    assert heard.played == [*range(50), *range(30000, 30010)]
    assert heard.samples == 60 * FRAME


def test_a_lone_outlier_is_ignored() -> None:
    heard = Listening().hear(steady(50))
    heard.push(Sent(30000, None), 1.06)
    heard.hear([Sent(n, n * FRAME_S + 0.08) for n in range(50, 100)])
    assert heard.played == list(range(100))


def test_a_packet_of_no_or_impossible_length_is_dropped() -> None:
    ear = Ear(RATE)
    ear.push(1, 1, b"", 0, 0.0, 1)
    ear.push(2, 1, b"", RATE, 0.0, 1)
    assert ear.pull(0.0) == (None, None)
    assert ear.counters.dropped == 2


def test_the_end_of_the_stream_lets_go_of_everything() -> None:
    packets = [p for p in steady(20) if p.n != 17]
    heard = Listening().hear(packets)
    assert heard.ear.held > 0
    heard.end(0.5)
    assert heard.ear.held == 0
    assert heard.played == [p.n for p in packets]


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("loss", [0.0, 0.01, 0.02, 0.05, 0.1])
def test_all_that_arrives_is_heard_and_samples_add_up_under_loss(loss: float, burst: int) -> None:
    packets = lossy(3000, random.Random(int(loss * 100) + burst), loss, jitter=0.003, burst=burst)
    heard = Listening().hear(packets)
    assert heard.played == [p.n for p in packets if p.arrives is not None]
    assert heard.samples == heard.owed(packets)
    held = sorted(heard.held)
    assert held[len(held) // 2] <= 0.005


@pytest.mark.parametrize("ppm", [-100, 100])
def test_a_drifting_clock_is_followed(ppm: int) -> None:
    packets = [Sent(n, n * FRAME_S * (1 + ppm * 1e-6) + 0.05) for n in range(20000)]
    heard = Listening().hear(packets)
    assert heard.samples == 20000 * FRAME
    assert heard.ear.counters.inserted == 0


network = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "count": st.integers(2, 300),
        "loss": st.floats(0, 0.5),
        "jitter": st.floats(0, 0.2),
        "burst": st.integers(1, 20),
        "first_seq": st.integers(0, 0xFFFF),
        "first_ts": st.integers(0, 0xFFFFFFFF),
        "doubled": st.floats(0, 0.3),
    }
)


@settings(max_examples=150, deadline=None)
@given(network)
def test_whatever_the_network_does_order_holds_and_samples_add_up(net: dict) -> None:
    rng = random.Random(net["seed"])
    packets = lossy(net["count"], rng, net["loss"], net["jitter"], net["burst"])
    packets[0] = Sent(0, 0.0)  # the stream begins with what arrives first
    copies = [
        Sent(p.n, p.arrives + rng.random())
        for p in packets
        if p.arrives is not None and rng.random() < net["doubled"]
    ]
    heard = Listening(net["first_seq"], net["first_ts"])
    heard.hear(packets + copies).end(at=1e6)
    arrived = {p.n for p in packets if p.arrives is not None}
    counters = heard.ear.counters
    assert heard.played == sorted(set(heard.played))
    assert set(heard.played) <= arrived
    assert len(arrived - set(heard.played)) <= counters.late
    played_to = [p for p in packets if p.n in set(heard.played)]
    assert heard.samples == heard.owed(played_to)
    assert counters.concealed + counters.silence + counters.played * FRAME == heard.samples


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF),
            st.integers(0, 0xFFFFFFFF),
            st.integers(-5, 6000),
            st.floats(0, 0.5),
            st.integers(0, 2),
        ),
        max_size=200,
    )
)
def test_rubbish_never_raises_and_never_fills_memory(pushes: list) -> None:
    ear, now, out = Ear(RATE), 0.0, 0
    for seq, ts, samples, pause, ssrc in pushes:
        now += pause
        ear.push(seq, ts, b"x", samples, now, ssrc)
        while (step := ear.pull(now))[0] is not None:
            out += step[0].samples
        assert step[1] is None or step[1] > now or ear.held == 0
        assert ear.held <= 512
    counters = ear.counters
    assert counters.played + counters.dropped + counters.duplicates + counters.late <= len(pushes)
    assert out <= len(pushes) * (MAX_FILL_S * RATE + 2 * 5760)


@given(st.integers(0, 1 << 40), st.integers(-(1 << 15) + 1, (1 << 15) - 1))
def test_unwrapping_finds_the_nearest(near: int, offset: int) -> None:
    assert unwrap((near + offset) & 0xFFFF, near, 16) == near + offset


@given(st.lists(st.floats(0, 1), min_size=1, max_size=300))
def test_a_spread_is_the_upper_quantile_of_the_latest(values: list[float]) -> None:
    spread = Spread(size=100)
    for value in values:
        spread.add(value)
    assert spread.quantile() == max(values[-100:])
