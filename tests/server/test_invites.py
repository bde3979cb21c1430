"""Who holds a link gets in until it ends; who guesses one waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.plan import Plan
from server.invites import (
    GUESSES,
    ExpiredInvite,
    Guesses,
    Invites,
    RevokedInvite,
    TooManyGuesses,
    UnknownInvite,
    token_hash,
)
from server.store import Store, UnknownInterview


def contents(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


class Now:
    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def invites(store: Store, now: Now) -> Invites:
    return Invites(store, clock=now)


async def test_opening_never_consumes_an_invite(store: Store, plan: Plan, invites: Invites) -> None:
    record = await store.create_interview(plan)
    issued = await invites.issue(record.interview_id, 60)
    for address in ("a", "b", "a"):
        assert (await invites.open(issued.token, address)).interview_id == record.interview_id


async def test_only_the_hash_of_a_token_is_stored(
    store: Store, plan: Plan, invites: Invites, tmp_path: Path
) -> None:
    record = await store.create_interview(plan)
    issued = await invites.issue(record.interview_id, 60)
    assert len(issued.token) == 43  # 256 bits in base64
    assert issued.token.encode() not in contents(tmp_path)
    assert await store.invite(token_hash(issued.token))


async def test_an_invite_ends_by_time_or_by_the_operator(
    store: Store, plan: Plan, invites: Invites, now: Now
) -> None:
    record = await store.create_interview(plan)
    first = await invites.issue(record.interview_id, 60)
    second = await invites.issue(record.interview_id, 600)
    now.at += 60
    with pytest.raises(ExpiredInvite):
        await invites.open(first.token, "a")
    await invites.open(second.token, "a")
    assert await invites.revoke(record.interview_id) == 2
    with pytest.raises(RevokedInvite):
        await invites.open(second.token, "a")
    with pytest.raises(UnknownInterview):
        await invites.revoke("nobody")


async def test_a_guesser_waits_and_locks_out_nobody_who_was_in(
    store: Store, plan: Plan, invites: Invites, now: Now
) -> None:
    record = await store.create_interview(plan)
    inside = await invites.issue(record.interview_id, 6000)
    outside = await invites.issue(record.interview_id, 6000)
    await invites.open(inside.token, "office")
    for n in range(GUESSES):
        with pytest.raises(UnknownInvite):
            await invites.open(f"guess {n}", "office")
    with pytest.raises(TooManyGuesses) as refused:
        await invites.open(outside.token, "office")
    assert 0 < refused.value.retry_after_s <= 60
    await invites.open(inside.token, "office")
    await invites.open(outside.token, "elsewhere")
    now.at += 61
    await invites.open(outside.token, "office")


@pytest.mark.parametrize("token", ["", "x" * 100_000, "\x00", "ünï", "\ud800", "a b"])
async def test_a_token_of_any_shape_is_just_unknown(invites: Invites, token: str) -> None:
    with pytest.raises(UnknownInvite):
        await invites.open(token, "a")


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=80))
def test_never_more_wrong_guesses_in_a_window_than_allowed(steps: list[tuple[float, bool]]) -> None:
    guesses, at = Guesses(allowed=5, window_s=10), 0.0
    taken: list[float] = []
    for wait, patient in steps:
        at += wait
        must_wait = guesses.wait("a", at)
        if must_wait and not patient:
            continue
        at += must_wait
        assert guesses.wait("a", at) < 1e-6
        guesses.wrong("a", at)
        taken.append(at)
        assert sum(at - 10 + 1e-6 < t for t in taken) <= 5
