"""Which codecs a connection uses, and the packets beside the sound: digits and comfort noise.

aiortc's table of codecs is global: what were added there would be offered to browsers too. So
nothing is. What a phone needs beyond it is put into its own transceiver, after aiortc has chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiortc import RTCRtpTransceiver
from aiortc.codecs import get_capabilities
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import SessionDescription

from server.media.errors import NoCodec

PHONE_CODECS = ("opus", "G722", "PCMU", "PCMA")
"""Best first."""
COMFORT_NOISE = 13
"""Payload type (RFC 3389)."""
_EVENTS = "telephone-event"
_KEYS = "0-15"
_OFFERED_EVENTS = {8000: 101, 48000: 102}
"""Payload types in our own offers, by clock; 96 is aiortc's Opus."""


@dataclass(frozen=True)
class Settled:
    """What one connection speaks."""

    codec: str
    """In small letters."""
    events: int | None = None
    """Payload type of its digits, where both sides know them."""


def preferences(codecs: Sequence[str]) -> list[Any]:
    """What aiortc wants to be told, for codecs by name, best first."""
    known = get_capabilities("audio").codecs
    wanted = [f"audio/{name}".lower() for name in codecs]
    return [codec for name in wanted for codec in known if codec.mimeType.lower() == name]


def check_common(sdp: str, codecs: Sequence[str]) -> None:
    """Raise `NoCodec` where a description has none of these codecs, or wants no audio."""
    audio = _audio(sdp)
    if audio.port == 0:
        raise NoCodec("the other side wants no audio (port 0)")
    theirs = [codec.name for codec in audio.rtp.codecs]
    if not {name.lower() for name in theirs} & {name.lower() for name in codecs}:
        raise NoCodec(f"no codec in common: the other side has {_named(theirs)}")


def settle(transceiver: RTCRtpTransceiver, theirs: str, *, events: bool, answer: bool) -> Settled:
    """Keep one codec: the best in common, or the first that their `answer` names.

    A description with two lets the other side change at any packet. With `events` its digits, where
    their description knows them, are kept beside it.
    """
    offered = _audio(theirs).rtp.codecs
    codec = _first(transceiver._codecs, offered) if answer else transceiver._codecs[0]
    if codec.name.lower() == "opus":
        # aiortc drops the offered parameters from its answer, and with them FEC.
        codec.parameters = {"minptime": 10, "useinbandfec": 1}
    event = _events(offered, codec.clockRate) if events else None
    transceiver._codecs[:] = [codec, *([event] if event else [])]
    return Settled(codec.name.lower(), event.payloadType if event else None)


def tolerate_comfort_noise(transceiver: RTCRtpTransceiver) -> None:
    """Let comfort noise through to the ear, which aiortc would drop as unknown: its number in the
    stream would then look lost. Called after our description is written, which must not name it:
    a phone that sends sound without pause is heard better."""
    if transceiver._codecs[0].clockRate == 8000:
        transceiver._codecs.append(
            RTCRtpCodecParameters("audio/CN", 8000, channels=1, payloadType=COMFORT_NOISE)
        )


def offer_events(sdp: str) -> str:
    """Our own offer with digits, for the clocks of its codecs."""
    head, audio = sdp.split("\r\nm=audio ", 1)
    clocks = {int(line.split("/")[1]) for line in audio.split("\r\n") if "a=rtpmap:" in line}
    types = {clock: kind for clock, kind in _OFFERED_EVENTS.items() if clock in clocks}
    first, rest = audio.split("\r\n", 1)
    added = "".join(
        f"a=rtpmap:{kind} {_EVENTS}/{clock}\r\na=fmtp:{kind} {_KEYS}\r\n"
        for clock, kind in types.items()
    )
    formats = " ".join([first, *map(str, types.values())])
    return f"{head}\r\nm=audio {formats}\r\n{rest}{added}"


def _named(theirs: Sequence[str]) -> str:
    """A stranger's words, for a log."""
    printable = ["".join(c for c in name[:20] if c.isalnum() or c in "-._") for name in theirs[:10]]
    return ", ".join(printable) or "none"


def _audio(sdp: str) -> Any:
    return next(m for m in SessionDescription.parse(sdp).media if m.kind == "audio")


def _first(
    common: Sequence[RTCRtpCodecParameters], order: Sequence[RTCRtpCodecParameters]
) -> RTCRtpCodecParameters:
    names = [codec.name.lower() for codec in order]
    return min(common, key=lambda codec: names.index(codec.name.lower()))


def _events(offered: Sequence[RTCRtpCodecParameters], clock: int) -> RTCRtpCodecParameters | None:
    known = [codec for codec in offered if codec.name.lower() == _EVENTS]
    known.sort(key=lambda codec: codec.clockRate != clock)
    if not known:
        return None
    return RTCRtpCodecParameters(
        f"audio/{_EVENTS}",
        known[0].clockRate,
        channels=1,
        payloadType=known[0].payloadType,
        parameters={_KEYS: None},
    )
