"""What a gateway's descriptions say of a phone, repaired and answered. Pure: text in, text out.

Janus passes a phone's description on with its own WebRTC side put in: its addresses, ICE and DTLS.
So the address of an old-style hold (0.0.0.0) is to be seen only in descriptions that are the
phone's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.media.errors import BadOffer, NoCodec

MAX_LENGTH = 64 * 1024
STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000", "13": "CN/8000"}
"""Payload types that need no rtpmap line (RFC 3551), which aiortc wants all the same."""
EVENTS = "telephone-event"

_ANSWERED = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@dataclass(frozen=True)
class Audio:
    """The audio section of a description."""

    port: int
    """0: the phone wants no audio, or none that the gateway can do (DTLS-SRTP)."""
    direction: str
    held: bool
    """It will not listen to us: what it sends, if anything, is music."""
    codecs: dict[str, str]
    """By payload type: name and clock, as in an rtpmap line."""

    def named(self, codec: str) -> str | None:
        """The payload type of a codec, by its name."""
        for kind, name in self.codecs.items():
            if name.split("/", 1)[0].lower() == codec.lower():
                return kind
        return None


def repair(sdp: str) -> str:
    """The description with the rtpmap lines that it may leave out."""
    head, sections = _parse(sdp)
    return _text(head, [_mapped(s) if _kind(s) == "audio" else s for s in sections])


def audio(sdp: str) -> Audio:
    """What the description says of its audio; raises `BadOffer` where it is none."""
    head, sections = _parse(sdp)
    section = _mapped(_audio_of(sections))
    port, profile, formats = _media(section)
    direction = _direction(section) or _direction(head) or "sendrecv"
    address = _last(section, "c=") or _last(head, "c=") or ""
    nowhere = address.split()[-1:] == ["0.0.0.0"] and "TLS" not in profile
    maps = dict(_maps(section))
    return Audio(
        port,
        direction,
        direction in ("sendonly", "inactive") or nowhere,
        {kind: maps[kind] for kind in formats if kind in maps},
    )


def check(sdp: str, codecs: Sequence[str]) -> str:
    """The repaired description of a call that can be had with these codecs, or `NoCodec`."""
    offered = audio(sdp)
    if offered.port == 0:
        raise NoCodec("the phone wants no audio (port 0)")
    if not any(offered.named(codec) for codec in codecs):
        raise NoCodec(f"no codec in common: the phone has {_words(offered)}")
    return repair(sdp)


def update_answer(ours: str, offer: str, codec: str) -> str:
    """The answer to a description by which the phone changes a call: hold, back, another address.

    aiortc cannot negotiate again, and need not: keys, ICE and codec stay, and only the direction
    is new. `ours` is our description as it stands: the peer's first, and then what this returned.
    `codec` is the one in use; a phone that wants another gets `NoCodec`.
    """
    _, sections = _parse(repair(offer))
    wanted = audio(offer)
    if wanted.port == 0:
        raise NoCodec("the phone ends the audio of a running call")
    kinds = _kept(audio(ours), wanted, codec)
    mid = _last(_audio_of(sections), "a=mid:") or "0"
    own_head, own = _ours(ours, mid)
    answered = _section(own, kinds, mid, _ANSWERED[wanted.direction])
    refused = [answered if _kind(s) == "audio" else _refused(s) for s in sections]
    return _text(own_head, refused)


def update_offer(ours: str, codec: str) -> str:
    """Our description offered again, where a phone asks for one (a re-INVITE without an offer)."""
    standing = audio(ours)
    mid = _last(_audio_of(_parse(ours)[1]), "a=mid:") or "0"
    head, own = _ours(ours, mid)
    kinds = _kept(standing, standing, codec)
    section = _section(own, kinds, mid, "sendrecv")
    return _text(head, [["a=setup:actpass" if _is(x, "setup") else x for x in section]])


def _kept(ours: Audio, theirs: Audio, codec: str) -> list[str]:
    """The payload types of a call that goes on: the codec's, and the digits' if both have them."""
    kind = ours.named(codec)
    if kind is None or theirs.named(codec) != kind:
        raise NoCodec(f"the phone changes to another codec: {_words(theirs)}")
    clock = ours.codecs[kind].split("/")[1]
    events = [
        kind
        for kind, name in ours.codecs.items()
        if name == f"{EVENTS}/{clock}" and theirs.codecs.get(kind) == name
    ]
    return [kind, *events[:1]]


def _ours(sdp: str, mid: str) -> tuple[list[str], list[str]]:
    """Our session's lines, one version on, and our audio section."""
    head, sections = _parse(sdp)
    head = [_next_version(line) if line.startswith("o=") else line for line in head]
    head = [f"a=group:BUNDLE {mid}" if _is(line, "group") else line for line in head]
    return head, _audio_of(sections)


