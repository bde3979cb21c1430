"""SIP messages (RFC 3261): read from a datagram, and written as one. Knows no socket and no state.

What comes is hostile: `parse` raises `Malformed` and nothing else, and checks here whatever the
rest takes for granted: the fields that must be there, and the number in CSeq.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from server.phone.softphone.errors import Malformed

MAX_FIELDS = 1000
MAX_STRUCTURED = 4096
"""Characters of a field that is taken apart: the time this takes grows with their square."""
_COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "c": "content-type",
    "l": "content-length",
    "k": "supported",
    "e": "content-encoding",
    "s": "subject",
}
_MUST = ("via", "from", "to", "call-id", "cseq")
_STRUCTURED = (*_MUST, "contact", "route", "record-route", "www-authenticate", "proxy-authenticate")
_REQUEST = re.compile(r"([A-Z]{3,20}) (\S{1,2000}) SIP/2\.0")
_RESPONSE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?")
_CSEQ = re.compile(r"(\d{1,10})\s+([A-Z]{3,20})")
_PARAMETER = re.compile(r';\s*([\w.!%*+~-]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,\s>]*))?')
_VALUES = re.compile(r'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,"<])+')
_URI = re.compile(r"sips?:(?:([^@\s>]*)@)?(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?")


@dataclass
class Message:
    fields: list[tuple[str, str]] = field(default_factory=list)
    """Names as they were written, in their order."""
    body: str = ""

    def every(self, name: str) -> list[str]:
        """The values of all fields of this name (lower case, the long form)."""
        return [value for one, value in self.fields if _plain(one) == name]

    def get(self, name: str) -> str:
        """The first of them, or nothing."""
        return next(iter(self.every(name)), "")

    def listed(self, name: str) -> list[str]:
        """The values of all fields of a name that may hold several by comma: Via, Route, …"""
        values = (one.strip() for field in self.every(name) for one in _VALUES.findall(field))
        return [one for one in values if one]

    def add(self, name: str, *values: str) -> None:
        self.fields += [(name, value) for value in values]

    @property
    def call_id(self) -> str:
        return self.get("call-id")

    @property
    def cseq(self) -> tuple[int, str]:
        """The number and the method."""
        found = _CSEQ.fullmatch(self.get("cseq").strip())
        if not found:
            raise Malformed("its CSeq is no number and method")
        return int(found[1]), found[2]

    @property
    def branch(self) -> str:
        return parameters(next(iter(self.listed("via")), "")).get("branch", "")

    def _written(self, first: str) -> bytes:
        body = self.body.encode()
        lines = [first, *(f"{name}: {value}" for name, value in self.fields)]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass
class Request(Message):
    method: str = ""
    uri: str = ""

    def written(self) -> bytes:
        return self._written(f"{self.method} {self.uri} SIP/2.0")


@dataclass
class Response(Message):
    code: int = 0
    reason: str = ""

    def written(self) -> bytes:
        return self._written(f"SIP/2.0 {self.code} {self.reason}")


def parse(datagram: bytes) -> Request | Response:
    """Raises `Malformed`."""
    head, _, body = datagram.partition(b"\r\n\r\n")
    lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).lstrip().split("\r\n")
    if any(one in line for line in lines for one in "\r\n\0"):
        raise Malformed("it has line ends where none belong")
    message = _begun(lines[0])
    if len(lines) > MAX_FIELDS:
        raise Malformed("it has too many fields")
    message.fields = [_field(line) for line in lines[1:]]
    if any(len(value) > MAX_STRUCTURED for name in _STRUCTURED for value in message.every(name)):
        raise Malformed("one of its fields is too long")
    if missing := [name for name in _MUST if not message.get(name)]:
        raise Malformed(f"it lacks {', '.join(missing)}")
    _, method = message.cseq
    if isinstance(message, Request) and method != message.method:
        raise Malformed("its CSeq names another method")
    length = message.get("content-length")
    end = int(length) if re.fullmatch(r"\d{1,6}", length) else len(body)
    message.body = body[:end].decode("utf-8", "replace")
    return message


def response_to(request: Request, code: int, reason: str, tag: str = "") -> Response:
    """With the fields that an answer repeats; `tag` is put on To if there is none yet."""
    answer = Response(code=code, reason=reason)
    answer.add("Via", *request.every("via"))
    answer.add("Record-Route", *request.every("record-route"))
    answer.add("From", request.get("from"))
    to = request.get("to")
    answer.add("To", f"{to};tag={tag}" if tag and not tag_of(to) else to)
    answer.add("Call-ID", request.call_id)
    answer.add("CSeq", request.get("cseq"))
    return answer


def parameters(value: str) -> dict[str, str]:
    """Those behind an address or a Via, names in lower case; an address's URI is left out."""
    behind = value.rpartition(">")[2] if ">" in value else value
    return {name.lower(): found.strip('"') for name, found in _PARAMETER.findall(behind)}


def tag_of(address: str) -> str:
    return parameters(address).get("tag", "")


def uri_of(address: str) -> str:
    """The URI of `"Name" <uri>;tag=…` or of `uri;tag=…`."""
    found = re.search(r"<([^>]*)>", address)
    return found[1] if found else address.partition(";")[0].strip()


def host_of(uri: str) -> tuple[str, int]:
    """Raises `Malformed`. The port is SIP's own, 5060, where none is named."""
    found = _URI.match(uri)
    if not found or int(found[3] or 5060) > 65535:
        raise Malformed("it names no address that can be sent to")
    return found[2], int(found[3] or 5060)


def _begun(line: str) -> Request | Response:
    if found := _REQUEST.fullmatch(line):
        return Request(method=found[1], uri=found[2])
    if found := _RESPONSE.fullmatch(line):
        return Response(code=int(found[1]), reason=found[2] or "")
    raise Malformed("it begins as no SIP message does")


def _field(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise Malformed("one of its lines is no field")
    return name.strip(), value.strip()


def _plain(name: str) -> str:
    name = name.lower()
    return _COMPACT.get(name, name)
