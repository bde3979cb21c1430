"""What two telephones agree on: session descriptions (RFC 4566, 3264) of one audio stream."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from server.phone.softphone.errors import Malformed, NoCommonCodec

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
EVENTS = "telephone-event/8000"
STATIC = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 18: "G729/8000", 3: "GSM/8000"}
"""Payload types that need no rtpmap line (RFC 3551)."""
SPOKEN = ("PCMU/8000", "PCMA/8000")
PTIME_MS = 20
MAX_SDP = 20_000
_MEDIA = re.compile(r"audio (\d{1,5})(?:/\d+)? ([\w/]{1,40})((?: \d{1,3})+)")
_RTPMAP = re.compile(r"(\d{1,3}) ([\w.-]{1,40}/\d{1,6})(?:/\d+)?")
_CONNECTION = re.compile(r"IN IP[46] ([0-9a-fA-F.:]{2,45})(?:/\d+)*")
_CRYPTO = re.compile(r"(\d{1,9}) (\w{1,40}) inline:([A-Za-z0-9+/=]{40,64})(?:\|.*)?")


@dataclass(frozen=True)
class Crypto:
    """One `a=crypto` line (RFC 4568)."""

    tag: int
    suite: str
    key: str
    """Key and salt, in base64."""


@dataclass(frozen=True)
class Description:
    """The audio of one side."""

    address: str
    port: int
    """0: refused."""
    codecs: dict[int, str] = field(default_factory=dict)
    """Name and clock rate by payload type, the most wanted first: `{0: "PCMU/8000"}`."""
    direction: Direction = "sendrecv"
    profile: str = "RTP/AVP"
    version: int = 1
    """Counts up with each description of the same side."""
    cryptos: tuple[Crypto, ...] = ()
    static_lines: bool = True
    """Whether static payload types get an rtpmap line too; both are legal."""

    @property
    def held(self) -> bool:
        """Whether its side does not want to hear the other."""
        return self.direction in ("sendonly", "inactive") or self.address == "0.0.0.0"

    def payload_type(self, codec: str) -> int | None:
        wanted = codec.lower()
        return next((one for one, name in self.codecs.items() if name.lower() == wanted), None)

    def written(self) -> str:
        types = " ".join(map(str, self.codecs))
        lines = [
            "v=0",
            f"o=- 1 {self.version} IN IP4 {self.address}",
            "s=-",
            f"c=IN IP4 {self.address}",
            "t=0 0",
            f"m=audio {self.port} {self.profile} {types}",
            *(f"a=crypto:{one.tag} {one.suite} inline:{one.key}" for one in self.cryptos),
            *(f"a=rtpmap:{one} {name}" for one, name in self.codecs.items() if self._named(one)),
            *(f"a=fmtp:{one} 0-15" for one, name in self.codecs.items() if name == EVENTS),
            f"a=ptime:{PTIME_MS}",
            f"a={self.direction}",
        ]
        return "\r\n".join([*lines, ""])

    def _named(self, payload_type: int) -> bool:
        return self.static_lines or payload_type not in STATIC


def parse(text: str) -> Description:
    """The first audio stream. Raises `Malformed`."""
    lines = text[:MAX_SDP].replace("\r", "").split("\n")
    media = next((at for at, line in enumerate(lines) if line.startswith("m=audio ")), None)
    found = _MEDIA.fullmatch(lines[media][2:].strip()) if media is not None else None
    if media is None or not found or int(found[1]) > 65535:
        raise Malformed("the description has no audio")
    after = [at for at, line in enumerate(lines) if line.startswith("m=") and at > media]
    first = min(at for at, line in enumerate(lines) if line.startswith("m="))
    own = lines[media + 1 : min(after, default=len(lines))]
    session = lines[:first]
    names = {int(one): name for one, name in _all(_RTPMAP, "a=rtpmap:", own)}
    types = [int(one) for one in found[3].split()]
    return Description(
        address=_address(own) or _address(session),
        port=int(found[1]),
        codecs={one: name for one in types if (name := names.get(one) or STATIC.get(one, ""))},
        direction=_direction(own) or _direction(session) or "sendrecv",
        profile=found[2],
        cryptos=tuple(Crypto(int(tag), suite, key) for tag, suite, key in _cryptos(own)),
    )


def agreed(offer: Description, codecs: Sequence[str] = SPOKEN) -> tuple[int, str]:
    """Payload type and name of the codec to speak: the first of the offer's that we have. Raises
    `NoCommonCodec`.
    """
    ours = {one.lower(): one for one in codecs}
    for payload_type, name in offer.codecs.items():
        if offer.port and name.lower() in ours:
            return payload_type, ours[name.lower()]
    raise NoCommonCodec(f"no codec of {', '.join(codecs)} is in the other side's description")


def answer(offer: Description, ours: Description) -> Description:
    """Ours narrowed to what the offer has. Raises `NoCommonCodec`."""
    named = [name for name in ours.codecs.values() if name != EVENTS]
    payload_type, name = agreed(offer, named)
    codecs = {payload_type: name}
    events = offer.payload_type(EVENTS)
    if events is not None and EVENTS in ours.codecs.values():
        codecs[events] = EVENTS
    return replace(
        ours,
        codecs=codecs,
        direction=_answering(offer.direction, ours.direction),
        profile=offer.profile,
    )


def _answering(offered: Direction, ours: Direction) -> Direction:
    sends = offered in ("sendrecv", "recvonly") and ours in ("sendrecv", "sendonly")
    hears = offered in ("sendrecv", "sendonly") and ours in ("sendrecv", "recvonly")
    return DIRECTIONS[(not hears) + 2 * (not sends)]


def _all(pattern: re.Pattern[str], begin: str, lines: list[str]) -> list[tuple[str, ...]]:
    rest = (line[len(begin) :].strip() for line in lines if line.startswith(begin))
    return [found.groups() for one in rest if (found := pattern.fullmatch(one))]


def _cryptos(lines: list[str]) -> list[tuple[str, ...]]:
    return _all(_CRYPTO, "a=crypto:", lines)


def _address(lines: list[str]) -> str:
    return next((found for (found,) in _all(_CONNECTION, "c=", lines)), "")


def _direction(lines: list[str]) -> Direction | None:
    return next((one for one in DIRECTIONS if f"a={one}" in lines), None)
