"""When an account registers, and when it lets the registrar alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.phone.accounts import ANSWER_S, Account, Registration, sentence

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def wait(registration: Registration, at: datetime) -> float:
    """Seconds until it is due."""
    seconds = next(s for s in range(4000) if registration.due(at + timedelta(seconds=s)))
    return float(seconds)


def test_it_registers_at_once_and_renews_when_the_gateway_did_not() -> None:
    one = Registration(START, ttl_s=90)
    assert one.due(START) and one.state.state == "off"
    one.asked(START)
    assert one.state.state == "registering" and not one.due(after(1))
    one.registered(after(1))
    assert one.state.state == "registered" and one.state.since == after(1)
    one.registered(after(80))  # renewed by the gateway
    assert one.state.since == after(1)
    assert not one.due(after(80 + 134)) and one.due(after(80 + 135))


def test_a_wrong_password_is_not_tried_again_soon() -> None:
    one = Registration(START)
    one.asked(START)
    one.refused(START, 904, "Operation has no matching challenge")
    assert one.state.state == "failed" and one.state.code == 904
    assert "password" in one.state.reason
    assert one.state.next_try == after(600)
    assert wait(one, START) == 600
    one.refused(after(600), 904, "")
    one.refused(after(1800), 904, "")
    assert wait(one, after(1800)) == 1800
    assert one.state.since == START  # it has been failing since then


def test_a_registrar_that_is_away_is_tried_ever_less_often() -> None:
    one = Registration(START)
    waits = []
    for _ in range(8):
        one.refused(START, 503, "")
        waits.append(wait(one, START))
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    one.registered(START)
    one.refused(START, 408, "")
    assert wait(one, START) == 2  # it had been there in between


def test_while_it_is_tried_again_the_reason_stays_visible() -> None:
    one = Registration(START)
    one.refused(START, 0, "pbx.example has no address")
    one.asked(after(2))
    assert one.state.state == "failed" and "no address" in one.state.reason


def test_a_gateway_that_says_nothing_is_asked_again() -> None:
    one = Registration(START)
    one.asked(START)
    assert one.due(after(ANSWER_S))
    one.silent(after(ANSWER_S))
    assert one.state.state == "failed" and not one.due(after(ANSWER_S + 1))


def test_with_a_new_gateway_it_registers_at_once() -> None:
    one = Registration(START)
    one.registered(START)
    one.lost(after(5))
    assert one.due(after(5)) and one.state.state == "off"


def test_a_clock_put_back_by_hours_does_not_silence_it() -> None:
    one = Registration(START)
    one.refused(START, 503, "")
    assert one.due(START - timedelta(hours=2))


@given(st.floats(0, 0.999), st.integers(0, 999), st.integers(1, 40))
def test_a_wait_is_never_none_and_never_for_ever(jitter: float, code: int, times: int) -> None:
    one = Registration(START, jitter=lambda: jitter)
    for _ in range(times):
        one.refused(START, code, "x")
    assert not one.due(after(1.59)) and one.due(after(1800))


@pytest.mark.parametrize("code", [0, 401, 403, 404, 408, 500, 503, 904])
def test_each_failure_has_a_sentence_in_one_line(code: int) -> None:
    said = sentence(code, "<b>No\r\nway</b>" + "!" * 500)
    assert said.isprintable() and len(said) < 160 and said.endswith(".")


def test_a_password_is_never_shown() -> None:
    account = Account("main", "viva", "pbx.example", password="hush-hush")
    assert "hush" not in repr(account)
    assert account.address == "sip:viva@pbx.example"
    assert account.secret == {"secret": "hush-hush"}


def test_a_hash_goes_out_as_one() -> None:
    digits = "0123456789abcdef0123456789ABCDEF"
    account = Account("main", "viva", "pbx.example", password=f"ha1:{digits}")
    assert account.secret == {"ha1_secret": digits.lower()}
