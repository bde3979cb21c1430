"""What happens on a line before the interview, and what the reception does about it: plain values.

Names of lines are headings of `prompts/…/phone.md`; `DISCLOSURE` is the plan's own text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DISCLOSURE = "disclosure"

Method = Literal["key", "spoken"]
Why = Literal["unknown", "limited", "expired", "revoked", "over", "full", "failed"]

Meanwhile = Literal["changed", "elsewhere", "over"]
"""The texts are not those that were read; the interview goes on at another place; it is over."""


# --- what happens ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Connected:
    """The media's way is open: words can be heard."""


@dataclass(frozen=True)
class Pressed:
    digit: str


@dataclass(frozen=True)
class Heard:
    """Words of the caller's, begun when nothing was being said to them."""

    text: str


@dataclass(frozen=True)
class Told:
    """This line was said to its end, to somebody who was not on hold."""

    line: str


@dataclass(frozen=True)
class Said:
    """All that there was to say has been said."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""

    speaking: bool = False
    """Whether words of the caller's are under way."""


@dataclass(frozen=True)
class Found:
    """The PIN's interview, or the one that we called for."""

    interview_id: str
    consented: bool
    """Both consents stand, from an earlier call or the page."""


@dataclass(frozen=True)
class NotFound:
    why: Why


@dataclass(frozen=True)
class Written:
    """The caller's answer stands in the log."""


@dataclass(frozen=True)
class NotWritten:
    """It does not, for what has happened elsewhere since the caller was asked."""

    why: Meanwhile


Input = Connected | Pressed | Heard | Told | Said | Tick | Found | NotFound | Written | NotWritten


# --- what to do -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Say:
    line: str


@dataclass(frozen=True)
class Stop:
    """Stop speaking."""


@dataclass(frozen=True)
class FindPin:
    """Look it up: `Found` or `NotFound` comes back. Empty: the interview that we called for."""

    pin: str


@dataclass(frozen=True)
class Consent:
    """Write what the caller answered: `Written` or `NotWritten` comes back."""

    interview: bool
    recording: bool
    method: Method
    recording_method: Method | None = None
    """None: the recording was not asked for."""
    disclosed: bool = True
    """Whether the disclosure was heard to its end."""


@dataclass(frozen=True)
class WantsPerson:
    """Write that the caller wants a person, which ends the interview."""

    disclosed: bool = True
    """Whether the disclosure was heard to its end."""


@dataclass(frozen=True)
class Join:
    """The interview begins, or goes on."""


@dataclass(frozen=True)
class HangUp:
    """When all is said."""

    why: str


Action = Say | Stop | FindPin | Consent | WantsPerson | Join | HangUp
