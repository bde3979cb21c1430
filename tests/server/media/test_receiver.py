"""The ear where aiortc keeps its jitter buffer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtcconfiguration import RTCConfiguration

from server.media import g711, g722, opus
from server.media.errors import HookMissing
from server.media.receiver import EarReceiver, Hearing, install


@dataclass
class Packet:
    sequence_number: int
    timestamp: int
    payload: bytes
    ssrc: int = 1
    payload_type: int = 96


class Ears:
    def __init__(self) -> None:
        self.sound: list[np.ndarray] = []
        self.times: list[float] = []

    def __call__(self, pcm: np.ndarray, rate: int, at: float) -> None:
        self.sound.append(pcm)
        self.times.append(at)

    @property
    def samples(self) -> int:
        return sum(map(len, self.sound))


def opus_packets(count: int) -> list[Packet]:
    encoder, rng = opus.Encoder(24000), np.random.default_rng(3)
    noise = (rng.standard_normal((count, 480)) * 3000).astype(np.int16)
    return [Packet(n, n * 960, encoder.encode(frame)) for n, frame in enumerate(noise)]


async def test_the_hook_is_where_it_was() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("audio").receiver
    ear = EarReceiver("opus", Ears())
    install(receiver, ear)
    assert receiver._RTCRtpReceiver__jitter_buffer is ear
    await connection.close()


def test_an_aiortc_without_the_hook_is_noticed() -> None:
    async def attempt() -> None:
        install(object(), EarReceiver("opus", Ears()))

    with pytest.raises(HookMissing, match="pin aiortc"):
        asyncio.run(attempt())


async def test_packets_become_sound_at_once_and_aiortc_gets_nothing() -> None:
    ears = Ears()
    receiver = EarReceiver("opus", ears)
    for n, packet in enumerate(opus_packets(10)):
        assert receiver.add(packet) == (False, None)
        assert ears.samples == (n + 1) * 960
    receiver.close()
    assert receiver.hearing.packets_arrived == 10
    assert receiver.hearing.seconds_heard == pytest.approx(0.2)


async def test_a_hole_is_concealed_by_its_own_timer() -> None:
    ears = Ears()
    receiver = EarReceiver("opus", ears)
    packets = opus_packets(10)
    for packet in packets[:5] + packets[6:8]:
        receiver.add(packet)
    assert ears.samples == 5 * 960
    await asyncio.sleep(0.08)
    assert ears.samples == 8 * 960
    receiver.close()
    assert receiver.hearing.packets_lost == 1
    assert receiver.hearing.frames_recovered + receiver.hearing.frames_concealed == 1


async def test_closing_plays_what_is_held_and_leaves_no_timer() -> None:
    ears = Ears()
    receiver = EarReceiver("opus", ears)
    packets = opus_packets(10)
    for packet in packets[:5] + packets[6:]:
        receiver.add(packet)
    receiver.close()
    assert ears.samples == 10 * 960
    assert receiver.add(packets[9]) == (False, None)
    await asyncio.sleep(0.2)
    assert ears.samples == 10 * 960


async def test_rubbish_and_failing_listeners_do_not_reach_aiortc() -> None:
    def failing(pcm: np.ndarray, rate: int, at: float) -> None:
        raise TypeError("a listener's own mistake")

    receiver = EarReceiver("opus", failing)
    for packet in opus_packets(3):
        assert receiver.add(packet) == (False, None)
    assert receiver.add(Packet(3, 3 * 960, b"")) == (False, None)
    assert receiver.add(Packet(4, 4 * 960, b"\xff" * 1400)) == (False, None)
    assert receiver.add(object()) == (False, None)  # type: ignore[arg-type]
    receiver.close()
    assert receiver.hearing.packets_bad == 2
    assert receiver.hearing.seconds_heard == pytest.approx(0.06)


@pytest.mark.parametrize(("codec", "law"), [("PCMU", g711.MU_LAW), ("PCMA", g711.A_LAW)])
async def test_the_telephone_is_heard_too(codec: str, law: g711.Law) -> None:
    ears = Ears()
    receiver = EarReceiver(codec, ears)
    sound = (np.sin(np.arange(1600) / 5) * 8000).astype(np.int16)
    for n in range(10):
        receiver.add(Packet(n, n * 160, law.encode(sound[n * 160 : n * 160 + 160])))
    receiver.close()
    assert np.abs(np.concatenate(ears.sound).astype(int) - sound).max() < 500


async def test_wideband_sound_is_twice_as_long_as_its_clock_says() -> None:
    ears, encoder = Ears(), g722.Encoder()
    receiver = EarReceiver("G722", ears)
    sound = (np.sin(np.arange(3200) / 5) * 8000).astype(np.int16)
    sent = [Packet(n, n * 160, encoder.encode(f)) for n, f in enumerate(np.split(sound, 10))]
    for packet in sent[:4] + sent[5:]:
        receiver.add(packet)
    receiver.close()
    assert ears.samples == 3200
    hearing = receiver.hearing
    assert hearing.seconds_heard == pytest.approx(0.18)
    assert hearing.seconds_concealed == pytest.approx(0.02)
    assert hearing.frames_concealed == 1


async def test_sound_has_the_time_at_which_it_was_sent() -> None:
    ears = Ears()
    receiver = EarReceiver("opus", ears)
    begin = asyncio.get_running_loop().time()
    for packet in opus_packets(5):
        receiver.add(packet)  # five packets in a burst: the last was sent just now
    receiver.close()
    assert begin <= ears.times[-1] <= asyncio.get_running_loop().time()


def test_what_was_counted_since_an_earlier_look() -> None:
    earlier = Hearing(packets_arrived=100, packets_lost=3, seconds_heard=2.0, jitter_ms=5.0)
    later = replace(earlier, packets_arrived=150, frames_concealed=2, last_packet_at=9.0)
    assert later.since(Hearing()) == later
    counted = later.since(earlier)
    assert counted == Hearing(50, frames_concealed=2, jitter_ms=5.0, last_packet_at=9.0)
