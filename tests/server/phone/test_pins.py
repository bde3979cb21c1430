"""PINs: keyed, limited, and good as long as the links of their interview."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from agent.events import InterviewEnded
from agent.plan import Plan
from server.invites import ExpiredInvite, RevokedInvite, TooManyGuesses, UnknownInvite
from server.phone import pins
from server.phone.pins import (
    LENGTH,
    SLOW_S,
    TURN_S,
    WRONG_BY_NUMBER,
    WRONG_IN_ALL,
    NumberTaken,
    Pins,
)
from server.settings import Settings
from server.store import Store

CALLER = "+49301234567"


class Clock:
    now = 1.8e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def found(store: Store, clock: Clock) -> Pins:
    return Pins(store, b"key", clock=clock)


async def interview(store: Store, plan: Plan) -> str:
    return (await store.create_interview(plan)).interview_id


async def test_a_pin_opens_its_interview_and_is_nowhere_in_the_database(
    store: Store, plan: Plan, found: Pins, tmp_path: Path
) -> None:
    ada = await interview(store, plan)
    pin = await found.issue(ada, 60)
    assert len(pin) == LENGTH and pin.isdigit()
    assert (await found.find(pin, CALLER)).interview_id == ada
    with create_engine(store.url).connect() as db:
        rows = db.execute(text("SELECT * FROM invites")).all()
    assert len(rows) == 1 and pin not in str(rows)
    with pytest.raises(UnknownInvite):  # without the key its hash is of no use
        await Pins(store, b"another key").find(pin, CALLER)
    assert await store.invites(ada) == []  # no link was made


async def test_a_pin_ends_by_date_and_with_the_links(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    ada = await interview(store, plan)
    pin = await found.issue(ada, 60)
    clock.now += 61
    with pytest.raises(ExpiredInvite):
        await found.find(pin, CALLER)
    clock.now -= 61
    assert await store.revoke_invites(ada) == 0  # counted are links
    with pytest.raises(RevokedInvite):
        await found.find(pin, CALLER)


async def guessed_wrong_too_often(found: Pins) -> None:
    """Under the number of `CALLER`."""
    for _ in range(WRONG_BY_NUMBER):
        with pytest.raises(UnknownInvite):
            await found.find("000000000", CALLER)


async def test_who_guesses_waits_and_others_do_not(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    pin = await found.issue(await interview(store, plan), 1e6)
    await guessed_wrong_too_often(found)
    with pytest.raises(TooManyGuesses):
        await found.find(pin, CALLER)
    assert await found.find(pin, "+4915100000")
    clock.now += pins.WINDOW_S + 1
    assert await found.find(pin, CALLER)


async def test_whose_number_was_forged_waits_a_quarter_of_an_hour(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    pin = await found.issue(await interview(store, plan), 1e6)
    await guessed_wrong_too_often(found)
    clock.now += SLOW_S - 1
    with pytest.raises(TooManyGuesses) as refused:
        await found.find(pin, CALLER)
    assert refused.value.retry_after_s == pytest.approx(1.0)
    clock.now += 1
    assert await found.find(pin, CALLER)
    with pytest.raises(UnknownInvite):
        await found.find("000000000", CALLER)
    with pytest.raises(TooManyGuesses):  # a right one buys no further guesses
        await found.find(pin, CALLER)


async def test_under_one_number_nobody_guesses_more_than_ten_times_an_hour(
    found: Pins, clock: Clock
) -> None:
    tried: list[float] = []
    for _ in range(4 * 360):
        clock.now += 10
        try:
            await found.find("000000000", CALLER)
        except UnknownInvite:
            tried.append(clock.now)
        except TooManyGuesses:
            pass
    assert max(sum(at <= one < at + 3600 for one in tried) for at in tried) <= 10


async def all_guess(found: Pins, count: int = WRONG_IN_ALL) -> None:
    """Each call of it under numbers of its own."""
    for nth in range(count):
        with pytest.raises(UnknownInvite):
            await found.find("000000000", f"+49{nth}{'1' * 9}")


async def test_forged_numbers_shut_nobody_out(
    store: Store, plan: Plan, found: Pins, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pin = await found.issue(await interview(store, plan), 1e6)
    await all_guess(found, WRONG_IN_ALL - 1)
    assert not caplog.records
    await all_guess(found, 1)
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert await found.find(pin, CALLER)
    clock.now += TURN_S
    assert await found.find(pin, "")  # who withholds theirs has turns, too


async def test_guessing_goes_on_by_turns_whatever_the_numbers_are(
    store: Store, found: Pins, clock: Clock
) -> None:
    """Sixty tries in the first hour's burst, and sixty an hour from then on."""
    await all_guess(found)
    tried = 0
    for second in range(7200):
        clock.now += 1
        for number in (f"+44{second}", ""):
            try:
                await found.find("000000001", number)
            except UnknownInvite:
                tried += 1
            except TooManyGuesses as refused:
                assert 0 < refused.retry_after_s <= TURN_S
    assert 119 <= tried <= 121  # the first ones leave the window while the last come in


