"""What the other side's description may hold, found out before aiortc sees it.

aiortc parses with assertions and answers a hostile text with whatever it trips over.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from aiortc import RTCSessionDescription
from aiortc.sdp import DIRECTIONS, SessionDescription

from server.media.errors import BadOffer

MAX_OFFER = 64 * 1024
MAX_CANDIDATES = 40


def check_offer(sdp: str, type: str) -> RTCSessionDescription:
    """The offer as aiortc may have it, or `BadOffer` with a sentence that says what is wrong."""
    if type != "offer":
        raise BadOffer(f"expected an offer, not {type[:20]!r}")
    return RTCSessionDescription(sdp=_checked(sdp, "offer"), type="offer")


def check_answer(sdp: str) -> RTCSessionDescription:
    """The answer to our offer as aiortc may have it, or `BadOffer`."""
    return RTCSessionDescription(sdp=_checked(sdp, "answer"), type="answer")


def _checked(sdp: str, what: str) -> str:
    if len(sdp) > MAX_OFFER:
        raise BadOffer(f"the {what} is longer than {MAX_OFFER} characters")
    lines = sdp.splitlines()
    if not lines or lines[0].strip() != "v=0":
        raise BadOffer("this is not a session description")
    kinds = [line[2:].split(" ", 1)[0] for line in lines if line.startswith("m=")]
    if "audio" not in kinds:
        raise BadOffer(f"the {what} has no audio")
    if kinds.count("audio") > 1 or kinds.count("application") > 1:
        raise BadOffer(f"the {what} has more than one audio or data section")
    if set(kinds) - {"audio", "application"}:
        raise BadOffer(f"the {what} has sections other than audio and data")
    usable = "\r\n".join(_few_candidates(filter(_usable, lines))) + "\r\n"
    _check_sections(usable, what)
    return _directed(usable)


def _directed(sdp: str) -> str:
    """Say the default direction where the offer leaves it out, since aiortc knows no default."""
    head, audio = sdp.split("\r\nm=audio", 1)
    audio, *rest = audio.split("\r\nm=", 1)
    if not any(line.removeprefix("a=") in DIRECTIONS for line in audio.split("\r\n")):
        audio = audio.removesuffix("\r\n") + "\r\na=sendrecv" + ("" if rest else "\r\n")
    return "\r\nm=".join([head + "\r\nm=audio" + audio, *rest])


def _check_sections(sdp: str, what: str) -> None:
    try:
        description = SessionDescription.parse(sdp)
    except Exception as error:
        # The parser's answer to a hostile text is whatever it trips over, assertions included.
        raise BadOffer("the session description is malformed") from error
    for media in description.media:
        if media.dtls is None or not media.dtls.fingerprints:
            # aiortc would find out after its answer, in a task of its own.
            raise BadOffer(f"the {what}'s {media.kind} is not encrypted (no DTLS fingerprint)")
    # aiortc gives every bundled section the first one's transport: none, where that one is missing.
    bundled = {
        mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items
    }
    if not bundled <= {media.rtp.muxId for media in description.media}:
        raise BadOffer(f"the {what} bundles a section that it does not have")


def _few_candidates(lines: Iterable[str]) -> Iterator[str]:
    """Each candidate makes us send to an address that a stranger chose."""
    left = MAX_CANDIDATES
    for line in lines:
        if line.startswith("a=candidate:"):
            left -= 1
        if left >= 0 or not line.startswith("a=candidate:"):
            yield line


def _usable(line: str) -> bool:
    """Leave out what aiortc would wait for in vain.

    Names in .local would be resolved by multicast, which delays the answer and fails where there
    is no multicast; the browser reaches us, and its address is learned from its checks. For the
    same reason the end of its candidates is not believed.
    """
    if line.startswith("a=end-of-candidates"):
        return False
    if not line.startswith("a=candidate:"):
        return True
    fields = line.split()
    if len(fields) < 8 or fields[2].lower() != "udp":
        return False
    try:
        ipaddress.ip_address(fields[4])
    except ValueError:
        return False
    return True
