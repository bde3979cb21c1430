"""Opus by the library in PyAV's wheel, and the telephone's codecs."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.media import g711, g722, opus
from server.media.errors import BadPayload, CodecUnavailable


def voice(seconds: float, rate: int) -> np.ndarray:
    """Something with a pitch and syllables, so that the encoder takes it for speech."""
    t = np.arange(int(seconds * rate)) / rate
    pulses = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12))
    return (5000 * pulses * (1 + np.sin(2 * np.pi * 4 * t)) / 2).astype(np.int16)


def packets(seconds: float, rate: int = 24000) -> list[bytes]:
    encoder, sound = opus.Encoder(rate), voice(seconds, rate)
    return [encoder.encode(frame) for frame in np.split(sound, len(sound) // (rate // 50))]


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a.astype(float), b.astype(float)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_what_is_encoded_is_decoded_at_48_khz() -> None:
    decoder = opus.Decoder()
    sound = np.concatenate([decoder.decode(p) for p in packets(1.0)])
    assert len(sound) == 48000
    lag = opus.Encoder(24000).lookahead
    said = voice(1.0, 48000)[:39000]
    assert max(likeness(sound[d : d + 39000], said) for d in range(lag, lag + 60)) > 0.75


def test_a_lost_frame_comes_back_from_the_next_packet() -> None:
    sent = packets(2.0)
    lost = next(n for n in range(40, 90) if opus.has_fec(sent[n + 1]))
    whole, holed = opus.Decoder(), opus.Decoder()
    for payload in sent[:lost]:
        whole.decode(payload), holed.decode(payload)
    true = whole.decode(sent[lost])
    assert holed.recovers(sent[lost + 1])
    recovered = holed.conceal(960, sent[lost + 1])
    assert len(recovered) == 960
    assert likeness(recovered, true) > 0.8


@pytest.mark.parametrize("samples", [1, 119, 120, 960, 2880, 5761])
def test_concealment_is_as_long_as_was_asked(samples: int) -> None:
    decoder = opus.Decoder()
    decoder.decode(packets(0.1)[0])
    assert len(decoder.conceal(samples)) == samples
    assert len(decoder.conceal(samples, packets(0.1)[1])) == samples


@given(st.binary(max_size=1500))
def test_rubbish_is_refused_by_name_or_decoded_to_its_length(payload: bytes) -> None:
    decoder = opus.Decoder()
    try:
        samples = decoder.samples(payload)
        assert len(decoder.decode(payload)) == samples
    except BadPayload:
        pass
    assert len(decoder.conceal(960, payload or None)) == 960 if _plausible(payload) else True


def _plausible(payload: bytes) -> bool:
    try:
        return opus.packet_samples(payload) > 0 and len(opus.Decoder().decode(payload)) > 0
    except BadPayload:
        return False


def test_a_wheel_without_the_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodecUnavailable, match="install PyAV from its wheel"):
        opus.library_path(tmp_path / "av")


def test_every_mu_law_code_survives_a_round_trip() -> None:
    codes = bytes(c for c in range(256) if c != 0x7F)  # 0x7F is a second zero
    assert g711.MU_LAW.encode(g711.MU_LAW.decode(codes)) == codes
    assert g711.MU_LAW.decode(b"\xff\x7f\x80\x00").tolist() == [0, 0, 32124, -32124]


@given(st.integers(-32768, 32767))
def test_mu_law_is_close_to_what_was_said(sample: int) -> None:
    [heard] = g711.MU_LAW.decode(g711.MU_LAW.encode(np.array([sample], np.int16)))
    assert abs(int(heard) - sample) <= (abs(sample) + 132) / 32 + (abs(sample) > 32124) * 644


def test_a_lost_telephone_frame_fades() -> None:
    decoder = g711.Decoder()
    decoder.decode(g711.MU_LAW.encode(voice(0.02, 8000)))
    first, later = decoder.conceal(160), [decoder.conceal(160) for _ in range(6)][-1]
    assert len(first) == 160
    assert np.abs(first).max() > 10 * np.abs(later).max()


@pytest.mark.parametrize(("law", "name"), [(g711.MU_LAW, "pcm_mulaw"), (g711.A_LAW, "pcm_alaw")])
def test_both_laws_expand_as_another_implementation_does(law: g711.Law, name: str) -> None:
    codec = av.CodecContext.create(name, "r")
    codec.sample_rate, codec.layout = 8000, "mono"
    [frame] = codec.decode(av.Packet(bytes(range(256))))
    assert law.decode(bytes(range(256))).tolist() == frame.to_ndarray().reshape(-1).tolist()


def test_every_a_law_code_survives_a_round_trip() -> None:
    codes = bytes(range(256))
    assert g711.A_LAW.encode(g711.A_LAW.decode(codes)) == codes
    assert g711.A_LAW.decode(b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 32256, -32256]


@given(st.integers(-32768, 32767))
def test_a_law_is_close_to_what_was_said(sample: int) -> None:
    [heard] = g711.A_LAW.decode(g711.A_LAW.encode(np.array([sample], np.int16)))
    assert abs(int(heard) - sample) <= max(abs(sample) / 32, 8) + (abs(sample) > 32256) * 8


def g722_packets(sound: np.ndarray) -> list[bytes]:
    encoder = g722.Encoder()
    return [encoder.encode(frame) for frame in np.split(sound, len(sound) // g722.FRAME)]


def test_g722_is_16_khz_of_sound_at_8_khz_of_clock() -> None:
    decoder, said = g722.Decoder(), voice(1.0, 16000)
    sent = g722_packets(said)
    assert {len(packet) for packet in sent} == {160}
    assert {decoder.samples(packet) for packet in sent} == {160}
    heard = np.concatenate([decoder.decode(packet) for packet in sent])
    assert len(heard) == 16000
    assert likeness(heard[g722.DELAY :], said[: -g722.DELAY]) > 0.99


def test_a_lost_wideband_frame_fades_and_the_next_one_is_heard() -> None:
    decoder = g722.Decoder()
    first, _, *rest = g722_packets(voice(0.5, 16000))
    decoder.decode(first)
    assert len(decoder.conceal(320)) == 320
    heard = np.concatenate([decoder.decode(packet) for packet in rest])
    said = voice(0.5, 16000)[640:]
    assert likeness(heard[1600 + g722.DELAY :], said[1600 : -g722.DELAY]) > 0.95


@given(st.binary(max_size=300))
def test_g722_decodes_any_bytes_but_none(payload: bytes) -> None:
    decoder = g722.Decoder()
    if payload:
        assert len(decoder.decode(payload)) == 2 * decoder.samples(payload)
    else:
        with pytest.raises(BadPayload):
            decoder.decode(payload)
    assert len(decoder.decode(b"\0" * 160)) == 320


def test_g722_is_encoded_by_whole_frames() -> None:
    with pytest.raises(ValueError, match="320 samples at a time"):
        g722.Encoder().encode(np.zeros(160, np.int16))
