"""Descriptions of phones: repaired, read, and answered when a call is changed."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from server.media.errors import BadOffer, NoCodec
from server.media.offers import check_offer
from server.media.peer import Peer
from server.phone import sdp

CODECS = ("opus", "G722", "PCMU", "PCMA")

# A desk phone's INVITE: static payload types without rtpmap, which is legal.
PHONE = "\r\n".join(
    """v=0
o=phone 8000 8000 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
m=audio 16000 RTP/AVP 0 8 18 101
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
""".splitlines()
) + "\r\n"  # fmt: skip

# The same as a gateway passes it on: WebRTC's lines put in, the phone's own left as they are.
GATEWAY = "\r\n".join(
    """v=0
o=phone 8000 8000 IN IP4 192.0.2.1
s=-
t=0 0
a=group:BUNDLE a
a=ice-options:trickle
a=fingerprint:sha-256 {fingerprint}
a=msid-semantic: WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 0 8 18 101
c=IN IP4 192.0.2.1
a=sendrecv
a=mid:a
a=rtcp-mux
a=ice-ufrag:AbCd
a=ice-pwd:0123456789abcdefghijkl
a=setup:actpass
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-16
a=ptime:20
a=candidate:1 1 udp 2015363327 127.0.0.1 40000 typ host
""".replace("{fingerprint}", ":".join(["AB"] * 32)).splitlines()
) + "\r\n"  # fmt: skip


def test_static_payload_types_get_their_rtpmap() -> None:
    repaired = sdp.repair(GATEWAY)
    assert "a=rtpmap:0 PCMU/8000" in repaired
    assert "a=rtpmap:8 PCMA/8000" in repaired
    assert ":18 " not in repaired
    assert sdp.repair(repaired) == repaired
    check_offer(repaired, "offer")


def test_lines_go_into_the_audio_section() -> None:
    both = GATEWAY + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
    repaired = sdp.repair(both)
    assert repaired.index("a=rtpmap:0") < repaired.index("m=video")


def test_what_is_offered_is_read() -> None:
    offered = sdp.audio(PHONE)
    assert (offered.port, offered.direction, offered.held) == (16000, "sendrecv", False)
    assert offered.codecs == {
        "0": "PCMU/8000",
        "8": "PCMA/8000",
        "101": "telephone-event/8000",
    }
    assert offered.named("pcma") == "8"
    assert offered.named("opus") is None


@pytest.mark.parametrize(
    ("change", "held"),
    [
        (("a=ptime:20", "a=sendonly"), True),
        (("a=ptime:20", "a=inactive"), True),
        (("a=ptime:20", "a=recvonly"), False),
        (("a=ptime:20", "a=sendrecv"), False),
        (("t=0 0", "t=0 0\r\na=inactive"), True),
        (("c=IN IP4 192.0.2.7", "c=IN IP4 0.0.0.0"), True),
        (("a=ptime:20", "c=IN IP4 0.0.0.0"), True),
    ],
)
def test_a_hold_is_seen(change: tuple[str, str], held: bool) -> None:
    assert sdp.audio(PHONE.replace(*change)).held is held


def test_the_address_in_a_webrtc_description_says_nothing() -> None:
    assert not sdp.audio(GATEWAY.replace("192.0.2.1", "0.0.0.0")).held


def test_no_codec_in_common_is_named() -> None:
    with pytest.raises(NoCodec, match=r"the phone has telephone-event/8000"):
        sdp.check(PHONE.replace(" 0 8 18 101", " 18 101"), CODECS)
    with pytest.raises(NoCodec, match="wants no audio"):
        sdp.check(PHONE.replace("m=audio 16000", "m=audio 0"), CODECS)
    assert sdp.audio(sdp.check(PHONE, CODECS)).named("PCMU") == "0"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "v=0\r\n",
        "v=0\r\nm=audio\r\n",
        "v=0\r\nm=audio x RTP/AVP 0\r\n",
        "v=0\n" * 20000,
    ],
)
def test_what_is_no_description_is_refused(text: str) -> None:
    for read in (sdp.audio, lambda text: sdp.check(text, CODECS)):
        with pytest.raises(BadOffer):
            read(text)


@given(st.text(max_size=2000), st.integers(0, len(GATEWAY)))
def test_rubbish_is_refused_by_name(text: str, at: int) -> None:
    for broken in (text, GATEWAY[:at] + text[:20] + GATEWAY[at:], GATEWAY[:at]):
        try:
            sdp.check(broken, CODECS)
            sdp.update_answer(GATEWAY, broken, "PCMU")
        except BadOffer:
            pass


@pytest.mark.media
@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("sendonly", "recvonly"),
        ("inactive", "inactive"),
        ("recvonly", "sendonly"),
        ("sendrecv", "sendrecv"),
    ],
)
async def test_an_update_keeps_all_but_the_direction(offered: str, answered: str) -> None:
    peer, first = await Peer.answer(
        sdp.check(GATEWAY, CODECS), codecs=("PCMU",), events=True, connect_s=60.0
    )
    held = GATEWAY.replace("8000 8000 IN", "8000 8001 IN").replace("a=sendrecv", f"a={offered}")
    answer = sdp.update_answer(peer.local_sdp, held, peer.codec)
    changed = set(answer.splitlines()) ^ set(first.splitlines())
    assert {line for line in changed if not line.startswith("o=")} == (
        {f"a={answered}", "a=sendrecv"} if answered != "sendrecv" else set()
    )
    [before, after] = [SessionDescription.parse(text) for text in (first, answer)]
    assert after.media[0].direction == answered
    assert after.media[0].ice == before.media[0].ice
    assert after.media[0].dtls == before.media[0].dtls
    assert [c.payloadType for c in after.media[0].rtp.codecs] == [0, 101]
    [was, now] = [int(text.splitlines()[1].split()[2]) for text in (first, answer)]
    assert now == was + 1
    back = sdp.update_answer(answer, GATEWAY, peer.codec)
    assert SessionDescription.parse(back).media[0].direction == "sendrecv"
    assert int(back.splitlines()[1].split()[2]) == was + 2
    await peer.close()


@pytest.mark.media
async def test_a_call_that_we_offered_is_answered_with_the_codec_in_use() -> None:
    ours, offer = await Peer.offer(codecs=CODECS)
    answer = sdp.update_answer(offer, GATEWAY.replace("a=sendrecv", "a=sendonly"), "PCMA")
    [audio] = SessionDescription.parse(answer).media
    assert [c.payloadType for c in audio.rtp.codecs] == [8, 101]
    assert (audio.direction, audio.rtp.muxId, audio.dtls.role) == ("recvonly", "a", "server")
    assert "a=group:BUNDLE a" in answer
    again = sdp.update_offer(answer, "PCMA")
    [audio] = SessionDescription.parse(again).media
    assert (audio.direction, audio.dtls.role) == ("sendrecv", "auto")
    await ours.close()


def test_another_codec_or_none_is_refused() -> None:
    changed = GATEWAY.replace(" 0 8 18 101", " 8 18 101")
    with pytest.raises(NoCodec, match="another codec: PCMA/8000"):
        sdp.update_answer(sdp.repair(GATEWAY), changed, "PCMU")
    with pytest.raises(NoCodec, match="ends the audio"):
        sdp.update_answer(GATEWAY, GATEWAY.replace("m=audio 9", "m=audio 0"), "PCMU")


def test_a_picture_is_refused_and_the_sound_goes_on() -> None:
    video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:b\r\na=rtpmap:96 VP8/90000\r\na=sendrecv\r\n"
    answer = sdp.update_answer(sdp.repair(GATEWAY), GATEWAY + video, "PCMU")
    assert answer.endswith("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:b\r\na=inactive\r\n")
    assert "a=group:BUNDLE a\r\n" in answer
