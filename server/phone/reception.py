"""A caller before the interview: the PIN, what this is, the two consents. Pure.

Nothing of an interview is said before its PIN is right, or, where we called, before somebody agreed
to go on. What happened goes in, what to do comes out; the caller of `on` does it, at once and in
order. Digits work at any moment and stop what is being said; words count only in quiet, since the
line may return our own voice.

The way: welcome → PIN → (agreed before: join) → disclosure → interview? → recording? → join.
Where we called: a neutral question → hello → the same from the disclosure on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent import intents
from server.phone import spoken_digits

QUIET_S = 0.8
"""From the answer to the first word: whoever calls is still bringing the receiver to the ear."""
ANSWER_S = 7.0
"""So long we wait for an answer after our words."""
PIN_PAUSE_S = 5.0
"""So long between two digits of a PIN."""
ASKS = 3
"""How often a thing is asked: then we say goodbye."""
TRIES = 3
"""Wrong PINs in one call."""
YES, NO, PERSON, REPEAT, DONE = "1", "2", "0", "*", "#"

Method = Literal["key", "spoken"]
Why = Literal["unknown", "limited", "expired", "revoked", "over", "full", "failed"]


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
class Said:
    """What there was to say has been said."""


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class Found:
    """The PIN's interview, or the one that we called for."""

    interview_id: str
    consented: bool
    """Both consents stand, from an earlier call or the page."""


@dataclass(frozen=True)
class NotFound:
    why: Why


Input = Connected | Pressed | Heard | Said | Tick | Found | NotFound


# --- what to do -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Say:
    """Say a line of `prompts/…/phone.md`, or the plan's disclosure."""

    line: str


@dataclass(frozen=True)
class Stop:
    """Stop speaking."""


@dataclass(frozen=True)
class FindPin:
    """Look it up: `Found` or `NotFound` comes back."""

    pin: str


@dataclass(frozen=True)
class Consent:
    """Write what the caller answered."""

    interview: bool
    recording: bool
    method: Method


@dataclass(frozen=True)
class WantsPerson:
    """Write that the caller wants a person, which ends the interview."""


@dataclass(frozen=True)
class Join:
    """The interview begins, or goes on."""


@dataclass(frozen=True)
class HangUp:
    """When all is said."""

    why: str


Action = Say | Stop | FindPin | Consent | WantsPerson | Join | HangUp
DISCLOSURE = "disclosure"
_GOODBYES: dict[Why, str] = {
    "limited": "pin_limited",
    "expired": "pin_expired",
    "revoked": "pin_revoked",
    "over": "over",
    "full": "full",
    "failed": "failed",
}


