"""The desk's password: who knows it gets in until the login ends; who guesses waits."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from server.logins import (
    ABSOLUTE_S,
    AT_MOST,
    BY_ADDRESS,
    FROM_ALL,
    IDLE_S,
    WINDOW_S,
    Logins,
    TooManyTries,
    Tries,
    WeakPassword,
    WrongPassword,
    check_strength,
    network,
    set_password,
)
from server.store import Store

PASSWORD = "seven blue kettles"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


class Now:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def logins(store: Store, now: Now) -> Logins:
    return Logins(store, clock=now, monotonic=now, hasher=QUICK)


@pytest.fixture
async def opened(store: Store) -> None:
    await set_password(store, PASSWORD, QUICK)


def stored(tmp_path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(tmp_path / "viva.sqlite3") as db:
        return db.execute(query).fetchall()


def contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize(
    "weak", ["", "short", "elevenchars", "aaaaaaaaaaaabbbbcd"[:16], "x" * 1001]
)
def test_a_password_that_would_be_guessed_is_refused_with_the_reason(weak: str) -> None:
    with pytest.raises(WeakPassword, match=r"(at least|at most) \d+"):
        check_strength(weak)


@pytest.mark.parametrize("good", [PASSWORD, "abcdeabcdeab", "一二三四五六七八九十十一"])
def test_length_and_a_few_different_characters_are_enough(good: str) -> None:
    check_strength(good)


async def test_without_a_password_nobody_gets_in(logins: Logins) -> None:
    assert not await logins.is_open()
    for password in ("", PASSWORD, "admin"):
        with pytest.raises(WrongPassword):
            await logins.sign_in(password, "a")


@pytest.mark.usefixtures("opened")
async def test_only_hashes_are_stored(logins: Logins, tmp_path: Path) -> None:
    token = await logins.sign_in(PASSWORD, "a")
    assert len(token) == 43  # 256 bits in base64
    kept = contents(tmp_path)
    assert PASSWORD.encode() not in kept and token.encode() not in kept
    ((hashed,),) = stored(tmp_path, "select password_hash from admin")
    assert str(hashed).startswith("$argon2id$")


@pytest.mark.usefixtures("opened")
async def test_each_sign_in_is_a_login_of_its_own_until_its_sign_out(logins: Logins) -> None:
    first, second = [await logins.sign_in(PASSWORD, "a") for _ in range(2)]
    assert first != second
    await logins.sign_out(first)
    assert await logins.find(first) is None and await logins.find(second)
    for nobody in ("", "x" * 100_000, "\ud800", first + "x"):
        assert await logins.find(nobody) is None


@pytest.mark.usefixtures("opened")
async def test_a_login_ends_when_it_is_left_alone(logins: Logins, now: Now) -> None:
    token = await logins.sign_in(PASSWORD, "a")
    for _ in range(3):
        now.at += IDLE_S - 1
        assert await logins.find(token)
    now.at += IDLE_S
    assert await logins.find(token) is None


@pytest.mark.usefixtures("opened")
async def test_looking_without_touching_keeps_no_login_awake(logins: Logins, now: Now) -> None:
    token = await logins.sign_in(PASSWORD, "a")
    now.at += IDLE_S - 1
    assert await logins.find(token, touch=False)
    now.at += 1
    assert await logins.find(token, touch=False) is None


@pytest.mark.usefixtures("opened")
async def test_a_login_ends_after_a_week_however_busy(logins: Logins, now: Now) -> None:
    token, began = await logins.sign_in(PASSWORD, "a"), now.at
    while now.at - began + 3600 < ABSOLUTE_S:
        now.at += 3600
        assert await logins.find(token)
    now.at += 3600
    assert await logins.find(token) is None


@pytest.mark.usefixtures("opened")
async def test_a_clock_set_back_by_a_day_ends_no_login(logins: Logins, now: Now) -> None:
    token = await logins.sign_in(PASSWORD, "a")
    now.at -= 86_400
    assert await logins.find(token) and await logins.find(token)


@pytest.mark.usefixtures("opened")
async def test_ended_logins_do_not_pile_up(logins: Logins, now: Now, tmp_path: Path) -> None:
    for _ in range(3):
        await logins.sign_in(PASSWORD, "a")
    now.at += IDLE_S + 1
    await logins.sign_in(PASSWORD, "a")
    assert stored(tmp_path, "select count(*) from logins") == [(1,)]


@pytest.mark.usefixtures("opened")
async def test_a_new_password_ends_every_login(logins: Logins, store: Store) -> None:
    token = await logins.sign_in(PASSWORD, "a")
    await set_password(store, "another good one", QUICK)
    assert await logins.find(token) is None
    with pytest.raises(WrongPassword):
        await logins.sign_in(PASSWORD, "a")
    assert await logins.sign_in("another good one", "a")


@pytest.mark.usefixtures("opened")
async def test_a_password_changed_while_it_is_verified_lets_nobody_in(
    logins: Logins, store: Store
) -> None:
    class Slow(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> bool:
            asyncio.run_coroutine_threadsafe(
                set_password(store, "another good one", QUICK), loop
            ).result(5)
            return QUICK.verify(hash, password)

    loop = asyncio.get_running_loop()
    late = Logins(store, hasher=Slow())
    with pytest.raises(WrongPassword):
        await late.sign_in(PASSWORD, "a")


@pytest.mark.usefixtures("opened")
async def test_the_same_letters_are_the_same_password_from_every_keyboard(
    logins: Logins, store: Store
) -> None:
    await set_password(store, "cafe\u0301 au lait au lit", QUICK)
    assert await logins.sign_in("caf\u00e9 au lait au lit", "a")


@pytest.mark.usefixtures("opened")
async def test_an_address_that_guesses_waits_and_the_right_password_is_no_guess(
    logins: Logins, now: Now
) -> None:
    for _ in range(BY_ADDRESS + 5):
        await logins.sign_in(PASSWORD, "office")
    for n in range(BY_ADDRESS):
        with pytest.raises(WrongPassword):
            await logins.sign_in(f"guess number {n}", "office")
    with pytest.raises(TooManyTries) as refused:
        await logins.sign_in(PASSWORD, "office")
    assert 0 < refused.value.retry_after_s <= WINDOW_S
    assert await logins.sign_in(PASSWORD, "elsewhere")
    now.at += WINDOW_S
    assert await logins.sign_in(PASSWORD, "office")


@pytest.mark.usefixtures("opened")
async def test_guesses_sent_all_at_once_are_counted_one_by_one(logins: Logins) -> None:
    tries = [logins.sign_in(f"guess number {n}", "a") for n in range(50)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, WrongPassword) for one in found) == BY_ADDRESS
    assert sum(isinstance(one, TooManyTries) for one in found) == 50 - BY_ADDRESS


def test_many_addresses_together_cannot_guess_without_end() -> None:
    tries, let_in = Tries(), 0
    for n in range(10 * AT_MOST):
        address = f"203.0.{n % 1000 // 250}.{n % 250}"
        if tries.wait(address, 5.0) == 0:
            tries.begin(address, 5.0)
            let_in += 1
    assert FROM_ALL <= let_in <= AT_MOST


def test_under_attack_who_made_no_mistake_still_gets_in() -> None:
    tries = Tries()
    for n in range(FROM_ALL):
        tries.begin(f"203.0.113.{n // BY_ADDRESS}", 5.0)
    tries.begin("192.0.2.1", 6.0)
    assert tries.wait("192.0.2.1", 7.0) > 0  # one mistake of its own
    assert tries.wait("192.0.2.2", 7.0) == 0


def test_under_a_heavy_attack_those_who_were_in_before_get_in() -> None:
    tries = Tries()
    tries.begin("192.0.2.1", 1.0)
    tries.right("192.0.2.1", 1.0)
    for n in range(AT_MOST):
        tries.begin(f"203.0.{n // 250}.{n % 250}", 5.0)
    assert tries.wait("192.0.2.2", 7.0) > 0
    assert tries.wait("192.0.2.1", 7.0) == 0


def test_of_ipv6_a_whole_network_counts_as_one_address() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:1") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert network("") == "" and network("testclient") == "testclient"


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 30), st.booleans()), max_size=400))
def test_never_more_wrong_passwords_in_a_window_than_allowed(
    steps: list[tuple[float, int, bool]],
) -> None:
    tries, at = Tries(), 0.0
    wrong: list[tuple[float, int]] = []
    for later, who, right in steps:
        at += later
        address = f"198.51.100.{who}"
        if tries.wait(address, at) > 0:
            continue
        tries.begin(address, at)
        if right:
            tries.right(address, at)
            continue
        wrong.append((at, who))
        recent = [one for t, one in wrong if at - t < WINDOW_S]
        assert recent.count(who) <= BY_ADDRESS
