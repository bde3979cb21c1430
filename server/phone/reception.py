"""A caller before the interview: the PIN, what this is, the two consents. Pure.

Nothing of an interview is said before its PIN is right, or, where we called, before somebody agreed
to go on. What happened goes in, what to do comes out; the caller of `on` does it, at once and in
order. Words count only in quiet, since the line may return our own voice.

The way: welcome → PIN → (agreed before: join) → disclosure → interview? → recording? → join.
Where we called: a neutral question → hello → the same from the disclosure on.

| while we speak | a key |
|---|---|
| of the PIN, or who we are | stops our words and counts |
| what a consent rests on, until it was heard | no, a person and `*` do; a yes does nothing |
| the question behind them, or all of it again | stops our words and counts |

So a yes is always to words that were heard, and the log's `disclosed` is true; whoever knows the
question need not wait for its end. Every way ends: each part has its time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from agent import intents
from server.phone import spoken_digits
from server.phone.acts import (
    DISCLOSURE,
    Action,
    Connected,
    Consent,
    FindPin,
    Found,
    HangUp,
    Heard,
    Input,
    Join,
    Method,
    NotFound,
    NotWritten,
    Pressed,
    Said,
    Say,
    Stop,
    Tick,
    Told,
    WantsPerson,
    Why,
    Written,
)

QUIET_S = 0.8
"""From the answer to the first word: whoever calls is still bringing the receiver to the ear."""
ANSWER_S = 7.0
"""So long we wait for an answer after our words."""
SPEAKING_S = 8.0
"""So much longer for one that is being spoken, or recognised; no noise holds us up for ever."""
PIN_PAUSE_S = 5.0
"""So long between two digits of a PIN."""
SETTLE_S = 1.5
"""A key so soon behind the PIN ends it, or is a digit too many: it answers nothing."""
ASKS = 3
"""How often a thing is asked: then we say goodbye."""
REPEATS = 3
"""How often a star is obeyed in one question."""
TRIES = 3
"""Wrong PINs in one call."""
PIN_S = 180.0
"""From the answer to the right PIN, or to the word that we may go on: then the line is freed."""
TEXTS_S = 300.0
"""So long a plan's texts may take when they are first read: some 4,500 letters, or 1,080 characters
of Chinese; `viva plan check` warns of longer ones."""
CONSENT_S = 100.0
"""From the end of that to the answer of each of the two questions."""
YES, NO, PERSON, REPEAT, DONE = "1", "2", "0", "*", "#"

_GOODBYES: dict[Why, str] = {
    "limited": "pin_limited",
    "expired": "pin_expired",
    "revoked": "pin_revoked",
    "over": "over",
    "full": "full",
    "failed": "failed",
}


@dataclass(frozen=True)
class Question:
    """A line that asks for yes or no."""

    line: str
    texts: tuple[str, ...]
    """What a yes says yes to, said before it."""

    @property
    def lines(self) -> tuple[str, ...]:
        return (*self.texts, self.line)


INTERVIEW = Question("consent_interview", (DISCLOSURE, "consent_text"))
RECORDING = Question("consent_recording", ("recording_text",))


class Reception:
    """One call until it joins or is over. `at` is any monotonic clock's seconds."""

    def __init__(
        self, *, pin_length: int, known_number: bool = False, called: bool = False
    ) -> None:
        """`known_number`: the caller's number, or the one that was dialled, has an invitation.
        `called`: we called, so that the person is asked and no PIN is."""
        self._pin_length = pin_length
        self._welcome = "welcome_number" if known_number else "welcome"
        self._step: Callable[[Input], list[Action]] = self._greet if called else self._pin
        self._digits = ""
        self._entered: Method = "key"
        """How the digits so far were given."""
        self._asked = self._repeated = self._tries = 0
        self._words = False
        """Whether words came that were not understood."""
        self._told: set[str] = set()
        self._question = INTERVIEW
        self._reading = self._first = False
        """Whether the question is being said, with its texts; and whether for the first time."""
        self._interview_method: Method = "spoken"
        self._then: list[Action] = []
        """What follows an answer that is being written."""
        self._deaf_until = -math.inf
        """Keys before this are the PIN's."""
        self._saying = 0
        self._due = self._limit = math.inf
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
        if math.isinf(self._limit):  # it begins with the answer: the media's way may never open
            self._limit = at + PIN_S
        match what:
            case Connected():
                self._due = at + QUIET_S
            case Told(line):
                self._told.add(line)
            case Said():
                self._said()
            case Found() | NotFound() | Written() | NotWritten():
                return self._noted(self._step(what))
            case _ if at >= self._limit:
                return self._noted(self._too_long())
            case _ if self._counts(what):
                return self._noted(self._step(what))
        return []

    def _said(self) -> None:
        self._saying, self._due = 0, self._at + ANSWER_S
        if self._first:
            self._limit = self._at + CONSENT_S
        self._reading = self._first = False

    def _counts(self, what: Input) -> bool:
        match what:
            case Tick(speaking):
                patience = SPEAKING_S if speaking else 0.0
                return not self.saying and self._at >= self._due + patience
            case Heard():
                return not self.saying
        return True

    def _noted(self, actions: list[Action]) -> list[Action]:
        """Keep count of what is being said, and stop it first where something else is to be."""
        says = sum(isinstance(action, Say) for action in actions)
        ends = any(isinstance(action, Join | HangUp) for action in actions)
        decides = ends or any(isinstance(action, Consent) for action in actions)
        stop: list[Action] = [Stop()] if self.saying and (says or decides) else []
        self._over = ends
        if decides:
            self._saying = 0
        if says:
            self._saying, self._due = says, math.inf
        return [*stop, *actions]

    def _too_long(self) -> list[Action]:
        """Somebody is there, or something; the line is wanted by others."""
        if self._step == self._greet:  # nobody has agreed to hear of an interview
            return self._left_alone()
        return [Say("too_long"), HangUp("too_long")]

    # --- the PIN ----------------------------------------------------------------------------------
    def _pin(self, what: Input) -> list[Action]:
        match what:
            case Tick():
                return self._pin_silence()
            case Pressed(key):
                return self._pin_key(key)
            case Heard(text):
                return self._pin_words(text)
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
            return self._given_up("silence")
        self._asked += 1
        again = "pin_by_key" if self._words else "pin_again"
        return [Say(self._welcome if self._asked == 1 else again)]

    def _pin_key(self, key: str) -> list[Action]:
        if key == REPEAT:
            self._digits = ""
            return [Say(self._welcome)]
        if key == DONE:
            short = 0 < len(self._digits) < self._pin_length
            self._digits = ""
            return [Say("pin_short")] if short else []
        return self._pin_digits(key, "key") if key.isdigit() else []

    def _pin_words(self, text: str) -> list[Action]:
        digits = spoken_digits.digits(text)
        self._words = self._words or not digits
        return self._pin_digits(digits, "spoken") if digits else []

    def _pin_digits(self, more: str, entered: Method) -> list[Action]:
        if self._digits and entered != self._entered:
            if entered == "spoken":
                return []  # talk beside the keys
            self._digits = ""  # "Oh, one second", and then the keys
        self._asked, self._entered = 1, entered  # somebody is there
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
        self._deaf_until = self._at + SETTLE_S
        return self._ask(INTERVIEW)

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
            case Pressed(key) if key == REPEAT:
                return [Say("called")]
        answer = _answer(what)
        if answer is None:
            return []
        if not answer[0]:
            return self._left_alone()
        self._step = self._expected
        return [FindPin("")]

    def _expected(self, what: Input) -> list[Action]:
        """A second yes is not looked up again: many say it and press 1."""
        match what:
            case Found():
                hello: list[Action] = [Say("called_hello")]
                return [*hello, *self._found(what)]
            case NotFound(why):
                return [Say(_GOODBYES.get(why, "failed")), HangUp(why)]
        answer = _answer(what)
        return [] if answer is None or answer[0] else self._left_alone()

    def _left_alone(self) -> list[Action]:
        return [Say("not_expected"), HangUp("declined")]

    # --- the consents -----------------------------------------------------------------------------
    def _ask(self, question: Question) -> list[Action]:
        self._step, self._question = self._consent, question
        self._asked, self._repeated, self._words = 1, 0, False
        self._reading = self._first = True
        self._limit = self._at + TEXTS_S
        return [Say(line) for line in question.lines]

    def _consent(self, what: Input) -> list[Action]:
        if isinstance(what, Pressed) and self._at < self._deaf_until:
            return []
        if _wants_person(what):
            return [WantsPerson(self._disclosed), Say("person"), HangUp("declined_ai")]
        answer = _answer(what)
        if answer is None:
            return self._not_answered(what)
        if answer[0] and not self._told.issuperset(self._question.texts):
            # Either they are being said, or a hold or a lost voice took them.
            return [] if self._reading else self._again()
        return self._interview(*answer) if self._question is INTERVIEW else self._recording(*answer)

    def _interview(self, agreed: bool, method: Method) -> list[Action]:
        self._interview_method = method
        if agreed:
            return self._ask(RECORDING)
        refused = Consent(False, False, method, disclosed=self._disclosed)
        return self._write(refused, Say("consent_refused"), HangUp("declined"))

    def _recording(self, agreed: bool, method: Method) -> list[Action]:
        said: list[Action] = [] if agreed else [Say("recording_refused")]
        return self._write(Consent(True, agreed, self._interview_method, method), *said, Join())

    def _write(self, answer: Consent, *then: Action) -> list[Action]:
        """What is to follow waits until it is known that the answer stands."""
        self._step, self._then = self._written, list(then)
        self._due, self._limit = math.inf, self._at + CONSENT_S
        return [answer]

    def _written(self, what: Input) -> list[Action]:
        match what:
            case Written():
                return self._then
            case NotWritten("changed"):
                self._told.clear()  # it was another text
                return [Say("consent_changed"), *self._ask(INTERVIEW)]
            case NotWritten("elsewhere"):
                return [Say("replaced"), HangUp("elsewhere")]
            case NotWritten("over"):
                return [Say("over"), HangUp("over")]
        return []

    @property
    def _disclosed(self) -> bool:
        return DISCLOSURE in self._told

    def _not_answered(self, what: Input) -> list[Action]:
        """Silence, or words that are no answer; a key without a meaning here does nothing."""
        if isinstance(what, Pressed):
            return self._again() if what.digit == REPEAT else []
        understood = not isinstance(what, Heard)
        self._words = self._words or not understood
        if self._asked >= ASKS:
            return self._given_up("no_consent")
        self._asked += 1
        sorry: list[Action] = [] if understood else [Say("not_understood")]
        return [*sorry, Say(f"{self._question.line}_again")]

    def _again(self) -> list[Action]:
        """All of it."""
        if self._repeated >= REPEATS:
            return []
        self._repeated += 1
        self._reading = True
        return [Say(line) for line in self._question.lines]

    def _given_up(self, why: str) -> list[Action]:
        return [Say("never_understood" if self._words else "silence"), HangUp(why)]


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


def _wants_person(what: Input) -> bool:
    match what:
        case Pressed(digit):
            return digit == PERSON
        case Heard(text):
            return intents.wants_a_person(text)
    return False
