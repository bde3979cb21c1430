"""When and whom we may call: prefixes, hours, caps, and the one policy of trying again. Pure.

Off unless prefixes are allowed. The PBX should keep the same list: a redirect (302) is followed by
the gateway without asking us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from server.phone.numbers import spelled
from server.settings import Settings
from server.store import CallOutcome

MOST_ATTEMPTS = 3
RETRY_S: dict[CallOutcome, float] = {
    "busy": 10 * 60.0,
    "no_answer": 2 * 3600.0,
    "voicemail": 4 * 3600.0,
    "failed": 30 * 60.0,
}
"""After how long it is tried again; what is not here is not. A declined call is an answer."""
_ENDED: dict[str, CallOutcome] = {
    "voicemail": "voicemail",
    "no_answer": "no_answer",
    "declined": "declined",
    "declined_ai": "declined",
    "silence": "voicemail",
    "full": "failed",
    "failed": "failed",
    "limited": "failed",
    "over": "cancelled",
    "elsewhere": "cancelled",
    "revoked": "cancelled",
}
"""By the reception's word; any other is that of somebody who did not want to go on."""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
DAY_S = 86_400.0


Refusal = Literal["off", "number", "prefix", "zone", "over", "waiting", "calls", "minutes"]


class NoCall(Exception):
    """The call is refused; the message says why and what would help."""

    def __init__(self, code: Refusal, text: str) -> None:
        super().__init__(text)
        self.code: Refusal = code


@dataclass(frozen=True)
class Policy:
    prefixes: tuple[str, ...] = ()
    """`+49`, `+4930`: numbers that may be called; none are where there is none."""
    calls_per_day: int = 20
    """In any 24 hours, over all interviews, tries included."""
    minutes_per_day: float = 300.0
    """When so many are used up, no call begins; one that runs is not cut off."""
    opens: time = time(9)
    """In the candidate's time zone; no call begins before it …"""
    closes: time = time(18)
    """… or after it."""


def policy_of(settings: Settings) -> Policy:
    opens, closes = settings.phone_call_hours.split("-")
    return Policy(
        prefixes=settings.phone_call_prefixes,
        calls_per_day=settings.phone_calls_per_day,
        minutes_per_day=settings.phone_minutes_per_day,
        opens=time.fromisoformat(opens),
        closes=time.fromisoformat(closes),
    )


def number_of(text: str, policy: Policy) -> str:
    """The number as it is dialled, by a telephone that is on. Raises `NoCall`."""
    number = spelled(text)
    if not policy.prefixes:
        raise NoCall(
            "off",
            "Calls to candidates are off: no prefix is allowed. Name the beginnings of numbers that"
            " may be called in VIVA_PHONE_CALL_PREFIXES, such as +49.",
        )
    if not _E164.fullmatch(number):
        raise NoCall("number", "Write the number with its country code: +49 30 1234567.")
    if not number.startswith(policy.prefixes):
        allowed = ", ".join(policy.prefixes)
        raise NoCall("prefix", f"Only numbers that begin with {allowed} may be called.")
    return number


def zone_of(name: str) -> ZoneInfo:
    """A time zone by its name. Raises `NoCall`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # a folder's name is an OSError
        raise NoCall(
            "zone", f"There is no time zone {name[:64]!r}: use Europe/Berlin, say."
        ) from error


def earliest(policy: Policy, zone: str, at: float) -> float:
    """When a call may begin that is wanted at `at`: then, or when the hours begin next. Unix
    seconds, as all. Raises `NoCall`."""
    local = datetime.fromtimestamp(at, zone_of(zone))
    if policy.opens <= local.time() < policy.closes:
        return at
    day = local.date() if local.time() < policy.opens else local.date() + timedelta(days=1)
    return datetime.combine(day, policy.opens, local.tzinfo).timestamp()


def within_caps(policy: Policy, calls: int, seconds: float) -> None:
    """`calls` that began in the last 24 hours, and their `seconds` until now, of running ones too.
    Raises `NoCall`."""
    if calls >= policy.calls_per_day:
        raise NoCall(
            "calls",
            f"{calls} calls were made in the last 24 hours, as many as VIVA_PHONE_CALLS_PER_DAY"
            " allows.",
        )
    if seconds >= policy.minutes_per_day * 60:
        raise NoCall(
            "minutes",
            f"{seconds / 60:.0f} minutes were called in the last 24 hours, as many as"
            " VIVA_PHONE_MINUTES_PER_DAY allows.",
        )


def again(policy: Policy, outcome: CallOutcome, attempt: int, zone: str, at: float) -> float | None:
    """When to try again after a call that ended at `at`; None: not at all."""
    if outcome not in RETRY_S or attempt >= MOST_ATTEMPTS:
        return None
    return earliest(policy, zone, at + RETRY_S[outcome])


def outcome_of(code: int, *, joined: bool, ours: bool = False, why: str = "") -> CallOutcome:
    """How a call ended, from SIP's code of its end, whether we ended it, and what the reception
    made of it. Whoever takes a call and hangs up before the interview has declined it: the first
    sentence says that they may."""
    if joined:
        return "answered"
    if why in _ENDED:
        return _ENDED[why]
    if code in (486, 600):
        return "busy"
    if code in (603, 607) or why or (code == 200 and not ours):
        return "declined"
    return "no_answer" if code in (408, 480, 487) else "failed"
