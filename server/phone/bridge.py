"""What the phone needs of a gateway between SIP and WebRTC: calls, their events, accounts.

Knows no gateway: `server.phone.janus` is one. Everything here that began at a caller or a PBX is
already cleaned and bounded, and must still be taken for hostile: a caller's number can be forged,
and anybody may have sent the call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from server.phone.numbers import spelled

BUSY, NOT_ACCEPTABLE, DECLINED = 486, 488, 603
"""SIP's answers for `BridgeCall.decline`: no line is free; no codec fits; not wanted."""
GATEWAY_LOST = "gateway lost"
"""The reason of `HungUp` where the gateway died, and not the call."""


class PhoneError(Exception):
    """Base of all; the message is a sentence for the operator, without a secret."""


class GatewayMissing(PhoneError):
    """The gateway's program or its SIP plugin is not on this machine."""


class GatewayTooOld(PhoneError):
    """The gateway's program is older than the one this bridge was written for."""


class GatewayLost(PhoneError):
    """The gateway does not answer, or went away while it was asked."""


class DialRefused(PhoneError):
    """A call out that the gateway did not begin."""


@dataclass(frozen=True)
class Party:
    """One end of a call: printable text without markup's characters (`server.phone.parties`), at
    most 64 characters each, empty where absent. Nobody has checked that it is true."""

    user: str = ""
    host: str = ""
    display: str = ""

    @property
    def number(self) -> str:
        """As `server.phone.numbers` spells it; empty if the user is no number."""
        return spelled(self.user)


@dataclass(frozen=True)
class Ringing:
    """The other side's phone rings (180)."""


@dataclass(frozen=True)
class Progress:
    """The other side's network says something before the answer (183), perhaps with sound."""

    sdp: str | None
    """The answer to our offer: `Answered` then brings none."""


@dataclass(frozen=True)
class Answered:
    """Somebody, or something, took our call."""

    sdp: str | None
    """The answer to our offer; None where `Progress` brought it."""


@dataclass(frozen=True)
class DigitPressed:
    """A key, by signalling. Keys that come as RTP events come with the media, not here."""

    digit: str
    """One of `0123456789*#ABCD`."""
    method: Literal["info"] = "info"


@dataclass(frozen=True)
class Updating:
    """The other side changes the call; it waits for `BridgeCall.update`."""

    sdp: str | None
    """The gateway's new offer; None where it asks for ours, which then goes out with `update`."""
    held: bool
    """It will not listen: our side is on hold, and what it sends is music."""


@dataclass(frozen=True)
class MediaUp:
    """The media's way between gateway and us is open; before this, sound is lost."""


@dataclass(frozen=True)
class HungUp:
    """The call is over, whoever ended it. Always the last event, and always there."""

    code: int
    """SIP's (486 busy, 480 no answer, 200 an ordinary end); 0 where there is none."""
    reason: str
    ours: bool = field(default=False, compare=False)
    """Whether we hung up first."""


CallEvent = Ringing | Progress | Answered | DigitPressed | Updating | MediaUp | HungUp


class BridgeCall(Protocol):
    """One call. Its methods raise `GatewayLost` where the gateway is gone; once the call is over
    they do nothing."""

    @property
    def id(self) -> str:
        """SIP's Call-ID where known, bounded and cleaned; the other side's word, and not unique."""

    @property
    def account(self) -> str: ...

    @property
    def direction(self) -> Literal["in", "out"]: ...

    @property
    def caller(self) -> Party: ...

    @property
    def callee(self) -> Party: ...

    @property
    def offer(self) -> str | None:
        """The gateway's WebRTC offer, of a call that came in; None of one that goes out, and where
        the caller made no offer: then ours goes out with `answer`."""

    async def ring(self) -> None:
        """Let the caller hear that it rings. Some gateways do so by themselves."""

    async def answer(self, sdp: str) -> None:
        """Take an incoming call with our answer; where it had no offer, with our offer."""

    async def decline(self, code: int) -> None:
        """Refuse an incoming call that was not answered: `BUSY`, `NOT_ACCEPTABLE`, `DECLINED`."""

    async def update(self, sdp: str) -> None:
        """Our answer to `Updating`."""

    async def hang_up(self) -> None:
        """End the call in whatever state it is; `HungUp` follows."""

    def events(self) -> AsyncIterator[CallEvent]:
        """What happens, from the beginning, for one reader; ends after `HungUp`."""


Standing = Literal["off", "registering", "registered", "failed"]


@dataclass(frozen=True)
class AccountState:
    """Whether a PBX or provider would bring us calls."""

    state: Standing
    since: datetime
    """UTC."""
    reason: str = ""
    """Of `failed`: a sentence for the operator."""
    next_try: datetime | None = None
    """Of `failed`: UTC."""
    code: int = 0
    """SIP's (403, 503 …; 904: the password is wrong); 0 where there was no answer of SIP's."""


GatewayStanding = Literal["stopped", "starting", "up", "down", "failed"]


@dataclass(frozen=True)
class GatewayState:
    """How the gateway does, for the operator's page and the metrics."""

    state: GatewayStanding
    """`down`: it is being started again; `failed`: an operator has to do something first."""
    reason: str = ""
    version: str = ""
    restarts: int = 0
    """Since the bridge was started."""
    lines: int = 0
    """Calls that may be had at once, both ways."""
    calls: int = 0
    """Being had, rung or dialled now."""
    missed: int = 0
    """Calls that found no free line, since the bridge was started."""
    guarded: bool = False
    """Whether we keep strangers' SIP packets from the gateway; a firewall may do so, too."""
    sip_ports: tuple[int, ...] = ()
    """Where the gateway takes SIP, as far as we can see."""
    accounts: Mapping[str, AccountState] = field(default_factory=dict)


class Bridge(Protocol):
    """A gateway. All of it belongs to one event loop."""

    async def start(self) -> None:
        """Bring the gateway up and register every account; comes back when the gateway answers,
        not when the accounts are registered. Raises `PhoneError`."""

    async def stop(self) -> None:
        """End every call, unregister, and end the gateway if it is ours."""

    def on_call(self, callback: Callable[[BridgeCall], None]) -> None:
        """Who is told of each call that comes in, once, on the bridge's loop; before `start`. What
        the callback raises is logged, and the call declined."""

    async def dial(self, account: str, number: str, offer_sdp: str) -> BridgeCall:
        """Begin a call. `number` is what the PBX is asked for: an extension or a telephone number.
        Raises `DialRefused`, `GatewayLost`."""

    @property
    def accounts(self) -> Mapping[str, AccountState]: ...

    @property
    def free_lines(self) -> int:
        """How many more calls could come in. One that `dial` was asked for takes its line at
        once."""

    @property
    def state(self) -> GatewayState: ...
