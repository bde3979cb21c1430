"""What is said to Janus's SIP plugin, and what its events mean. Pure.

Of an event only what is used is read, each part checked for its type and length: behind it stand a
caller's headers and SDP.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from server.media.errors import BadOffer
from server.phone.accounts import Account
from server.phone.bridge import (
    Answered,
    CallEvent,
    DigitPressed,
    HungUp,
    Party,
    Progress,
    Ringing,
    Updating,
)
from server.phone.digits import info_digit
from server.phone.parties import clean, party
from server.phone.sdp import audio

PACKAGE = "janus.plugin.sip"
LONGEST_SDP = 16_384
Srtp = Literal["off", "optional", "required"]
Body = dict[str, Any]
_SRTP = {"optional": "sdes_optional", "required": "sdes_mandatory"}
NUMBER = re.compile(r"[+*#]?[0-9A-Za-z._*#-]{1,64}")
"""What may be dialled: a telephone number, an extension, a name; nothing that could be a URI."""


# --- requests -------------------------------------------------------------------------------------
def register(account: Account, address: str, *, refresh: bool = False) -> Body:
    """`address`: the registrar's, an IPv4 address: a name would make the plugin look it up."""
    where = f"sip:{address}:{account.port}"
    body: Body = {
        "request": "register",
        "username": account.address,
        **account.secret,
        "proxy": where,
        "outbound_proxy": where,
        "register_ttl": account.ttl_s,
        # A CANCEL before any provisional answer is sent, too.
        "rfc2543_cancel": True,
    }
    if account.login:
        body["authuser"] = account.login
    return {**body, "refresh": True} if refresh else body


def helper(account: Account, master_id: int) -> Body:
    """A further line of an account that is registered."""
    return {
        "request": "register",
        "type": "helper",
        "username": account.address,
        "master_id": master_id,
    }


def accept(srtp: Srtp) -> Body:
    # The plugin would answer a hold by itself, and nobody would hear of it.
    body: Body = {"request": "accept", "autoaccept_reinvites": False}
    return {**body, "srtp": _SRTP[srtp]} if srtp != "off" else body


def call(account: Account, number: str, srtp: Srtp) -> Body:
    body: Body = {
        "request": "call",
        "uri": f"sip:{number}@{account.host}",
        "autoaccept_reinvites": False,
    }
    return {**body, "srtp": _SRTP[srtp]} if srtp != "off" else body


def decline(code: int) -> Body:
    return {"request": "decline", "code": code}


HANGUP: Body = {"request": "hangup"}
UPDATE: Body = {"request": "update"}
UNREGISTER: Body = {"request": "unregister"}


def jsep(kind: Literal["offer", "answer"], sdp: str, *, update: bool = False) -> Body:
    """A session description, as Janus takes it; ours has all its candidates."""
    told: Body = {"type": kind, "sdp": sdp, "trickle": False}
    return {**told, "update": True} if update else told


# --- events ---------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Registered:
    master_id: int
    """0 where the event has none."""


@dataclass(frozen=True)
class RegistrationFailed:
    code: int
    reason: str


@dataclass(frozen=True)
class Incoming:
    call_id: str
    caller: Party
    callee: Party
    offer: str | None
    """Empty: one that is too long, and not to be answered."""


@dataclass(frozen=True)
class Missed:
    """Every line was in use; the caller had 486."""

    caller: Party


SipEvent = Registered | RegistrationFailed | Incoming | Missed | CallEvent


def read(message: Body) -> SipEvent | None:
    """The event of a message of the plugin; None where it means nothing to us."""
    result = _dict(_dict(_dict(message, "plugindata"), "data"), "result")
    sdp = _sdp(message)
    match result.get("event"):
        case "registered":
            return Registered(_number(result.get("master_id")))
        case "registration_failed":
            return RegistrationFailed(_number(result.get("code")), _text(result, "reason"))
        case "incomingcall":
            return Incoming(call_id(message), *_parties(result), sdp)
        case "missed_call":
            return Missed(party(result.get("caller"), result.get("displayname")))
        case "ringing":
            return Ringing()
        case "progress":
            return Progress(sdp)
        case "accepted":
            return Answered(sdp)
        case "updatingcall":
            return Updating(sdp, held=is_held(sdp))
        case "hangup":
            return HungUp(_number(result.get("code")), _text(result, "reason"))
        case "info":
            digit = info_digit(_raw(result, "type"), _raw(result, "content"))
            return DigitPressed(digit) if digit else None
    return None


def error_of(message: Body) -> tuple[int, str] | None:
    """Code and text, where the plugin refused a request."""
    data = _dict(_dict(message, "plugindata"), "data")
    if "error_code" not in data:
        return None
    return _number(data["error_code"]), _text(data, "error")


def is_held(sdp: str | None) -> bool:
    """Whether the other side will not listen to the only medium we have."""
    try:
        return sdp is not None and audio(sdp).held
    except BadOffer:
        return False  # whoever answers it finds out


def _parties(result: Body) -> tuple[Party, Party]:
    caller = party(result.get("username"), result.get("displayname"))
    return caller, party(result.get("callee"))


def call_id(message: Body) -> str:
    """SIP's Call-ID of an event, cleaned; empty where it has none."""
    data = _dict(_dict(message, "plugindata"), "data")
    return clean(str(data.get("call_id", ""))[:256], 128)


def _sdp(message: Body) -> str | None:
    """Empty where there is one that is not to be used: that is another thing than none at all."""
    if "jsep" not in message:
        return None
    found = _dict(message, "jsep").get("sdp")
    return found if isinstance(found, str) and len(found) <= LONGEST_SDP else ""


def _dict(within: Body, name: str) -> Body:
    found = within.get(name)
    return found if isinstance(found, dict) else {}


def _number(found: object) -> int:
    return found if isinstance(found, int) and 0 <= found < 1 << 32 else 0


def _raw(within: Body, name: str) -> str:
    found = within.get(name)
    return found if isinstance(found, str) else ""


def _text(within: Body, name: str) -> str:
    found = within.get(name)
    return clean(found) if isinstance(found, str) else ""
