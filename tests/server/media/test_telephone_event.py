"""Keys by RFC 4733, through lossy networks and past broken phones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.media import g711
from server.media.ear import Conceal, Decode, Ear, Silence
from server.media.telephone_event import BURST, KEYS, PER_S, REMEMBERED, EventDecoder

SPEECH, EVENT = 0, 101
TICKS = 160
"""Of the RTP clock in 20 ms."""


@dataclass(frozen=True)
class Packet:
    at: float
    """When it is sent, in seconds."""
    seq: int
    ts: int
    kind: int
    payload: bytes


def event(key: str, duration: int, end: bool = False) -> bytes:
    return bytes([KEYS.index(key), 0x8A if end else 0x0A]) + min(duration, 0xFFFF).to_bytes(
        2, "big"
    )


@dataclass
class Phone:
    """Sends speech, and digits either in its place or beside it, as phones do."""

    beside: bool
    first_seq: int = 65500
    first_ts: int = (1 << 32) - 5000
    sent: list[Packet] = field(default_factory=list)
    said: list[bytes] = field(default_factory=list)
    tick: int = 0

    def speak(self, frames: int) -> None:
        for _ in range(frames):
            self._say()
            self.tick += 1

    def press(self, key: str, frames: int = 5) -> None:
        begin = self.tick
        for n in range(1, frames + 1):
            if self.beside:
                self._say()
            self._send(EVENT, event(key, n * TICKS), begin)
            self.tick += 1
        for n in range(3):
            if self.beside:
                self._say()
            self._send(EVENT, event(key, frames * TICKS, end=True), begin)
            if self.beside or n < 2:
                self.tick += 1

    def _say(self) -> None:
        number = len(self.said)
        self.said.append(number.to_bytes(4, "big") * (TICKS // 4))
        self._send(SPEECH, self.said[-1], self.tick)

    def _send(self, kind: int, payload: bytes, tick: int) -> None:
        seq = (self.first_seq + len(self.sent)) & 0xFFFF
        ts = (self.first_ts + tick * TICKS) & 0xFFFFFFFF
        self.sent.append(Packet(self.tick / 50 + len(self.sent) * 1e-6, seq, ts, kind, payload))


def conversation(count: int, beside: bool, rng: random.Random) -> tuple[Phone, str]:
    phone, keys = Phone(beside), "".join(rng.choice(KEYS) for _ in range(count))
    phone.speak(20)
    for key in keys:
        phone.press(key, rng.randint(3, 7))
        phone.speak(rng.choice([1, 2, 5]))
    phone.speak(20)
    return phone, keys


def travelled(phone: Phone, loss: float, jitter: float, rng: random.Random) -> list[Packet]:
    """What arrives, in the order in which it does, some of it twice."""
    first, *rest = phone.sent
    arriving = [(first.at, first)] + [
        (p.at + rng.random() * jitter, p) for p in rest if rng.random() >= loss
    ]
    arriving += [(at + rng.random() * jitter, p) for at, p in arriving if rng.random() < 0.02]
    return [Packet(at, p.seq, p.ts, p.kind, p.payload) for at, p in sorted(arriving, key=_when)]


def _when(arrival: tuple[float, Packet]) -> float:
    return arrival[0]


@dataclass
class Heard:
    keys: str = ""
    sound: list[bytes] = field(default_factory=list)
    filled: int = 0
    concealed: int = 0


def hear(packets: list[Packet]) -> tuple[Heard, Ear]:
    """As `EarReceiver` does it, with its timers."""
    ear, decoder, heard = Ear(8000), EventDecoder(), Heard()
    wake: float | None = None
    for packet in packets:
        while wake is not None and wake < packet.at:
            wake = _pull(ear, wake, heard)
        if packet.kind == EVENT:
            heard.keys += decoder.push(packet.payload, packet.ts, 7, packet.at) or ""
            ear.skip(packet.seq, packet.at, 7)
        else:
            ear.push(packet.seq, packet.ts, packet.payload, TICKS, packet.at, 7)
        wake = _pull(ear, packet.at, heard)
    ear.end()
    _pull(ear, 1e9, heard)
    return heard, ear


def _pull(ear: Ear, now: float, heard: Heard) -> float | None:
    while True:
        operation, wake = ear.pull(now)
        match operation:
            case None:
                return wake
            case Decode():
                heard.sound.append(operation.payload)
            case Conceal():
                heard.concealed += operation.samples
                heard.filled += operation.samples
            case Silence():
                heard.filled += operation.samples


@pytest.mark.parametrize("beside", [False, True])
def test_a_thousand_digits_leave_the_speech_between_them_whole(beside: bool) -> None:
    phone, keys = conversation(1000, beside, random.Random(1))
    heard, ear = hear(phone.sent)
    assert heard.keys == keys
    assert heard.sound == phone.said
    assert ear.counters.lost == ear.counters.late == ear.counters.duplicates == 0
    silent = 0 if beside else phone.tick * TICKS - len(phone.said) * TICKS
    assert heard.filled == silent + ear.counters.inserted
    if beside:
        assert ear.counters.inserted == heard.concealed == 0


@pytest.mark.parametrize(("loss", "beside"), [(0.02, False), (0.05, True), (0.10, False)])
def test_a_thousand_digits_survive_a_bad_network(loss: float, beside: bool) -> None:
    rng = random.Random(int(loss * 100))
    phone, keys = conversation(1000, beside, rng)
    arrived = travelled(phone, loss, 0.03, rng)
    heard, ear = hear(arrived)
    assert heard.keys == keys
    arrived_sound = {p.payload for p in arrived if p.kind == SPEECH}
    in_order = [payload for payload in phone.said if payload in arrived_sound]
    assert len(in_order) - len(heard.sound) <= ear.counters.late
    assert is_part(heard.sound, in_order)


def is_part(part: list[bytes], whole: list[bytes]) -> bool:
    rest = iter(whole)
    return all(payload in rest for payload in part)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.booleans(),
    st.sampled_from([0.0, 0.02, 0.05]),
    st.floats(0, 0.04),
)
def test_no_digit_is_missed_or_doubled(seed: int, beside: bool, loss: float, jitter: float) -> None:
    rng = random.Random(seed)
    phone, keys = conversation(25, beside, rng)
    heard, ear = hear(travelled(phone, loss, jitter, rng))
    assert heard.keys == keys
    if loss == 0.0 and ear.counters.late == 0:
        assert heard.sound == phone.said


def press(
    decoder: EventDecoder, *packets: tuple[bytes, int], ssrc: int = 7, at: float = 0.0
) -> str:
    return "".join(decoder.push(payload, ts, ssrc, at) or "" for payload, ts in packets)


def test_a_press_counts_at_whichever_of_its_packets_comes_first() -> None:
    decoder = EventDecoder()
    assert press(decoder, (event("4", 160), 1000), (event("4", 320), 1000)) == "4"
    assert press(decoder, (event("5", 800, end=True), 9000)) == "5"
    assert press(decoder, (event("5", 800, end=True), 9000), (event("5", 160), 9000)) == ""


def test_every_key_of_a_telephone_is_known() -> None:
    decoder = EventDecoder()
    packets = [(event(key, 160), 5000 * n) for n, key in enumerate(KEYS)]
    assert press(decoder, *packets) == "0123456789*#ABCD"


def test_the_same_key_twice_within_sixty_milliseconds_is_two_presses() -> None:
    decoder = EventDecoder()
    assert press(decoder, (event("7", 320), 0), (event("7", 320), 480)) == "77"
    assert press(decoder, (event("8", 320, end=True), 9000), (event("8", 160), 9320)) == "88"


def test_a_press_longer_than_a_duration_goes_on_under_another_timestamp() -> None:
    decoder = EventDecoder()
    segments = [(event("1", d), 0xFFFFFF00) for d in (160, 60000, 0xFFFF)]
    second = (0xFFFFFF00 + 0xFFFF) & 0xFFFFFFFF
    segments += [(event("1", d), second) for d in (160, 0xFFFF)]
    segments += [(event("1", 160, end=True), (second + 0xFFFF) & 0xFFFFFFFF)]
    assert press(decoder, *segments) == "1"
    lossy = EventDecoder()
    assert press(lossy, (event("1", 64000), 500), (event("1", 480), 500 + 0xFFFF)) == "1"
    short = EventDecoder()
    assert press(short, (event("1", 320), 500), (event("1", 480), 500 + 0xFFFF)) == "11"


def test_a_phone_that_changes_the_timestamp_with_every_packet_presses_once() -> None:
    decoder = EventDecoder()
    packets = [(event("3", (n + 1) * 160), 1000 + n * 160) for n in range(5)]
    packets += [(event("3", 800, end=True), 1800 + n * 160) for n in range(3)]
    assert press(decoder, *packets) == "3"
    assert press(decoder, (event("3", 160), 4000)) == "3"


def test_another_source_is_another_press() -> None:
    decoder = EventDecoder()
    assert press(decoder, (event("2", 160), 0)) == "2"
    assert press(decoder, (event("2", 160), 0), ssrc=8) == "2"


def test_rubbish_is_counted_and_nothing_else() -> None:
    decoder = EventDecoder()
    assert press(decoder, (b"", 0), (b"\x01\x00", 1), (b"\x10\x00\x00\xa0", 2)) == ""
    assert press(decoder, (b"\xff" * 200, 3)) == ""
    assert decoder.rubbish == 4
    assert press(decoder, (event("6", 160), 4), (event("9", 160), 4)) == "6"


def test_a_flood_is_bounded() -> None:
    decoder = EventDecoder()
    flood = "".join(
        decoder.push(event("5", 1, end=True), n * 5000, n, at=n / 1000) or "" for n in range(10_000)
    )
    assert len(flood) <= BURST + 10 * PER_S + 1
    assert decoder.flooded == 10_000 - len(flood)
    assert len(decoder._presses) == REMEMBERED
    later = decoder.push(event("1", 160), 0, 1, at=100.0)
    assert later == "1"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.binary(max_size=8), st.integers(0, 0xFFFFFFFF), st.integers(0, 2), st.floats(0, 5)
        ),
        max_size=100,
    )
)
def test_nothing_that_arrives_raises(packets: list) -> None:
    decoder, at = EventDecoder(), 0.0
    for payload, ts, ssrc, pause in packets:
        at += pause
        assert (decoder.push(payload, ts, ssrc, at) or "0") in KEYS


def test_the_sound_beside_digits_is_the_same_to_the_sample() -> None:
    phone, _ = conversation(30, True, random.Random(2))
    heard, _ = hear(phone.sent)
    decoder = g711.Decoder()
    once = np.concatenate([decoder.decode(payload) for payload in heard.sound])
    said = np.concatenate([g711.MU_LAW.decode(payload) for payload in phone.said])
    assert np.array_equal(once, said)
