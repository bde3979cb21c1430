from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.softphone import sdp, srtp
from server.phone.softphone.errors import Malformed, NoCommonCodec
from server.phone.softphone.options import Options
from server.phone.softphone.sdp import EVENTS, Description

OURS = Options().description("192.0.2.5", 4000)


def test_a_description_is_read_as_it_was_written() -> None:
    assert sdp.parse(OURS.written()) == OURS
    bare = Options(static_lines=False).description("192.0.2.5", 4000)
    assert "rtpmap:0" not in bare.written() and f"rtpmap:101 {EVENTS}" in bare.written()
    assert sdp.parse(bare.written()).codecs == OURS.codecs
    keyed = Description("192.0.2.5", 4000, {0: "PCMU/8000"}, cryptos=(srtp.new_crypto(),))
    assert sdp.parse(keyed.written()) == keyed


def test_the_first_codec_of_the_offer_that_we_have_is_spoken() -> None:
    offer = Options(codecs=("G729/8000", "PCMA/8000", "PCMU/8000"), event_type=97)
    answer = sdp.answer(offer.description("192.0.2.9", 9), OURS)
    assert answer.codecs == {8: "PCMA/8000", 97: EVENTS}
    with pytest.raises(NoCommonCodec):
        sdp.answer(Options(codecs=("G729/8000",)).description("192.0.2.9", 9), OURS)
    with pytest.raises(NoCommonCodec):
        sdp.agreed(Options().description("192.0.2.9", 0))


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendrecv", "sendrecv"),
        ("sendonly", "recvonly"),
        ("recvonly", "sendonly"),
        ("inactive", "inactive"),
    ],
)
def test_a_hold_is_answered_with_what_is_left(
    offered: sdp.Direction, answered: sdp.Direction
) -> None:
    offer = Description("192.0.2.9", 9, {0: "PCMU/8000"}, offered)
    assert sdp.parse(sdp.answer(offer, OURS).written()).direction == answered
    assert offer.held == (offered in ("sendonly", "inactive"))


def test_a_stream_takes_its_address_and_direction_from_the_session_and_its_own_come_first() -> None:
    text = (
        "v=0\r\nc=IN IP4 192.0.2.1\r\na=sendonly\r\nm=video 9 RTP/AVP 96\r\nc=IN IP4 192.0.2.3\r\n"
        "m=audio 5000 RTP/AVP 18 0\r\n{}m=video 8 RTP/AVP 97\r\na=inactive\r\n"
    )
    found = sdp.parse(text.format(""))
    assert (found.address, found.port, found.direction) == ("192.0.2.1", 5000, "sendonly")
    assert found.codecs == {18: "G729/8000", 0: "PCMU/8000"}
    found = sdp.parse(text.format("c=IN IP4 192.0.2.4\r\na=recvonly\r\n"))
    assert (found.address, found.direction) == ("192.0.2.4", "recvonly")


@pytest.mark.parametrize("text", ["", "v=0", "m=audio x RTP/AVP 0", "m=audio 99999 RTP/AVP 0"])
def test_what_describes_no_audio_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        sdp.parse(text)


@given(st.text(max_size=200), st.integers(0, len(OURS.written())))
def test_no_text_raises_anything_else(noise: str, at: int) -> None:
    whole = OURS.written()
    for text in (noise, whole[:at] + noise + whole[at:]):
        try:
            sdp.answer(sdp.parse(text), OURS)
        except (Malformed, NoCommonCodec):
            continue


def test_keys_that_are_none_are_passed_over() -> None:
    good = srtp.new_crypto(tag=2)
    short = sdp.Crypto(1, srtp.SUITE, "c2hvcnQ=")
    other = sdp.Crypto(1, "AES_256_CM_HMAC_SHA1_80", good.key)
    offer = Description("192.0.2.9", 9, cryptos=(short, other, good))
    assert srtp.usable(offer) == good
    assert srtp.usable(Description("192.0.2.9", 9, cryptos=(short, other))) is None
