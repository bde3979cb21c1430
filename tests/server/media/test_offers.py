"""Offers that are none, and offers that were tampered with."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from aiortc.codecs import CODECS
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.media.codecs import PHONE_CODECS
from server.media.errors import BadOffer, MediaError, NoCodec
from server.media.offers import MAX_OFFER, check_offer
from server.media.peer import Peer

# What Chromium sends for a microphone and a data channel, shortened.
FINGERPRINT = "49:66:12:17:0D:1C:91:AE:57:4C:C6:36:DD:D5:97:D2:" * 2
OFFER = "\r\n".join(
    f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=extmap-allow-mixed
a=msid-semantic: WMS stream
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=candidate:1 1 udp 2113937151 6f3b9b8e-0000-4000-8000-000000000000.local 50000 typ host
a=candidate:2 1 udp 2113939711 127.0.0.1 50001 typ host generation 0
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g12
a=ice-options:trickle
a=fingerprint:sha-256 {FINGERPRINT[:-1]}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendrecv
a=msid:stream track
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
a=rtpmap:126 telephone-event/8000
a=ssrc:1001 cname:c
a=ssrc:1001 msid:stream track
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g12
a=fingerprint:sha-256 {FINGERPRINT[:-1]}
a=setup:actpass
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
""".splitlines()
) + "\r\n"  # fmt: skip

media = pytest.mark.media


async def answered(sdp: str, **options: object) -> str:
    peer, answer = await Peer.answer(sdp, **options)  # type: ignore[arg-type]
    await peer.close()
    return answer


@pytest.mark.parametrize(
    ("sdp", "why"),
    [
        ("", "not a session description"),
        ("hello", "not a session description"),
        ("v=0\r\n", "no audio"),
        (OFFER.replace("m=audio", "m=video"), "no audio"),
        (OFFER + OFFER[OFFER.index("m=audio") :], "more than one"),
        (OFFER + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "other than audio"),
        (OFFER + "a=x" * 400_000, "longer than"),
    ],
)
def test_what_is_no_offer_is_refused_with_a_reason(sdp: str, why: str) -> None:
    with pytest.raises(BadOffer, match=why):
        check_offer(sdp, "offer")


@pytest.mark.parametrize("kind", ["answer", "", "pranswer", "x" * 1000])
def test_only_offers_are_answered(kind: str) -> None:
    with pytest.raises(BadOffer, match="expected an offer"):
        check_offer(OFFER, kind)


def test_names_in_local_and_the_end_of_candidates_are_left_out() -> None:
    checked = check_offer(OFFER + "a=end-of-candidates\r\n", "offer").sdp
    assert ".local" not in checked
    assert "end-of-candidates" not in checked
    assert "127.0.0.1 50001" in checked


@given(st.text(max_size=MAX_OFFER))
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(BadOffer):
        check_offer(text, "offer")


