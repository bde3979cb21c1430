"""A caller before the interview: PIN, disclosure, consents; pure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from server.phone.reception import (
    ANSWER_S,
    ASKS,
    CONSENT_S,
    INTERVIEW,
    PIN_PAUSE_S,
    PIN_S,
    QUIET_S,
    RECORDING,
    REPEATS,
    SETTLE_S,
    SPEAKING_S,
    TEXTS_S,
    Reception,
)

PIN = "123456789"
NEW = Found("ada", consented=False)
AGREED = Found("ada", consented=True)
ASKED = ["disclosure", "consent_text", "consent_interview"]
RECORDING_ASKED = ["recording_text", "consent_recording"]


class Caller:
    """Somebody on the line, with a clock."""

    def __init__(self, *, called: bool = False, known_number: bool = False) -> None:
        self.reception = Reception(pin_length=len(PIN), called=called, known_number=known_number)
        self.at = 100.0
        self.writes: Input = Written()
        """What becomes of each answer."""
        self.all: list[Action] = []
        self.being_said: list[str] = []
        self.does(Connected())
        self.waits(QUIET_S)

    def does(self, what: Input) -> list[Action]:
        self.last = self.reception.on(what, self.at)
        self.all += self.last
        for action in self.last:
            match action:
                case Stop():
                    self.being_said.clear()
                case Say(line):
                    self.being_said.append(line)
        if any(isinstance(action, Consent) for action in self.last):
            self.last = [*self.last, *self.does(self.writes)]
        return self.last

    def waits(self, seconds: float) -> list[Action]:
        self.at += seconds + 0.01
        return self.does(Tick())

    def hears(self, line: str) -> None:
        """All up to the end of this line."""
        while line in self.being_said:
            self.at += 5.0
            self.does(Told(self.being_said.pop(0)))

    def listens(self) -> list[Action]:
        """To all that is being said."""
        for line in self.being_said[:]:
            self.hears(line)
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
    assert says(ada.enters()) == ASKED
    ada.listens()
    assert says(ada.presses("1")) == ["recording_text", "consent_recording"]
    ada.listens()
    assert ada.presses("1") == [Consent(True, True, "key", "key"), Join()]
    assert ada.waits(60) == []


def test_consents_can_be_spoken_and_recording_refused() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    ada.does(Heard("Yes."))
    ada.listens()
    assert ada.does(Heard("No, thank you.")) == [
        Consent(True, False, "spoken", "spoken"),
        Say("recording_refused"),
        Join(),
    ]


def test_each_consent_has_the_way_in_which_it_was_given() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    ada.presses("1")
    ada.listens()
    assert ada.does(Heard("Yes.")) == [Consent(True, True, "key", "spoken"), Join()]


def test_a_key_stops_the_question_and_words_under_ours_are_not_taken_for_answers() -> None:
    ada = Caller()
    ada.enters()
    ada.hears("consent_text")
    assert ada.does(Heard("Say yes, or press 1.")) == []  # our own voice, returned by the line
    assert ada.presses("1") == [Stop(), Say("recording_text"), Say("consent_recording")]


@pytest.mark.parametrize("heard", ["", DISCLOSURE])
def test_a_yes_counts_once_what_it_agrees_to_was_heard(heard: str) -> None:
    ada = Caller()
    ada.enters()
    ada.at += SETTLE_S
    ada.hears(heard)
    assert ada.presses("1111") == []
    ada.listens()
    ada.presses("1")
    assert ada.presses("1") == [], "nor does a second press agree to a recording unheard"
    ada.hears("recording_text")
    assert Consent(True, True, "key", "key") in ada.presses("1")


@pytest.mark.parametrize("keys", ["#", "7", "1", "2", "0", "12#"])
def test_keys_just_behind_the_pin_answer_nothing(keys: str) -> None:
    """Many telephones end a number with `#`, and fingers press a digit too many."""
    ada = Caller()
    ada.enters()
    assert ada.presses(keys) == []
    ada.listens()
    assert says(ada.presses("1"))[-1] == "consent_recording"


@pytest.mark.parametrize("quiet", [False, True])
def test_keys_without_a_meaning_stop_and_count_nothing(quiet: bool) -> None:
    ada = Caller()
    ada.enters()
    ada.at += SETTLE_S
    if quiet:
        ada.listens()
    assert not any(ada.presses(key) for key in "####345A")
    ada.listens()
    assert says(ada.waits(ANSWER_S)) == ["consent_interview_again"]


@pytest.mark.parametrize(("key", "then"), [("2", "consent_refused"), ("0", "person")])
def test_a_refusal_before_the_disclosure_was_heard_says_so(key: str, then: str) -> None:
    ada = Caller()
    ada.enters()
    ada.at += SETTLE_S
    [stopped, written, said, _] = ada.presses(key)
    assert (stopped, said) == (Stop(), Say(then))
    assert isinstance(written, Consent | WantsPerson) and not written.disclosed


def test_what_a_hold_took_is_said_again_before_a_yes_counts() -> None:
    ada = Caller()
    ada.enters()
    ada.does(Said())  # and nobody heard it
    assert says(ada.does(Heard("Yes."))) == ASKED
    ada.listens()
    assert says(ada.does(Heard("Yes.")))[-1] == "consent_recording"


def test_a_key_into_the_short_question_after_a_hold_has_it_all_said_again() -> None:
    ada = Caller()
    ada.enters()
    ada.does(Said())
    assert says(ada.waits(ANSWER_S)) == ["consent_interview_again"]
    assert says(ada.presses("1")) == ASKED
    assert ada.presses("1") == [], "they are being said"


def test_whoever_agreed_before_goes_straight_on() -> None:
    ada = Caller()
    assert ada.enters(AGREED) == [Join()]
    assert ada.said() == ["welcome"]


def test_a_refusal_is_recorded_and_ends_the_call_kindly() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    assert ada.does(Heard("No.")) == [
        Consent(False, False, "spoken", None),
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


def test_keys_take_the_place_of_digits_that_were_heard_in_talk() -> None:
    ada = Caller()
    ada.listens()
    ada.does(Heard("Oh, one second."))
    assert ada.presses(PIN)[-1] == FindPin(PIN)


def test_talk_beside_the_keys_adds_no_digit() -> None:
    ada = Caller()
    ada.listens()
    ada.presses(PIN[:5])
    ada.does(Heard("one two three"))
    assert ada.presses(PIN[5:])[-1] == FindPin(PIN)


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
    ada.listens()
    for _ in range(ASKS - 1):
        assert says(ada.does(Heard("Maybe blue."))) == ["not_understood", "consent_interview_again"]
        ada.listens()
    assert ada.does(Heard("Perhaps.")) == [Say("never_understood"), HangUp("no_consent")]
    assert not any(isinstance(action, Consent | Join) for action in ada.all)


def test_silence_is_met_by_the_question_and_not_by_an_excuse() -> None:
    ada = Caller()
    ada.enters()
    for _ in range(ASKS - 1):
        ada.listens()
        assert says(ada.waits(ANSWER_S)) == ["consent_interview_again"]
    ada.listens()
    assert ada.waits(ANSWER_S) == [Say("silence"), HangUp("no_consent")]


def test_whoever_is_speaking_is_not_spoken_over() -> None:
    """Nine digits take as long as the wait for them, and words under ours are not heard."""
    ada = Caller()
    ada.listens()
    ada.at += ANSWER_S
    assert ada.does(Tick(speaking=True)) == []
    ada.at += 2.0
    assert ada.does(Heard("one two three four five six seven eight nine")) == [FindPin(PIN)]


def test_a_noise_without_an_end_is_waited_for_no_longer_than_words_take() -> None:
    ada = Caller()
    ada.listens()
    ada.at += ANSWER_S + SPEAKING_S
    assert says(ada.does(Tick(speaking=True))) == ["pin_again"]


def test_words_that_are_no_pin_are_not_taken_for_silence() -> None:
    ada = Caller()
    ada.listens()
    for _ in range(ASKS - 1):
        ada.does(Heard("I have it here somewhere."))
        assert says(ada.waits(ANSWER_S)) == ["pin_by_key"]
        ada.listens()
    assert ada.waits(ANSWER_S) == [Say("never_understood"), HangUp("silence")]


def agreeing() -> Caller:
    """Somebody who has given the first answer, and heard the second question."""
    ada = Caller()
    ada.enters()
    ada.listens()
    ada.presses("1")
    ada.listens()
    return ada


def test_texts_that_changed_meanwhile_are_read_and_asked_for_once_more() -> None:
    ada = agreeing()
    ada.writes = NotWritten("changed")
    consent, *again = ada.presses("1")
    assert isinstance(consent, Consent) and says(again) == ["consent_changed", *ASKED]
    ada.writes = Written()
    assert ada.presses("1") == [], "the new text was not heard yet"
    ada.listens()
    assert says(ada.presses("1")) == RECORDING_ASKED
    ada.listens()
    assert ada.presses("2")[0] == Consent(True, False, "key", "key")
    assert ada.last[-1] == Join()


@pytest.mark.parametrize(
    ("meanwhile", "line"),
    [(NotWritten("elsewhere"), "replaced"), (NotWritten("over"), "over")],
    ids=lambda what: getattr(what, "why", None),
)
def test_whoever_cannot_answer_any_more_hears_why(meanwhile: NotWritten, line: str) -> None:
    ada = agreeing()
    ada.writes = meanwhile
    assert ada.presses("1")[1:] == [Say(line), HangUp(meanwhile.why)]
    ben = Caller()
    ben.enters()
    ben.listens()
    ben.writes = meanwhile
    assert ben.presses("2")[1:] == [Say(line), HangUp(meanwhile.why)], "nor that there is none now"


def test_nothing_is_decided_before_the_answer_is_written() -> None:
    """The store may take its time: the caller has been in time."""
    ada = agreeing()
    reception, at = ada.reception, ada.at + CONSENT_S - 1.0
    assert reception.on(Pressed("1"), at) == [Consent(True, True, "key", "key")]
    for what in (Pressed("1"), Pressed("0"), Heard("No."), Said(), Tick()):
        assert reception.on(what, at + 2.0) == []
    assert reception.on(Written(), at + 3.0) == [Join()]


def test_a_star_hears_all_of_it_again_and_then_a_yes_need_not_wait() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    assert says(ada.presses("*")) == ASKED
    assert says(ada.presses("1")) == ["recording_text", "consent_recording"]
    ada.listens()
    assert says(ada.presses("*")) == ["recording_text", "consent_recording"]


def test_a_star_is_obeyed_a_few_times() -> None:
    ada = Caller()
    ada.enters()
    ada.listens()
    assert [bool(ada.presses("*")) for _ in range(REPEATS + 2)] == [True] * REPEATS + [False] * 2


@pytest.mark.parametrize("key", ["*", "#", "5"])
def test_without_a_pin_the_line_is_freed_after_three_minutes(key: str) -> None:
    eve = Caller()
    began = eve.at
    while not any(isinstance(action, HangUp) for action in eve.all):
        eve.at += 4.0
        eve.does(Pressed(key))
        assert eve.at - began < PIN_S + 8
    assert eve.all[-2:] == [Say("too_long"), HangUp("too_long")]


@pytest.mark.parametrize("called", [False, True])
def test_a_line_whose_media_never_come_up_is_freed_too(called: bool) -> None:
    reception = Reception(pin_length=9, called=called)
    assert reception.on(Tick(), 50.0) == []
    assert isinstance(reception.on(Tick(), 50.0 + PIN_S)[-1], HangUp)


def test_who_was_called_and_only_presses_stars_is_left_alone() -> None:
    eve = Caller(called=True)
    while not any(isinstance(action, HangUp) for action in eve.all):
        eve.at += 4.0
        eve.presses("*")
    assert eve.all[-2:] == [Say("not_expected"), HangUp("declined")]


def test_each_consent_has_its_time_counted_from_the_end_of_its_texts() -> None:
    ada = Caller()
    ada.enters()
    ada.at += TEXTS_S - 60.0
    ada.listens()
    ada.at += CONSENT_S - 1.0
    assert says(ada.presses("1"))[-1] == "consent_recording"
    ada.listens()
    ada.at += CONSENT_S
    assert ada.presses("1")[-2:] == [Say("too_long"), HangUp("too_long")]
    assert not any(isinstance(action, Consent) for action in ada.all)


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
    assert says(ada.does(NEW)) == ["called_hello", *ASKED]


@pytest.mark.parametrize("more", [Pressed("1"), Heard("Yes."), Pressed("*"), Tick()])
def test_a_yes_given_twice_at_once_cuts_nothing_of_what_follows(more: Input) -> None:
    """The second is told of while the first is looked up."""
    ada = Caller(called=True)
    ada.listens()
    assert ada.presses("1") == [FindPin("")]
    assert ada.does(more) == []
    assert says(ada.does(NEW)) == ["called_hello", *ASKED]


def test_whoever_does_not_expect_the_call_is_left_alone() -> None:
    ada = Caller(called=True)
    ada.listens()
    assert ada.presses("2") == [Say("not_expected"), HangUp("declined")]


INPUTS = st.one_of(
    st.builds(Pressed, st.sampled_from("0123456789*#A")),
    st.builds(Heard, st.sampled_from(["yes", "no", "one two three", "a person please", ""])),
    st.builds(Told, st.sampled_from(["welcome", *INTERVIEW.lines, *RECORDING.lines])),
    st.just(Said()),
    st.builds(Tick, st.booleans()),
)
WALKS = st.lists(st.tuples(INPUTS, st.floats(0, 10)), max_size=80)


@given(WALKS, st.booleans())
def test_nobody_joins_without_a_pin_and_without_having_agreed_to_what_was_heard(
    inputs: list[tuple[Input, float]], called: bool
) -> None:
    caller, found = Caller(called=called), False
    told: set[str] = set()
    for what, waits in inputs:
        caller.at += waits
        if isinstance(what, Told):
            told.add(what.line)
        for action in caller.does(what):
            if isinstance(action, FindPin):
                caller.does(NEW)
                found = True
            if isinstance(action, Consent) and action.interview:
                assert told.issuperset(INTERVIEW.texts)
            if isinstance(action, Consent) and action.recording:
                assert told.issuperset(RECORDING.texts)
    consents = [action for action in caller.all if isinstance(action, Consent)]
    if any(isinstance(action, Join) for action in caller.all):
        assert found and consents and consents[-1].interview
    if not found:
        welcome = {"welcome", "pin_again", "pin_by_key", "pin_short"}
        goodbye = {"silence", "never_understood", "too_long"}
        called_out = {"called", "called_again", "callback", "not_expected"}
        assert set(caller.said()) <= (called_out if called else welcome | goodbye)


@given(WALKS, st.booleans())
def test_every_call_ends_in_time(inputs: list[tuple[Input, float]], called: bool) -> None:
    """Whatever is pressed and said, and even if nothing that is said ever ends."""
    caller, longest = Caller(called=called), PIN_S + 2 * (TEXTS_S + CONSENT_S)
    began = caller.at
    for what, waits in inputs * 40:
        caller.at += waits
        for action in caller.does(what):
            if isinstance(action, FindPin):
                caller.does(NEW)
    caller.at = max(caller.at, began + longest)
    caller.does(Tick())
    assert any(isinstance(action, Join | HangUp) for action in caller.all)
