"""What a caller's answers leave in the log: a disclosure only if it was heard, each in its way."""

from __future__ import annotations

import pytest

from agent.events import CallJoined, ConsentRecorded, Disclosed, Event, InterviewEnded
from agent.plan import Plan
from server.api.ports import NotLive
from server.phone.acts import Consent, NotWritten, Written
from server.phone.pins import Pins
from server.phone.records import CallRecords
from server.store import Store


class Ada:
    """Somebody's interview, and its log."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store, self.plan = store, plan
        self.records = CallRecords(store, Pins(store, b"key"), lambda: 1.8e9, self.request)
        self.id = ""
        self.live = False
        self.requests: list[str] = []

    async def request(self, interview_id: str, request: str) -> None:
        """To the call in a browser."""
        if not self.live:
            raise NotLive(interview_id)
        self.requests.append(request)

    async def is_invited(self) -> None:
        self.id = (await self.store.create_interview(self.plan)).interview_id

    async def agrees(self, *, recording: bool, read: Plan | None = None) -> Written | NotWritten:
        answer = Consent(True, recording, "key", "spoken")
        return await self.records.consent(self.id, answer, read or self.plan)

    async def log(self) -> list[Event]:
        return [stored.event for stored in await self.store.events(self.id)][1:]


@pytest.fixture
async def ada(store: Store, plan: Plan) -> Ada:
    made = Ada(store, plan)
    await made.is_invited()
    return made


async def test_two_answers_and_the_disclosure_before_them_are_written(ada: Ada) -> None:
    assert await ada.agrees(recording=False) == Written()
    told, agreed = await ada.log()
    assert isinstance(told, Disclosed) and told.method == "spoken"
    assert isinstance(agreed, ConsentRecorded)
    assert (agreed.interview, agreed.recording) == (True, False)
    assert (agreed.method, agreed.recording_method) == ("key", "spoken")
    assert agreed.version == ada.plan.policy.consent.version
    assert (await ada.records.invited(ada.id)).consented


async def test_who_refuses_before_the_disclosure_was_heard_was_told_nothing(ada: Ada) -> None:
    refused = Consent(False, False, "key", disclosed=False)
    assert await ada.records.consent(ada.id, refused, ada.plan) == Written()
    [refused] = await ada.log()
    assert isinstance(refused, ConsentRecorded) and refused.recording_method is None
    assert not (await ada.records.invited(ada.id)).consented


@pytest.mark.parametrize("what", ["consent", "disclosure"])
async def test_agreement_to_a_text_that_does_not_stand_is_not_written(ada: Ada, what: str) -> None:
    policy = ada.plan.policy
    older = {
        "consent": {"consent": policy.consent.model_copy(update={"version": "0"})},
        "disclosure": {"disclosure_version": "0"},
    }[what]
    read = ada.plan.model_copy(update={"policy": policy.model_copy(update=older)})
    assert await ada.agrees(recording=True, read=read) == NotWritten("changed")
    assert not await ada.log()


async def test_another_answer_while_the_interview_goes_on_elsewhere_is_not_written(
    ada: Ada,
) -> None:
    await ada.agrees(recording=True)
    await ada.store.append(ada.id, None, [CallJoined(at=1.8e9, epoch=1, channel="web")])
    before = await ada.log()
    assert await ada.agrees(recording=False) == NotWritten("elsewhere")
    assert await ada.agrees(recording=True) == Written(), "it stands already"
    assert await ada.log() == before


async def test_an_answer_to_an_interview_that_is_over_or_erased_is_not_written(ada: Ada) -> None:
    await ada.records.wants_person(ada.id, disclosed=True)
    assert await ada.agrees(recording=True) == NotWritten("over")
    await ada.store.erase(ada.id)
    assert await ada.agrees(recording=True) == NotWritten("over")


@pytest.mark.parametrize("disclosed", [True, False])
async def test_who_wants_a_person_has_an_interview_that_is_over(ada: Ada, disclosed: bool) -> None:
    await ada.records.wants_person(ada.id, disclosed=disclosed)
    log = await ada.log()
    assert isinstance(log[-1], InterviewEnded) and log[-1].reason == "declined_ai"
    assert any(isinstance(event, Disclosed) for event in log) == disclosed
    assert (await ada.records.invited(ada.id)).over


async def test_who_wants_a_person_while_the_interview_goes_on_elsewhere_is_asked_out_of_it_there(
    ada: Ada,
) -> None:
    ada.live = True
    await ada.records.wants_person(ada.id, disclosed=True)
    assert ada.requests == ["person"]
    assert not await ada.log(), "the call ends the interview itself"