@media
async def test_a_browser_gets_opus_alone_and_is_asked_for_fec() -> None:
    answer = await answered(OFFER)
    [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
    assert audio.endswith(" 111")
    assert "a=fmtp:111 minptime=10;useinbandfec=1" in answer
    assert "PCMU" not in answer


@media
async def test_a_phone_may_get_pcmu() -> None:
    answer = await answered(OFFER, codecs=("PCMU",))
    [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
    assert audio.endswith(" 0")


def test_an_offer_that_says_no_direction_means_both() -> None:
    silent = OFFER.replace("a=sendrecv\r\n", "")
    checked = check_offer(silent, "offer").sdp
    assert checked.index("a=sendrecv") < checked.index("m=application")
    assert check_offer(OFFER.replace("a=sendrecv", "a=sendonly"), "offer").sdp.count("a=send") == 1


@media
async def test_of_several_codecs_the_answer_names_the_best() -> None:
    answer = await answered(OFFER, codecs=("opus", "PCMU"))
    [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
    assert audio.endswith(" 111")
    without = OFFER.replace("opus/48000", "speex/16000")
    answer = await answered(without, codecs=("opus", "PCMU"))
    [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
    assert audio.endswith(" 0")


@media
async def test_nothing_in_common_is_named() -> None:
    offer = OFFER.replace("opus/48000", "speex/16000")
    with pytest.raises(NoCodec, match="in common: the other side has speex, red, G722"):
        await answered(offer)


@media
async def test_audio_that_is_not_wanted_is_named() -> None:
    with pytest.raises(NoCodec, match="wants no audio"):
        await answered(OFFER.replace("m=audio 9", "m=audio 0"))


@media
@pytest.mark.parametrize(
    ("codec", "kind"), [("opus", "111"), ("G722", "9"), ("PCMU", "0"), ("PCMA", "8")]
)
async def test_each_of_the_phones_codecs_can_be_answered(codec: str, kind: str) -> None:
    offer = OFFER
    for other in {"opus", "G722", "PCMU", "PCMA"} - {codec}:
        offer = offer.replace(f" {other}/", " other/")
    answer = await answered(offer, codecs=PHONE_CODECS, events=True)
    [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
    digits = "110" if codec == "opus" else "126"
    assert audio.split()[3:] == [kind, digits]
    rate = 48000 if codec == "opus" else 8000
    assert f"a=rtpmap:{digits} telephone-event/{rate}" in answer
    assert f"a=fmtp:{digits} 0-15" in answer
    assert " CN/" not in answer


@media
async def test_digits_are_answered_only_where_they_are_offered() -> None:
    offer = "\r\n".join(line for line in OFFER.splitlines() if "telephone-event" not in line)
    answer = await answered(offer, codecs=PHONE_CODECS, events=True)
    assert "telephone-event" not in answer


@media
async def test_a_browser_never_gets_what_is_the_phones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in aiortc's global table, and whatever a phone was answered before."""
    phones = [
        RTCRtpCodecParameters("audio/telephone-event", 8000, channels=1, payloadType=101),
        RTCRtpCodecParameters("audio/telephone-event", 48000, channels=1, payloadType=102),
        RTCRtpCodecParameters("audio/CN", 8000, channels=1, payloadType=13),
    ]
    before = list(CODECS["audio"])
    assert "telephone-event" in await answered(OFFER, codecs=PHONE_CODECS, events=True)
    assert CODECS["audio"] == before
    monkeypatch.setitem(CODECS, "audio", [*before, *phones])
    for codecs, kinds in ((("opus",), "111"), (("opus", "PCMU"), "111"), (("PCMU",), "0")):
        answer = await answered(OFFER, codecs=codecs)
        [audio] = [line for line in answer.splitlines() if line.startswith("m=audio")]
        assert audio.split()[3:] == [kinds]
        assert not any(name in answer for name in ("telephone-event", "CN/", "PCMA", "G722"))


@media
@pytest.mark.parametrize("missing", ["a=ice-ufrag", "a=fingerprint", "a=setup", "a=rtcp-mux"])
async def test_an_offer_without_what_webrtc_needs_is_refused(missing: str) -> None:
    lines = [line for line in OFFER.splitlines() if not line.startswith(missing)]
    with pytest.raises(BadOffer):
        await answered("\r\n".join(lines) + "\r\n")


def mutated(seed: int) -> str:
    """The offer with lines cut, swapped, doubled, garbled and removed."""
    rng = random.Random(seed)
    lines = OFFER.splitlines()
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(lines))
        match rng.randrange(6):
            case 0:
                lines[at] = lines[at][: rng.randint(0, len(lines[at]))]
            case 1:
                lines.pop(at)
            case 2:
                lines.insert(rng.randrange(len(lines)), lines[at])
            case 3:
                place = rng.randrange(len(lines[at]) + 1)
                junk = "".join(chr(rng.choice([0, 32, 58, 47, 49, 255, 0x4E00])) for _ in "123")
                lines[at] = lines[at][:place] + junk + lines[at][place:]
            case 4:
                lines[at] = lines[at].replace("1", str(rng.choice([-1, 10**20, "", "a"])))
            case 5:
                lines = lines[:at]
        if not lines:
            return ""
    return "\r\n".join(lines) + "\r\n"


@media
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32))
def test_tampered_offers_are_answered_or_refused_by_name(seed: int) -> None:
    async def attempt() -> None:
        with contextlib.suppress(MediaError):
            await answered(mutated(seed))
        async with asyncio.timeout(30):  # aioice looks every 20 ms whether it was closed
            while asyncio.all_tasks() != {asyncio.current_task()}:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    asyncio.run(attempt())
