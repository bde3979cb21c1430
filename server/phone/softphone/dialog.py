"""A call as SIP sees it (RFC 3261, 12): tags, numbers, and the way between two ends.

Pure. Only loose routing: no proxy of today rewrites the request's URI.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from server.phone.softphone.endpoint import Address
from server.phone.softphone.errors import Malformed
from server.phone.softphone.message import Request, Response, host_of, tag_of, uri_of

AGENT = "viva-softphone"


@dataclass
class Dialog:
    call_id: str
    local: str
    """The From of our requests, with our tag."""
    remote: str
    """Their To; it gets the other side's tag with the first answer."""
    target: str
    """The URI to send to: the other side's Contact."""
    contact: str
    """Our own, in angle brackets."""
    number: int = 0
    """CSeq of our last request."""
    their_number: int = -1
    routes: list[str] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """Our own."""
        return tag_of(self.local)

    def request(self, method: str, number: int | None = None) -> Request:
        """The next request; ACK repeats the INVITE's `number`."""
        if number is None:
            self.number += 1
        made = Request(method=method, uri=self.target)
        made.add("Route", *self.routes)
        made.add("From", self.local)
        made.add("To", self.remote)
        made.add("Call-ID", self.call_id)
        made.add("CSeq", f"{self.number if number is None else number} {method}")
        made.add("Contact", self.contact)
        made.add("User-Agent", AGENT)
        return made

    def answered(self, response: Response) -> None:
        """A first answer to our INVITE: the other side's tag, address and way."""
        self.remote = response.get("to")
        self.routes = response.listed("record-route")[::-1]
        self.moved(response)

    def moved(self, message: Request | Response) -> None:
        """Its Contact is the target from now on."""
        if contact := next(iter(message.listed("contact")), ""):
            self.target = uri_of(contact)

    def expects(self, request: Request) -> bool:
        """Whether it belongs here and is no old one."""
        ours = tag_of(request.get("to")) == tag_of(self.local)
        theirs = tag_of(request.get("from")) == tag_of(self.remote)
        return ours and theirs and request.cseq[0] > self.their_number

    def next_hop(self, otherwise: Address) -> Address:
        """Where to send; `otherwise` for a host that is a name, which only the PBX may know."""
        first = uri_of(self.routes[0]) if self.routes else self.target
        try:
            host, port = host_of(first)
            ipaddress.IPv4Address(host)
        except (Malformed, ValueError):
            return otherwise
        return host, port


def invited(request: Request, tag: str, contact: str) -> Dialog:
    """The dialog that an INVITE from elsewhere begins."""
    made = Dialog(
        call_id=request.call_id,
        local=f"{request.get('to')};tag={tag}",
        remote=request.get("from"),
        target="",
        contact=contact,
        their_number=request.cseq[0],
        routes=request.listed("record-route"),
    )
    made.moved(request)
    return made
