"""Whom we may call and when: pure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone import outbound
from server.phone.outbound import NoCall, Policy

POLICY = Policy(prefixes=("+49", "+4420"), calls_per_day=3, minutes_per_day=60)
BERLIN = "Europe/Berlin"


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("+49 30 1234567", "+49301234567"),
        (" +44 (20) 7946-0958 ", "+442079460958"),
        ("+49/30.1234567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("+49 (0)30 1234567", "+49301234567"),
        ("0049(0)30/1234567", "+49301234567"),
        ("+44 (20) 7946 0000", "+442079460000"),
    ],
)
def test_numbers_are_dialled_as_they_are_meant(written: str, dialled: str) -> None:
    assert outbound.number_of(written, POLICY) == dialled


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("030 1234567", "number"),
        ("+1 900 5551234", "prefix"),
        ("+44 7700 900123", "prefix"),
        ("+49", "number"),
        ("+49 30 12345678901234567", "number"),
        ("sip:anna@example.com", "number"),
        ("+49301234567;phone-context=x", "number"),
        ("+4930１２３４５６７", "number"),
        ("", "number"),
    ],
)
def test_other_numbers_are_refused_with_the_reason(written: str, code: str) -> None:
    with pytest.raises(NoCall) as refused:
        outbound.number_of(written, POLICY)
    assert refused.value.code == code


def test_nobody_is_called_unless_prefixes_are_allowed() -> None:
    with pytest.raises(NoCall) as refused:
        outbound.number_of("+49 30 1234567", Policy())
    assert refused.value.code == "off"


@pytest.mark.parametrize(
    ("wanted", "begins"),
    [
        ("2026-03-02T10:00", "2026-03-02T10:00"),
        ("2026-03-02T08:59", "2026-03-02T09:00"),
        ("2026-03-02T18:00", "2026-03-03T09:00"),
        ("2026-03-02T23:30", "2026-03-03T09:00"),
        ("2026-03-28T20:00", "2026-03-29T09:00"),  # the night in which the clocks go forward
    ],
)
def test_calls_keep_to_the_candidates_hours(wanted: str, begins: str) -> None:
    assert outbound.earliest(POLICY, BERLIN, at(wanted)) == at(begins)


@given(st.floats(1.7e9, 2.2e9), st.sampled_from([BERLIN, "Asia/Shanghai", "America/New_York"]))
def test_whenever_it_is_wanted_a_call_begins_within_the_hours(wanted: float, zone: str) -> None:
    begins = outbound.earliest(POLICY, zone, wanted)
    local = datetime.fromtimestamp(begins, ZoneInfo(zone)).time()
    assert POLICY.opens <= local < POLICY.closes
    assert wanted <= begins <= wanted + 86_400


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "Europe", "/etc/passwd"])
def test_a_zone_that_is_none_is_said_to_be_none(zone: str) -> None:
    with pytest.raises(NoCall) as refused:
        outbound.earliest(POLICY, zone, 1.8e9)
    assert refused.value.code == "zone"


@pytest.mark.parametrize(("calls", "seconds", "code"), [(3, 0, "calls"), (2, 3600, "minutes")])
def test_caps_bound_the_bill(calls: int, seconds: float, code: str) -> None:
    with pytest.raises(NoCall) as refused:
        outbound.within_caps(POLICY, calls, seconds)
    assert refused.value.code == code
    outbound.within_caps(POLICY, 2, 3599)


def test_a_call_that_was_not_taken_is_tried_three_times_in_all() -> None:
    ended = at("2026-03-02T10:00")
    assert outbound.again(POLICY, "busy", 1, BERLIN, ended) == ended + 600
    assert outbound.again(POLICY, "no_answer", 2, BERLIN, ended) == ended + 7200
    assert outbound.again(POLICY, "voicemail", 3, BERLIN, ended) is None
    late = outbound.again(POLICY, "voicemail", 1, BERLIN, at("2026-03-02T15:00"))
    assert late == at("2026-03-03T09:00")


@pytest.mark.parametrize("outcome", ["answered", "declined", "cancelled"])
def test_an_answer_is_an_answer(outcome: str) -> None:
    assert outbound.again(POLICY, outcome, 1, BERLIN, 1.8e9) is None  # type: ignore[arg-type]  # a literal


@pytest.mark.parametrize(
    ("code", "joined", "ours", "why", "outcome"),
    [
        (200, True, False, "", "answered"),
        (200, True, True, "", "answered"),
        (486, False, False, "", "busy"),
        (600, False, False, "", "busy"),
        (603, False, False, "", "declined"),
        (480, False, False, "", "no_answer"),
        (487, False, True, "no_answer", "no_answer"),
        (487, False, True, "", "no_answer"),
        (0, False, True, "no_answer", "no_answer"),
        (503, False, False, "", "failed"),
        (404, False, False, "", "failed"),
        (0, False, False, "", "failed"),  # the gateway is gone
        # Taken, and over before the interview.
        (200, False, False, "", "declined"),
        (200, False, True, "declined", "declined"),
        (200, False, True, "declined_ai", "declined"),
        (200, False, True, "no_consent", "declined"),
        (0, False, True, "no_consent", "declined"),
        (200, False, True, "voicemail", "voicemail"),
        (200, False, False, "voicemail", "voicemail"),  # it hung up on our goodbye
        (200, False, True, "silence", "voicemail"),
        (200, False, True, "full", "failed"),
        (200, False, True, "failed", "failed"),
        (200, False, True, "", "failed"),  # the sound could not be had
        (200, False, True, "over", "cancelled"),
        (200, False, True, "elsewhere", "cancelled"),
    ],
)
def test_how_a_call_ended(code: int, joined: bool, ours: bool, why: str, outcome: str) -> None:
    assert outbound.outcome_of(code, joined=joined, ours=ours, why=why) == outcome
