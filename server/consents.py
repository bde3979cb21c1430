"""What a candidate agrees to, or asks for, before the call: facts of the event log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from agent.conduct import of_type
from agent.events import ConsentRecorded, Disclosed, Event, InterviewEnded, RequestMade
from agent.plan import Plan
from server.api.errors import ApiError
from server.store import InterviewRecord, Store

Told = Literal["page", "spoken"]
"""How the disclosure was made."""


def last_consent(events: Sequence[Event]) -> ConsentRecorded | None:
    """The answer that counts; None where there is none yet."""
    return next((e for e in reversed(events) if isinstance(e, ConsentRecorded)), None)


def wants_extra_time(events: Sequence[Event]) -> bool:
    return any(event.request == "extra_time" for event in of_type(events, RequestMade))


async def record_consent(
    store: Store,
    record: InterviewRecord,
    plan: Plan,
    events: Sequence[Event],
    *,
    interview: bool,
    recording: bool,
    version: str,
    disclosure: str | None = None,
    at: float,
    method: Literal["click", "spoken", "key"] = "click",
    recording_method: Literal["spoken", "key"] | None = None,
    told: Told | None = "page",
) -> list[Event]:
    """Write the answer, and that the disclosure was made, unless it was not (`told` None); returns
    what was written. `version`, and `disclosure` where it is known: of the texts that were read.
    `recording_method`: where the recording was asked for by itself. Saying the same again changes
    nothing; a change of mind is possible until the call begins. Raises `ApiError`."""
    stands = (plan.policy.consent.version, plan.policy.disclosure_version)
    if (version, disclosure or plan.policy.disclosure_version) != stands:
        raise ApiError(409, "consent_changed", "The text has changed. Read it again, then answer.")
    if record.status == "ended":
        raise ApiError(409, "ended", "This interview is over.")
    given = last_consent(events)
    if given and (given.interview, given.recording) == (interview, recording):
        return []
    if given and record.status == "live":
        raise ApiError(409, "in_call", "Leave the call first, then change your answer.")
    answer = ConsentRecorded(
        at=at,
        interview=interview,
        recording=recording,
        version=version,
        method=method,
        recording_method=recording_method,
    )
    new = [*_disclosed(plan, events, at, told), answer]
    await store.append(record.interview_id, None, new)
    return new


async def record_extra_time(
    store: Store, record: InterviewRecord, events: Sequence[Event], at: float
) -> None:
    """The candidate asks for more time, once."""
    if not wants_extra_time(events):
        asked = RequestMade(at=at, request="extra_time")
        await store.append(record.interview_id, None, [asked])


async def decline_ai(
    store: Store,
    record: InterviewRecord,
    plan: Plan,
    at: float,
    told: Told | None = "page",
) -> None:
    """The candidate wants a person: the interview with the AI is over, and counts for nothing."""
    if record.status != "ended":
        events = [stored.event for stored in await store.events(record.interview_id)]
        wants, ended = (
            RequestMade(at=at, request="person"),
            InterviewEnded(at=at, reason="declined_ai"),
        )
        new = [*_disclosed(plan, events, at, told), wants, ended]
        await store.append(record.interview_id, None, new)


def _disclosed(plan: Plan, before: Sequence[Event], at: float, method: Told | None) -> list[Event]:
    version = plan.policy.disclosure_version
    known = any(event.version == version for event in of_type(before, Disclosed))
    return [] if known or method is None else [Disclosed(at=at, version=version, method=method)]
