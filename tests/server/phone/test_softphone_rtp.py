from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.softphone import srtp, telephone_event
from server.phone.softphone.errors import Malformed
from server.phone.softphone.impairment import Impairment, Line
from server.phone.softphone.listening import SAMPLE_RATE, Listening
from server.phone.softphone.rtp import Packet, after, unpack
from server.phone.softphone.speaking import FRAME, TICK_S, Speaking, Terms

PACKET = Packet(101, 65535, 2**32 - 1, 7, b"payload", marker=True)
TONE = (np.sin(np.arange(FRAME * 10) * 0.3) * 8000).astype(np.int16)


def test_a_packet_is_unpacked_as_it_was_packed() -> None:
    assert unpack(PACKET.packed()) == PACKET


def test_contributors_an_extension_and_padding_are_no_payload() -> None:
    head, body = PACKET.packed()[:12], b"payload"
    extended = bytes([0x80 | 0x20 | 0x10 | 2]) + head[1:] + bytes(8)
    extended += b"\xbe\xde\x00\x01" + bytes(4) + body + b"\x00\x00\x03"
    assert unpack(extended).payload == body


@given(st.binary(max_size=80))
def test_no_datagram_raises_anything_but_malformed(data: bytes) -> None:
    try:
        unpack(data)
    except Malformed:
        return


def test_counters_wrap() -> None:
    assert after(65535, 2, 16) == 3
    assert after(2, 65535, 16) == -3
    assert after(2**32 - 160, 0, 32) == 160


def _ticks(speaking: Speaking, count: int) -> list[Packet | None]:
    said = (speaking.tick(speaking.due) for _ in range(count))
    return [one[0] if one else None for one in said]


def _ready(event_type: int | None = 101) -> Speaking:
    speaking = Speaking(seed=1, at=0.0)
    speaking.terms = Terms(event_type=event_type)
    return speaking


def test_a_digit_is_updates_and_three_ends_at_one_timestamp_and_the_speech_between_is_whole() -> (
    None
):
    speaking = _ready()
    speaking.play(TONE)
    _ticks(speaking, 2)
    speaking.press("5", down_s=0.1, gap_s=0.1)
    speaking.press("#", down_s=0.1, gap_s=0.1)
    packets = [one for one in _ticks(speaking, 22) if one]
    first, second = ([p for p in packets if p.payload[:1] == bytes([key])] for key in (5, 11))
    durations = [int.from_bytes(one.payload[2:]) for one in first if one.payload_type == 101]
    assert durations == [160, 320, 480, 640, 800, 800, 800]
    ends = [bool(one.payload[1] & 0x80) for one in first if one.payload_type == 101]
    assert ends == [False] * 4 + [True] * 3
    assert len({one.timestamp for one in first if one.payload_type == 101}) == 1
    assert [one.marker for one in packets if one.payload_type == 101] == [
        at in (0, 7) for at in range(14)
    ]
    assert second
    assert [one.sequence for one in packets] == [
        (packets[0].sequence + at) % 65536 for at in range(22)
    ]
    spoken = [one for one in packets if one.payload_type == 0]
    assert len(spoken) == 8 and not speaking.saying
    assert spoken[0].timestamp - first[0].timestamp == 7 * FRAME  # the clock went on


def test_a_late_tick_is_one_packet_and_the_timestamp_follows_the_clock() -> None:
    speaking = _ready()
    speaking.play(TONE)
    before = speaking.tick(0.0)
    late = speaking.tick(TICK_S * 6.5)
    assert before and late and speaking.late == 5
    assert late[0].timestamp - before[0].timestamp == 6 * FRAME
    assert late[0].sequence - before[0].sequence == 6, "lost, and no pause of the telephone's"
    assert speaking.due == pytest.approx(TICK_S * 7)
    assert len([one for one in _ticks(speaking, 20) if one]) == 20
    assert not speaking.saying


def test_silence_is_sent_unless_it_is_suppressed_and_sound_behind_it_is_marked() -> None:
    speaking = _ready()
    assert all(_ticks(speaking, 3))
    speaking.muted = True
    assert not any(_ticks(speaking, 3))
    speaking.play(TONE[:FRAME])
    (packet,) = _ticks(speaking, 1)
    assert packet and packet.marker


def test_nothing_is_said_into_a_hold_and_music_takes_the_place_of_speech() -> None:
    speaking = _ready()
    speaking.play(TONE)
    speaking.terms = replace(speaking.terms, sends=False)
    assert not any(_ticks(speaking, 5)) and speaking.saying
    speaking.terms = replace(speaking.terms, sends=True)
    speaking.music = TONE[:200]
    heard = np.concatenate([said[1] for _ in range(5) if (said := speaking.tick(speaking.due))])
    np.testing.assert_array_equal(heard, np.resize(TONE[:200], 5 * FRAME))
    assert speaking.saying