async def test_who_was_right_of_late_comes_in_again_while_others_guess(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    """A call that dropped, in the middle of somebody's guessing."""
    pin = await found.issue(await interview(store, plan), 1e6)
    assert await found.find(pin, CALLER)
    await all_guess(found)
    for _ in range(3):
        assert await found.find(pin, CALLER)
    for _ in range(WRONG_BY_NUMBER):  # and is worth no more to who forges it than any number
        with pytest.raises(UnknownInvite):
            await found.find("000000000", CALLER)
    with pytest.raises(TooManyGuesses):
        await found.find(pin, CALLER)
    clock.now += SLOW_S
    with pytest.raises(UnknownInvite):
        await found.find("000000000", "")
    with pytest.raises(TooManyGuesses):  # what it still has is by turns, as everybody's
        await found.find("000000000", CALLER)


async def test_clumsy_callers_without_a_number_are_in_nobodys_way(
    store: Store, plan: Plan, found: Pins
) -> None:
    pin = await found.issue(await interview(store, plan), 60)
    for _ in range(2 * WRONG_BY_NUMBER):
        with pytest.raises(UnknownInvite):
            await found.find("000000000", "")
    assert await found.find(pin, "")


async def test_a_clock_that_was_put_back_shuts_nobody_out(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    pin = await found.issue(await interview(store, plan), 1e6)
    await all_guess(found)
    assert await found.find(pin, CALLER)
    clock.now -= 1800
    assert await found.find(pin, "+4930999")


async def test_a_number_selects_and_opens_nothing(store: Store, plan: Plan, found: Pins) -> None:
    ada, bo = await interview(store, plan), await interview(store, plan)
    await found.reserve(ada, CALLER, 60)
    assert await found.selected(CALLER) == ada
    assert await found.selected("") is None
    with pytest.raises(UnknownInvite):
        await found.find(CALLER, CALLER)
    with pytest.raises(NumberTaken):
        await found.reserve(bo, CALLER, 60)
    assert await found.selected(CALLER) == ada


async def test_a_number_is_kept_anew_for_its_interview_and_longer(
    store: Store, plan: Plan, found: Pins, clock: Clock
) -> None:
    ada = await interview(store, plan)
    await found.reserve(ada, CALLER, 60)
    await found.reserve(ada, CALLER, 600)
    clock.now += 61
    assert await found.selected(CALLER) == ada


@pytest.mark.parametrize("over", ["expired", "revoked", "ended", "erased", "given back"])
async def test_a_number_that_is_over_for_one_is_free_for_the_next(
    store: Store, plan: Plan, found: Pins, clock: Clock, over: str
) -> None:
    ada, bo = await interview(store, plan), await interview(store, plan)
    await found.reserve(ada, CALLER, 60)
    match over:
        case "expired":
            clock.now += 60
        case "revoked":
            await store.revoke_invites(ada)
        case "ended":
            await store.append(ada, None, [InterviewEnded(at=clock.now, reason="withdrawn")])
        case "erased":
            await store.erase(ada)
        case "given back":
            assert await found.give_back(ada, CALLER) == 1
            assert await found.give_back(ada) == 0
    await found.reserve(bo, CALLER, 60)
    assert await found.selected(CALLER) == bo


async def test_what_is_kept_for_others_is_not_given_back(
    store: Store, plan: Plan, found: Pins
) -> None:
    ada, bo = await interview(store, plan), await interview(store, plan)
    await found.reserve(ada, CALLER, 60)
    pin = await found.issue(bo, 60)
    assert await found.give_back(bo, CALLER) == 0 and await found.give_back(bo) == 0
    assert await found.selected(CALLER) == ada
    assert (await found.find(pin, CALLER)).interview_id == bo


def test_the_key_is_made_once_and_stays(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, privacy="local")
    key = pins.pin_key(settings)
    assert len(key) >= 32 and pins.pin_key(settings) == key
    assert (tmp_path / pins.FILE).stat().st_mode & 0o077 == 0


def test_a_pin_is_shown_in_threes() -> None:
    assert pins.shown("123456789") == "123 456 789"
