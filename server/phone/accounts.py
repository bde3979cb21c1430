"""An account at a PBX or provider: what it is, and how its registration is kept alive. Pure.

A gateway gives up after the first refusal, so when to try again is decided here:

    refused for who we are (401, 403, 404, 407; 904: the password does not fit)
        10 minutes, then 30: providers lock out an address that keeps trying a wrong password
    anything else (no answer, no such name, 5xx)
        2 s, 4 s, 8 s … 60 s, each up to a fifth shorter, so that not all come back at once

A registration that is not renewed in time counts as lost: the gateway renews it by itself, and says
so each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from server.phone.bridge import AccountState, Standing
from server.phone.parties import clean

SIP_PORT = 5060
TTL_S = 90
"""A restarted registrar knows nobody until the next renewal, so it has to be soon."""
ANSWER_S = 45.0
"""A silent registrar is given up by the gateway after 32 s; a silent gateway by us after this."""
REFUSED_FOR_GOOD = frozenset({401, 403, 404, 407, 904})
_LONG_S = (600.0, 1800.0)
_SHORT_S = (2.0, 60.0)
_HA1 = re.compile(r"ha1:([0-9a-f]{32})", re.IGNORECASE)


@dataclass(frozen=True)
class Account:
    """Who registers where."""

    name: str
    """Ours, for the operator."""
    user: str
    host: str
    """The registrar: a name or an IPv4 address; also the domain of its SIP addresses."""
    port: int = SIP_PORT
    password: str = field(default="", repr=False)
    """Or `ha1:` and 32 hex digits: the MD5 of user:realm:password, from which nobody reads it."""
    login: str = ""
    """The user of the digest, where it is another than `user`."""

    ttl_s: int = TTL_S

    @property
    def address(self) -> str:
        """Address of record, which a registrar knows the account by."""
        return f"sip:{self.user}@{self.host}"

    @property
    def secret(self) -> dict[str, str]:
        """The password as `secret`, or its hash as `ha1_secret`."""
        hashed = ha1(self.password)
        return {"ha1_secret": hashed} if hashed else {"secret": self.password}


def ha1(password: str) -> str:
    """The hash, of a password that is given as one; else empty."""
    found = _HA1.fullmatch(password)
    return found[1].lower() if found else ""


class Registration:
    """The state of one account; times are UTC. `due` says when to register, and the rest is told
    what came of it."""

    def __init__(
        self, at: datetime, *, ttl_s: int = TTL_S, jitter: Callable[[], float] = lambda: 0.0
    ) -> None:
        """`jitter` gives numbers of [0, 1)."""
        self._overdue_s, self._jitter = ttl_s * 1.5, jitter
        self._failures = 0
        self._since = at  # of the state; the time to wait is counted from `_told`
        self._told = at
        self._wait = timedelta(0)
        self.state = AccountState("off", at)

    def due(self, at: datetime) -> bool:
        """Whether to register now; also where the clock was put back, and nobody knows how far."""
        return at >= self._told + self._wait or at < self._told

    def asked(self, at: datetime) -> None:
        """A registration was sent."""
        if self.state.state in ("off", "registered"):
            self._become("registering", at)
        self._set_timer(at, ANSWER_S)

    def registered(self, at: datetime) -> None:
        """The registrar took it, or renewed it."""
        self._failures = 0
        self._become("registered", at)
        self._set_timer(at, self._overdue_s)

    def refused(self, at: datetime, code: int, reason: str) -> None:
        """It did not come about. `code` is SIP's, or 0."""
        first, longest = _LONG_S if code in REFUSED_FOR_GOOD else _SHORT_S
        wait = min(longest, first * 2 ** min(self._failures, 10)) * (1 - self._jitter() / 5)
        self._failures += 1
        self._set_timer(at, wait)
        self._become("failed", at, sentence(code, reason), at + self._wait, code)

    def silent(self, at: datetime) -> None:
        """Asked, due again, and nothing came in between."""
        self.refused(at, 0, "nobody answered")

    def lost(self, at: datetime) -> None:
        """The gateway is gone, and the registration with it; a new one is to be had at once."""
        self._failures = 0
        self._become("off", at)
        self._set_timer(at, 0)

    def _become(
        self,
        state: Standing,
        at: datetime,
        reason: str = "",
        next_try: datetime | None = None,
        code: int = 0,
    ) -> None:
        if state != self.state.state:
            self._since = at
        self.state = AccountState(state, self._since, reason, next_try, code)

    def _set_timer(self, at: datetime, seconds: float) -> None:
        self._told, self._wait = at, timedelta(seconds=seconds)


def sentence(code: int, reason: str) -> str:
    """Why a registration failed, and what to do, in a sentence for the operator."""
    said = clean(reason)
    match code:
        case 401 | 407 | 904:
            return "The registrar does not take the user and password."
        case 403:
            return f"The registrar forbids it (403 {said}): the password, or the account's rights."
        case 404:
            return "The registrar does not know this user."
        case 408:
            return "The registrar does not answer."
        case 503:
            return "The registrar cannot be reached, or is overloaded."
        case 0:
            return f"Not registered: {said}."
    return f"The registrar answered {code} {said}."


def utc() -> datetime:
    return datetime.now(UTC)