@given(st.lists(st.sampled_from(telephone_event.KEYS), max_size=8), st.randoms())
def test_digits_are_heard_once_each_whatever_is_doubled_or_lost(
    keys: list[str], chance: object
) -> None:
    speaking, listener, heard = _ready(), telephone_event.Listener(), ""
    for key in keys:
        speaking.press(key, 0.08, 0.06)
        packets = [p for p in _ticks(speaking, 12) if p and p.payload_type == 101]
        some = chance.sample(packets, chance.randint(1, len(packets)))  # type: ignore[attr-defined]
        for packet in sorted(some, key=lambda one: one.sequence):
            heard += listener.hear(packet) + listener.hear(packet)
    assert heard == "".join(keys)


def test_a_digit_of_garbage_is_none() -> None:
    listener = telephone_event.Listener()
    for payload in (b"", b"\x05", b"\xff\x8a\x03\x20"):
        assert listener.hear(replace(PACKET, payload=payload)) == ""


def test_a_line_loses_its_share_keeps_the_order_and_is_the_same_again() -> None:
    line = Line(Impairment(loss=0.1, delay_s=0.05, jitter_s=0.03), seed=3)
    arrivals = [line.arrival(at / 50) for at in range(5000)]
    came = [one for one in arrivals if one is not None]
    assert 0.08 < 1 - len(came) / 5000 < 0.12
    assert came == sorted(came)
    assert all(0.05 <= one - at / 50 <= 0.08 for at, one in enumerate(arrivals) if one is not None)
    again = Line(Impairment(loss=0.1, delay_s=0.05, jitter_s=0.03), seed=3)
    assert [again.arrival(at / 50) for at in range(5000)] == arrivals


def test_overtaken_packets_come_behind_the_next() -> None:
    line = Line(Impairment(reorder=0.2), seed=3)
    arrivals = [line.arrival(at / 50) or 0.0 for at in range(1000)]
    swapped = sum(a > b for a, b in itertools.pairwise(arrivals))
    assert 100 < swapped < 250


def _hear(listening: Listening, at: float, index: int, ssrc: int = 1) -> None:
    packet = Packet(0, (65530 + index) % 65536, (2**32 - 320 + index * FRAME) % 2**32, ssrc, b"x")
    listening.hear(packet, np.full(FRAME, index + 1, np.int16), at)


def test_sound_lies_where_its_timestamps_say_and_losses_are_silence() -> None:
    listening = Listening()
    for index in (0, 2, 1, 4, 2):  # overtaken, lost, doubled
        _hear(listening, 100.0 + index * TICK_S + 0.003 * (index % 2), index)
    sound = listening.sound(0.0)
    np.testing.assert_array_equal(sound[::FRAME], [1, 2, 3, 0, 5])
    assert len(sound) == 5 * FRAME
    np.testing.assert_array_equal(listening.sound(100.0 + 1.5 * TICK_S)[:100], [2] * 80 + [3] * 20)
    assert len(listening.sound(101.0)) == 0
    told = listening.statistics(silent_below=0)
    assert (told.packets, told.lost) == (4, 1)


def test_a_stream_that_jumps_or_is_another_is_placed_by_its_arrival() -> None:
    listening = Listening()
    _hear(listening, 10.0, 0)
    _hear(listening, 10.5, 5000)
    _hear(listening, 11.0, 3, ssrc=2)
    sound = listening.sound(0.0)
    assert [int(sound[round(at * SAMPLE_RATE)]) for at in (0.0, 0.5, 1.0)] == [1, 5001, 4]


def test_level_and_jitter_are_those_of_the_sound() -> None:
    listening = Listening()
    loud = np.full(FRAME, 16384, np.int16)
    for index in range(200):
        late = 0.008 * (index % 2)
        listening.hear(Packet(0, index, index * FRAME, 1, b""), loud, index * TICK_S + late)
    told = listening.statistics()
    assert told.level_dbfs == pytest.approx(-6.02, abs=0.01)
    assert told.jitter_s == pytest.approx(0.008, rel=0.01)
    assert told.sound_s == pytest.approx(4.0)
    assert Listening().statistics().level_dbfs is None


def test_srtp_opens_what_the_other_side_protected_and_nothing_else() -> None:
    ours, theirs = srtp.new_crypto(), srtp.new_crypto()
    us, them = srtp.Shield(ours, theirs), srtp.Shield(theirs, ours)
    data = us.protect(PACKET.packed())
    assert PACKET.payload not in data
    assert them.open(data) == PACKET.packed()
    for bad in (data, data[:-1] + b"\x00", b"", b"noise" * 20):  # the first comes twice
        with pytest.raises(Malformed):
            them.open(bad)