class Reception:
    """One call until it joins or is over. `at` is any monotonic clock's seconds."""

    def __init__(
        self, *, pin_length: int, known_number: bool = False, called: bool = False
    ) -> None:
        """`known_number`: the caller's number, or the one that was dialled, has an invitation.
        `called`: we called, so that the person is asked and no PIN is."""
        self._pin_length = pin_length
        self._welcome = "welcome_number" if known_number else "welcome"
        self._called = called
        self._step: Callable[[Input], list[Action]] = self._greet if called else self._pin
        self._digits = ""
        self._asked = self._tries = 0
        self._interview_method: Method = "spoken"
        self._saying = 0
        self._due = math.inf
        self._at = 0.0
        self._over = False

    @property
    def saying(self) -> bool:
        """Whether our words are under way."""
        return self._saying > 0

    def on(self, what: Input, at: float) -> list[Action]:
        """What to do now."""
        self._at = at
        if self._over:
            return []
        if isinstance(what, Connected):
            self._due = at + QUIET_S
            return []
        if isinstance(what, Said):
            self._saying = 0
            self._due = at + ANSWER_S
            return []
        if isinstance(what, Tick) and (self.saying or at < self._due):
            return []
        if isinstance(what, Heard) and self.saying:
            return []
        return self._noted(self._step(what))

    def _noted(self, actions: list[Action]) -> list[Action]:
        """Keep count of what is being said, and stop it first where something else is to be."""
        says = sum(isinstance(action, Say) for action in actions)
        ends = any(isinstance(action, Join | HangUp) for action in actions)
        stop: list[Action] = [Stop()] if self.saying and (says or ends) else []
        self._over = ends
        if says:
            self._saying, self._due = says, math.inf
        return [*stop, *actions]

    # --- the PIN ----------------------------------------------------------------------------------
    def _pin(self, what: Input) -> list[Action]:
        match what:
            case Tick():
                return self._pin_silence()
            case Pressed(digit):
                return self._pin_key(digit)
            case Heard(text):
                return self._pin_digits(spoken_digits.digits(text))
            case Found():
                return self._found(what)
            case NotFound(why):
                return self._not_found(why)
        return []

    def _pin_silence(self) -> list[Action]:
        if self._digits:
            self._digits = ""
            return [Say("pin_short")]
        if self._asked >= ASKS:
            return [Say("silence"), HangUp("silence")]
        self._asked += 1
        return [Say(self._welcome if self._asked == 1 else "pin_again")]

    def _pin_key(self, key: str) -> list[Action]:
        if key == REPEAT:
            self._digits = ""
            return [Say(self._welcome)]
        if key == DONE:
            short = 0 < len(self._digits) < self._pin_length
            self._digits = ""
            return [Say("pin_short")] if short else []
        return self._pin_digits(key) if key.isdigit() else []

    def _pin_digits(self, more: str) -> list[Action]:
        if not more:
            return []
        self._asked = 1  # somebody is there
        self._digits += more
        self._due = self._at + PIN_PAUSE_S
        stop: list[Action] = [Stop()] if self.saying else []
        self._saying = 0
        if len(self._digits) < self._pin_length:
            return stop
        pin, self._digits = self._digits[: self._pin_length], ""
        self._due = math.inf  # the look-up answers
        return [*stop, FindPin(pin)]

    def _not_found(self, why: Why) -> list[Action]:
        if why != "unknown":
            return [Say(_GOODBYES[why]), HangUp(why)]
        self._tries += 1
        if self._tries >= TRIES:
            return [Say("pin_refused"), HangUp("wrong_pin")]
        return [Say("pin_unknown")]

    def _found(self, found: Found) -> list[Action]:
        if found.consented:
            return [Join()]
        return self._ask(self._interview, DISCLOSURE, "consent_interview")

    # --- where we called --------------------------------------------------------------------------
    def _greet(self, what: Input) -> list[Action]:
        """Says nothing of the interview: a voicemail, or anybody, may have taken the call."""
        match what:
            case Tick() if self._asked == 0:
                self._asked = 1
                return [Say("called")]
            case Tick() if self._asked == 1:
                self._asked = 2
                return [Say("called_again")]
            case Tick():
                return [Say("callback"), HangUp("voicemail")]
            case Found():
                hello: list[Action] = [Say("called_hello")]
                return [*hello, *self._found(what)]
            case NotFound(why):
                return [Say(_GOODBYES.get(why, "failed")), HangUp(why)]
            case Pressed(digit) if digit == REPEAT:
                return [Say("called")]
        answer = _answer(what)
        if answer is None:
            return []
        # The look-up knows the interview: the empty PIN asks for the one that we called for.
        return [FindPin("")] if answer[0] else [Say("not_expected"), HangUp("declined")]

    # --- the consents -----------------------------------------------------------------------------
    def _ask(self, step: Callable[[Input], list[Action]], *lines: str) -> list[Action]:
        self._step, self._asked = step, 1
        return [Say(line) for line in lines]

    def _interview(self, what: Input) -> list[Action]:
        if self._wants_person(what):
            return [WantsPerson(), Say("person"), HangUp("declined_ai")]
        answer = _answer(what)
        if answer is None:
            return self._again(what, "consent_interview", DISCLOSURE)
        agreed, self._interview_method = answer
        if agreed:
            return self._ask(self._recording, "consent_recording")
        refused = Consent(False, False, self._interview_method)
        return [refused, Say("consent_refused"), HangUp("declined")]

    def _recording(self, what: Input) -> list[Action]:
        if self._wants_person(what):
            return [WantsPerson(), Say("person"), HangUp("declined_ai")]
        answer = _answer(what)
        if answer is None:
            return self._again(what, "consent_recording")
        recording, method = answer
        said: list[Action] = [] if recording else [Say("recording_refused")]
        return [Consent(True, recording, method), *said, Join()]

    def _again(self, what: Input, line: str, *before: str) -> list[Action]:
        """No answer that can be understood; a star hears all of it again."""
        if isinstance(what, Pressed) and what.digit == REPEAT:
            return [Say(name) for name in (*before, line)]
        if self._asked >= ASKS:
            return [Say("silence"), HangUp("no_consent")]
        self._asked += 1
        return [Say(f"{line}_again")]

    def _wants_person(self, what: Input) -> bool:
        match what:
            case Pressed(digit):
                return digit == PERSON
            case Heard(text):
                return intents.wants_a_person(text)
        return False


def _answer(what: Input) -> tuple[bool, Method] | None:
    """A yes or no, and how it was given; None where it is neither."""
    match what:
        case Pressed(digit) if digit in (YES, NO):
            return digit == YES, "key"
        case Heard(text) if intents.is_yes(text):
            return True, "spoken"
        case Heard(text) if intents.is_no(text):
            return False, "spoken"
    return None