def _section(own: list[str], kinds: list[str], mid: str, direction: str) -> list[str]:
    port, profile, _ = _media(own)
    kept = [f"m=audio {port} {profile} {' '.join(kinds)}"]
    for line in own[1:]:
        name = line[2:].split(":", 1)[0]
        if name in ("rtpmap", "fmtp", "rtcp-fb"):
            kept += [line] if line.split(":", 1)[1].split(" ", 1)[0] in kinds else []
        elif name == "mid":
            kept.append(f"a=mid:{mid}")
        elif name == "setup":
            # Who offered `actpass` was answered `active`, and has been passive since.
            kept.append(line.replace("actpass", "passive"))
        else:
            kept.append(f"a={direction}" if name in _ANSWERED else line)
    return kept


def _refused(section: list[str]) -> list[str]:
    kind, _, rest = section[0].partition(" ")
    mid = [line for line in section if _is(line, "mid")]
    return [f"{kind} 0 {rest.partition(' ')[2]}", *mid, "a=inactive"]


def _next_version(origin: str) -> str:
    fields = origin.split(" ")
    if len(fields) > 2 and fields[2].isdecimal():
        fields[2] = str(int(fields[2]) + 1)
    return " ".join(fields)


# Lines.


def _parse(sdp: str) -> tuple[list[str], list[list[str]]]:
    """The session's lines, and those of each section."""
    if len(sdp) > MAX_LENGTH:
        raise BadOffer(f"the description is longer than {MAX_LENGTH} characters")
    head: list[str] = []
    sections: list[list[str]] = []
    for line in filter(None, map(str.rstrip, sdp.splitlines())):
        if line.startswith("m="):
            sections.append([])
        (sections[-1] if sections else head).append(line)
    if not head or head[0] != "v=0":
        raise BadOffer("this is not a session description")
    return head, sections


def _text(head: list[str], sections: list[list[str]]) -> str:
    return "\r\n".join([*head, *(line for section in sections for line in section)]) + "\r\n"


def _audio_of(sections: list[list[str]]) -> list[str]:
    for section in sections:
        if _kind(section) == "audio":
            return section
    raise BadOffer("the description has no audio")


def _kind(section: list[str]) -> str:
    return section[0][2:].split(" ", 1)[0]


def _media(section: list[str]) -> tuple[int, str, list[str]]:
    """Port, profile and payload types."""
    fields = section[0].split()
    if len(fields) < 3 or not fields[1].split("/")[0].isdecimal():
        raise BadOffer("the description's audio line is malformed")
    return int(fields[1].split("/")[0][:9]), fields[2], fields[3:]


def _mapped(section: list[str]) -> list[str]:
    known = dict(_maps(section))
    missing = [kind for kind in _media(section)[2] if kind in STATIC and kind not in known]
    return section + [f"a=rtpmap:{kind} {STATIC[kind]}" for kind in dict.fromkeys(missing)]


def _maps(section: list[str]) -> Iterator[tuple[str, str]]:
    for line in section:
        if _is(line, "rtpmap"):
            kind, _, name = line.partition(":")[2].partition(" ")
            if "/" in name:
                yield kind, name.strip()


def _direction(lines: list[str]) -> str | None:
    said = [line[2:] for line in lines if line.startswith("a=") and line[2:] in _ANSWERED]
    return said[-1] if said else None


def _last(lines: list[str], start: str) -> str | None:
    found = [line.removeprefix(start) for line in lines if line.startswith(start)]
    return found[-1] if found else None


def _is(line: str, attribute: str) -> bool:
    return line.startswith(f"a={attribute}:")


def _words(codecs: Audio) -> str:
    """A stranger's words, for a log."""
    names = list(codecs.codecs.values())[:10]
    printable = ["".join(c for c in name[:24] if c.isalnum() or c in "-._/") for name in names]
    return ", ".join(printable) or "none"
