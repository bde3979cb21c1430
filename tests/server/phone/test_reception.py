"""A caller before the interview: PIN, disclosure, consents; pure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.reception import (
    ANSWER_S,
    ASKS,
    PIN_PAUSE_S,
    QUIET_S,
    Action,
    Connected,
    Consent,
    FindPin,
    Found,
    HangUp,
    Heard,
    Input,
    Join,
    NotFound,
    Pressed,
    Reception,
    Said,
    Say,
    Stop,
    Tick,
    WantsPerson,
    Why,
)

PIN = "123456789"
NEW = Found("ada", consented=False)
AGREED = Found("ada", consented=True)


class Caller:
    """Somebody on the line, with a clock."""

    def __init__(self, *, called: bool = False, known_number: bool = False) -> None:
        self.reception = Reception(pin_length=len(PIN), called=called, known_number=known_number)
        self.at = 100.0
        self.does(Connected())
        self.all: list[Action] = []
        self.waits(QUIET_S)

    def does(self, what: Input) -> list[Action]:
        self.last = self.reception.on(what, self.at)
        if hasattr(self, "all"):
            self.all += self.last
        return self.last

    def waits(self, seconds: float) -> list[Action]:
        self.at += seconds + 0.01
        return self.does(Tick())

    def listens(self) -> list[Action]:
        """To all that is being said."""
        return self.does(Said())

    def presses(self, keys: str) -> list[Action]:
        for key in keys:
            self.at += 0.3
            self.does(Pressed(key))
        return self.last

    def enters(self, found: Input = NEW) -> list[Action]:
        assert self.presses(PIN)[-1] == FindPin(PIN)
        return self.does(found)

    def said(self) -> list[str]:
        return [action.line for action in self.all if isinstance(action, Say)]


def says(actions: Sequence[Action]) -> list[str]:
    return [action.line for action in actions if isinstance(action, Say)]


def test_the_first_words_come_after_a_moment_of_quiet() -> None:
    reception = Reception(pin_length=9)
    assert reception.on(Tick(), 1.0) == []  # nobody could hear it
    assert reception.on(Connected(), 2.0) == []
    assert reception.on(Tick(), 2.0 + QUIET_S / 2) == []
    assert reception.on(Tick(), 2.0 + QUIET_S) == [Say("welcome")]


def test_a_pin_then_the_disclosure_then_two_consents_by_key() -> None:
    ada = Caller()
    assert ada.said() == ["welcome"]
    assert says(ada.enters()) == ["disclosure", "consent_interview"]
    ada.listens()
    assert says(ada.presses("1")) == ["consent_recording"]
    ada.listens()
    assert ada.presses("1") == [Consent(True, True, "key"), Join()]
    assert ada.waits(60) == []


def test_consents_can_be_spoken_and_recording_refused() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    ada.does(Heard("Yes."))
    ada.listens()
    assert ada.does(Heard("No, thank you.")) == [
        Consent(True, False, "spoken"),
        Say("recording_refused"),
        Join(),
    ]


def test_keys_stop_our_words_and_words_under_ours_are_not_taken_for_answers() -> None:
    ada = Caller()
    ada.enters()
    assert ada.does(Heard("Say yes, or press 1.")) == []  # our own voice, returned by the line
    assert ada.presses("1")[0] == Stop()


def test_whoever_agreed_before_goes_straight_on() -> None:
    ada = Caller()
    assert ada.enters(AGREED) == [Join()]
    assert ada.said() == ["welcome"]


def test_a_refusal_is_recorded_and_ends_the_call_kindly() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    assert ada.does(Heard("No.")) == [
        Consent(False, False, "spoken"),
        Say("consent_refused"),
        HangUp("declined"),
    ]


@pytest.mark.parametrize("at_recording", [False, True])
@pytest.mark.parametrize("how", [Pressed("0"), Heard("I would like to talk to a person.")])
def test_a_person_can_be_had_before_any_consent(at_recording: bool, how: Input) -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    if at_recording:
        ada.presses("1")
        ada.listens()
    assert ada.does(how) == [WantsPerson(), Say("person"), HangUp("declined_ai")]


def test_three_wrong_pins_end_the_call() -> None:
    eve = Caller()
    for _ in range(2):
        assert says(eve.enters(NotFound("unknown"))) == ["pin_unknown"]
        eve.listens()
    assert eve.enters(NotFound("unknown")) == [Say("pin_refused"), HangUp("wrong_pin")]
    assert not any(isinstance(action, Join | Consent) for action in eve.all)


@pytest.mark.parametrize("why", ["limited", "expired", "revoked", "over"])
def test_a_pin_that_is_good_no_more_is_said_to_be_so(why: Why) -> None:
    ada = Caller()
    assert ada.enters(NotFound(why))[-1] == HangUp(why)


def test_a_pin_may_be_spoken_in_pieces() -> None:
    ada = Caller()
    ada.listens()
    ada.does(Heard("one two three"))
    ada.does(Heard("four five six"))
    assert ada.does(Heard("seven eight nine"))[-1] == FindPin(PIN)


def test_half_a_pin_is_asked_for_again_and_forgotten() -> None:
    ada = Caller()
    ada.listens()
    ada.presses("12345")
    assert says(ada.waits(PIN_PAUSE_S)) == ["pin_short"]
    ada.listens()
    assert says(ada.presses("12#")) == ["pin_short"]
    ada.listens()
    assert says(ada.presses("12*")) == ["welcome"]
    assert ada.presses(PIN)[-1] == FindPin(PIN)


def test_a_silent_line_is_given_up_politely() -> None:
    ada = Caller()
    for _ in range(ASKS - 1):
        ada.listens()
        assert says(ada.waits(ANSWER_S)) == ["pin_again"]
    ada.listens()
    assert ada.waits(ANSWER_S) == [Say("silence"), HangUp("silence")]


def test_no_answer_to_a_consent_is_no_consent() -> None:
    ada = Caller()
    ada.enters()
    for _ in range(ASKS - 1):
        ada.listens()
        assert says(ada.does(Heard("Maybe blue."))) == ["consent_interview_again"]
    ada.listens()
    assert ada.waits(ANSWER_S)[-1] == HangUp("no_consent")
    assert not any(isinstance(action, Consent | Join) for action in ada.all)


def test_a_star_hears_it_again() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    assert says(ada.presses("*")) == ["disclosure", "consent_interview"]


def test_a_voicemail_hears_two_neutral_sentences_and_a_goodbye() -> None:
    machine = Caller(called=True)
    machine.listens()
    machine.does(Heard("You have reached the voicemail of Ada Lovelace. Leave a message."))
    machine.waits(ANSWER_S)
    machine.listens()
    assert machine.waits(ANSWER_S) == [Say("callback"), HangUp("voicemail")]
    assert machine.said() == ["called", "called_again", "callback"]


def test_whoever_was_called_agrees_before_anything_is_said_of_an_interview() -> None:
    ada = Caller(called=True)
    ada.listens()
    assert ada.does(Heard("Yes.")) == [FindPin("")]
    assert says(ada.does(NEW)) == ["called_hello", "disclosure", "consent_interview"]


def test_whoever_does_not_expect_the_call_is_left_alone() -> None:
    ada = Caller(called=True)
    ada.listens()
    assert ada.presses("2") == [Say("not_expected"), HangUp("declined")]


INPUTS = st.one_of(
    st.builds(Pressed, st.sampled_from("0123456789*#A")),
    st.builds(Heard, st.sampled_from(["yes", "no", "one two three", "a person please", ""])),
    st.just(Said()),
    st.just(Tick()),
)


@given(st.lists(st.tuples(INPUTS, st.floats(0, 10)), max_size=80), st.booleans())
def test_nobody_joins_without_a_pin_and_without_having_agreed(
    inputs: list[tuple[Input, float]], called: bool
) -> None:
    caller, found = Caller(called=called), False
    for what, waits in inputs:
        caller.at += waits
        for action in caller.does(what):
            if isinstance(action, FindPin):
                caller.does(NEW)
                found = True
    consents = [action for action in caller.all if isinstance(action, Consent)]
    if any(isinstance(action, Join) for action in caller.all):
        assert found and consents and consents[-1].interview
    if not found:
        told = ("welcome", "pin_again", "pin_short", "silence", "called", "called_again")
        assert set(caller.said()) <= {*told, "callback", "not_expected"}
