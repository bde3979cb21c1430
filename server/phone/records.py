"""What the telephone reads from and writes to the store: invitations, consents, calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from agent.events import Event
from agent.plan import Plan
from server import consents
from server.api.errors import ApiError
from server.api.ports import NotLive
from server.phone.acts import Consent, Meanwhile, NotWritten, Written
from server.phone.pins import Pins
from server.store import InterviewRecord, Store, UnknownInterview

_MEANWHILE: dict[str, Meanwhile] = {
    "consent_changed": "changed",
    "in_call": "elsewhere",
    "ended": "over",
}
"""Why a consent is refused, by the API's word."""


@dataclass(frozen=True)
class Invited:
    """Somebody's interview, as far as a caller's reception needs it."""

    interview_id: str
    plan: Plan
    consented: bool
    over: bool


Request = Callable[[str, str], Awaitable[None]]
"""An interview and what its candidate asks for: told to the call that goes on, in a browser. Raises
`NotLive`."""


class CallRecords:
    def __init__(
        self, store: Store, pins: Pins, clock: Callable[[], float], request: Request
    ) -> None:
        self._store = store
        self._pins = pins
        self._clock = clock
        self._request = request

    async def by_pin(self, pin: str, number: str) -> Invited:
        """Raises an `InviteError`."""
        return await self.invited((await self._pins.find(pin, number)).interview_id)

    async def by_number(self, *numbers: str) -> Invited | None:
        """The interview that the first of these stands for which stands for any."""
        for number in numbers:
            if (interview_id := await self._pins.selected(number)) is not None:
                found = await self.invited(interview_id)
                return None if found.over else found
        return None

    async def invited(self, interview_id: str) -> Invited:
        """Raises `UnknownInterview`."""
        record, plan, events = await self._all(interview_id)
        told = consents.last_consent(events)
        over = record.status in ("ended", "erased")
        return Invited(interview_id, plan, told is not None and told.interview, over)

    async def consent(self, interview_id: str, answer: Consent, read: Plan) -> Written | NotWritten:
        """Write what was answered to the two questions, with the disclosure before them, as a page
        would; `read` is the plan whose texts were read aloud."""
        try:
            await self._consent(interview_id, answer, read)
        except UnknownInterview:  # erased
            return NotWritten("over")
        except ApiError as error:
            if error.code not in _MEANWHILE:
                raise
            return NotWritten(_MEANWHILE[error.code])
        return Written()

    async def _consent(self, interview_id: str, answer: Consent, read: Plan) -> None:
        record, plan, events = await self._all(interview_id)
        await consents.record_consent(
            self._store,
            record,
            plan,
            events,
            interview=answer.interview,
            recording=answer.recording,
            version=read.policy.consent.version,
            disclosure=read.policy.disclosure_version,
            at=self._clock(),
            method=answer.method,
            recording_method=answer.recording_method,
            told="spoken" if answer.disclosed else None,
        )

    async def wants_person(self, interview_id: str, *, disclosed: bool) -> None:
        """A call that goes on says so itself and ends."""
        try:
            await self._request(interview_id, "person")
        except NotLive:
            await self._decline_ai(interview_id, disclosed=disclosed)

    async def _decline_ai(self, interview_id: str, *, disclosed: bool) -> None:
        record, plan, _ = await self._all(interview_id)
        told: Literal["spoken"] | None = "spoken" if disclosed else None
        await consents.decline_ai(self._store, record, plan, self._clock(), told=told)

    async def _all(self, interview_id: str) -> tuple[InterviewRecord, Plan, list[Event]]:
        record = await self._store.interview(interview_id)
        events = [stored.event for stored in await self._store.events(interview_id)]
        return record, await self._store.plan(record.plan_hash), events
