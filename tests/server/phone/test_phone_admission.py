"""Who is let into an interview from a telephone, when it was taken back in the middle of a call."""

from __future__ import annotations

from typing import Any, cast

import pytest

from agent.plan import Plan
from server import interviews
from server.api.ports import Busy, HostError, NotConsented, Over
from server.invites import Invites
from server.phone.admission import Admission
from server.store import CallOut, Store

NOW = 1.8e9


class Telephones:
    """The host's and the gateway's part."""

    def __init__(self) -> None:
        self.let_in = self.kept = 0
        self.hung_up = False
        self.refuses: Exception | None = None

    async def keep_place(self, interview_id: str) -> None:
        self.kept += 1

    async def join_line(self, interview_id: str, peer: object, on_left: object) -> str:
        if self.refuses is not None:
            raise self.refuses
        self.let_in += 1
        return "leg"

    async def hang_up(self) -> None:
        self.hung_up = True


class Case:
    def __init__(self, store: Store, interview_id: str, call_id: str = "") -> None:
        self.store, self.interview_id, self.telephones = store, interview_id, Telephones()
        host, call = cast(Any, self.telephones), cast(Any, self.telephones)
        self.door = Admission(host, store, call, lambda: NOW, call_id=call_id)

    async def join(self) -> None:
        await self.door.join_line(self.interview_id, cast(Any, None), cast(Any, None))

    async def revoke(self, at: float) -> None:
        self.store._clock = lambda: at
        await self.store.revoke_invites(self.interview_id)

    async def link(self, name: str) -> None:
        await self.store.add_invite(name * 64, self.interview_id, NOW + 9999)


@pytest.fixture
async def caller(store: Store, plan: Plan) -> Case:
    """Of a call in, with a link besides the PIN."""
    case = Case(store, (await store.create_interview(plan)).interview_id)
    await case.link("a")
    return case


@pytest.fixture
async def called(store: Store, plan: Plan) -> Case:
    record = await store.create_interview(plan)
    await store.add_call(CallOut("one", record.interview_id, "+4930", "UTC", NOW, 1))
    assert await store.call_begun("one", NOW)
    return Case(store, record.interview_id, "one")


async def test_a_caller_whose_links_were_revoked_meanwhile_is_not_let_in_again(
    caller: Case,
) -> None:
    await caller.join()
    await caller.revoke(NOW + 60)
    with pytest.raises(Over):  # the leg was dropped, and the line would go on
        await caller.join()
    assert caller.telephones.let_in == 1 and caller.door.refused == "over"


async def test_a_new_link_lets_them_in_again(caller: Case) -> None:
    await caller.revoke(NOW + 60)
    await caller.link("b")
    await caller.join()
    assert caller.telephones.let_in == 1


async def test_links_that_were_revoked_before_are_no_matter_of_this_call(called: Case) -> None:
    """They were taken back, and the candidate is called instead."""
    await called.link("a")
    await called.revoke(NOW - 60)
    await called.door.keep_place(called.interview_id)
    await called.join()
    assert called.telephones.let_in == called.telephones.kept == 1


async def test_a_call_out_that_was_cancelled_is_hung_up_before_anything_is_asked(
    called: Case,
) -> None:
    await called.store.cancel_calls(called.interview_id)
    with pytest.raises(Busy):
        await called.door.keep_place(called.interview_id)
    assert called.telephones.hung_up and not called.telephones.kept
    with pytest.raises(Over):
        await called.join()
    assert not called.telephones.let_in


async def test_who_is_in_the_interview_stays_though_the_call_is_cancelled(called: Case) -> None:
    """They come back from a hold, say."""
    await called.join()
    await called.store.cancel_calls(called.interview_id)
    await called.join()
    assert called.telephones.let_in == 2 and not called.telephones.hung_up


async def test_an_erased_interview_is_over(caller: Case, called: Case) -> None:
    await called.store.erase(called.interview_id)
    with pytest.raises(Over):
        await called.join()
    caller.telephones.refuses = None
    await caller.store.erase(caller.interview_id)

    async def takes_no_lease(*_: object) -> str:
        await caller.store.take_lease(caller.interview_id, "host")
        raise AssertionError("it was erased")

    caller.telephones.join_line = takes_no_lease  # type: ignore[method-assign]
    with pytest.raises(Over):
        await caller.join()
    assert caller.door.refused == "over"


@pytest.mark.parametrize("how", ["revoke", "erase"])
async def test_a_telephone_whose_leg_is_dropped_for_it_does_not_come_back(
    caller: Case, how: str
) -> None:
    """The line would join again before anything else happens."""
    came: list[type[Exception]] = []
    caller.store._clock = lambda: NOW + 60

    class Host:
        async def drop(self, interview_id: str) -> None:
            with pytest.raises(Over) as refused:
                await caller.join()
            came.append(refused.type)

    class Recordings:
        async def erase(self, interview_id: str) -> None: ...

    host, ada = cast(Any, Host()), caller.interview_id
    if how == "revoke":
        await interviews.revoke(caller.store, Invites(caller.store), host, ada)
    else:
        await interviews.erase(caller.store, host, cast(Any, Recordings()), ada)
    assert came == [Over] and not caller.telephones.let_in


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (Busy(4), "full"),
        (Over("ada"), "over"),
        (NotConsented("ada"), "declined"),
        (TimeoutError(), "failed"),
    ],
)
async def test_what_the_host_refuses_is_kept_for_the_outcome(
    caller: Case, error: Exception, name: str
) -> None:
    caller.telephones.refuses = error
    with pytest.raises((HostError, TimeoutError)):
        await caller.join()
    assert caller.door.refused == name
