"""How a telephone behaves in a call: its codecs, its oddities, and the line it hangs on."""

from __future__ import annotations

from dataclasses import dataclass

from server.phone.softphone.impairment import CLEAN, Impairment
from server.phone.softphone.sdp import EVENTS, SPOKEN, STATIC, Description


@dataclass(frozen=True)
class Options:
    codecs: tuple[str, ...] = SPOKEN
    """The most wanted first. Names that it cannot speak (`G729/8000`) may be offered, too."""
    event_type: int | None = 101
    """Payload type of digits inside RTP; None: it has none."""
    static_lines: bool = True
    """False: no rtpmap for static payload types, which is legal and rarely met."""
    offerless: bool = False
    """INVITE without a description: the other side offers, ACK answers."""
    srtp: bool = False
    """Offer and demand SRTP, with keys in the description."""
    sending: Impairment = CLEAN
    """What the line does to packets on their way out."""
    hearing: Impairment = CLEAN
    """What it does to those that come."""

    def description(self, address: str, port: int) -> Description:
        """Our own, without keys."""
        numbers = {name: number for number, name in STATIC.items()}
        codecs = {numbers.get(one, 96 + at): one for at, one in enumerate(self.codecs)}
        if self.event_type is not None:
            codecs[self.event_type] = EVENTS
        return Description(address, port, codecs, static_lines=self.static_lines)
