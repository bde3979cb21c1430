"""What whoever runs interviews does with them: make, invite to, take back, erase. The API, the desk
and the command line do it here.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from agent import planfile
from agent.events import DecisionRecorded, Suggestion
from agent.plan import Plan
from server import microphone_url, stand_ins
from server.api.ports import Host, Recordings
from server.invites import Invites, invite_url
from server.phone import outbound
from server.settings import Settings
from server.store import CallOut, Erased, InterviewRecord, Store

DAY_S = 86_400.0
MOST_DAYS = 366.0
PHONE_OFF = "The telephone is off: VIVA_PHONE=true and a registrar are missing. See docs/phone.md."


class NotEnded(Exception):
    """The interview has to be over first."""


@dataclass(frozen=True)
class Link:
    """A new invite, seen in full this once: only the token's hash is stored."""

    interview_id: str
    token: str
    url: str
    expires_at: float
    pin: str = ""
    """For the telephone; empty where this server has none. Likewise seen this once."""
    phone_number: str = ""
    """Where to call."""


def read_plan(source: str | bytes | dict[str, object]) -> Plan:
    """A plan that somebody sent: a YAML or JSON text, or the object. Blocks. Raises `PlanError`."""
    try:
        text = json.dumps(source, indent=1) if isinstance(source, dict) else source
        return planfile.parse(text)
    except RecursionError:
        raise planfile.PlanError(("nested too deeply.",)) from None


async def make(
    store: Store, settings: Settings, plan: Plan, *, candidate_name: str, extra_time: bool
) -> InterviewRecord:
    """A new interview, to which nobody is invited yet. Raises `NoMicrophone` where nobody could
    be."""
    microphone_url.check(settings)
    return await store.create_interview(
        plan,
        candidate_name=candidate_name,
        time_factor=plan.policy.extra_time_factor if extra_time else 1.0,
        rehearsal=bool(stand_ins.of(settings)),
    )


async def invite(
    invites: Invites, settings: Settings, interview_id: str, days: float | None = None
) -> Link:
    """One more link; earlier ones stay good. Raises `NoMicrophone`, `UnknownInterview`,
    `Erased`."""
    microphone_url.check(settings)
    issued = await invites.issue(interview_id, (days or settings.invite_days) * DAY_S)
    url = invite_url(settings, issued.token)
    return Link(
        issued.interview_id,
        issued.token,
        url,
        issued.expires_at,
        issued.pin,
        settings.phone_number if issued.pin else "",
    )


async def revoke(store: Store, invites: Invites, host: Host, interview_id: str) -> int:
    """Take back every link and PIN; a call that goes on ends at once, one that rings is hung up by
    the server within seconds, none is made any more, and what was said is kept. Returns how many
    links were good. Raises `UnknownInterview`."""
    count = await invites.revoke(interview_id)
    await store.cancel_calls(interview_id)
    await host.drop(interview_id)
    return count


async def call(
    store: Store, settings: Settings, interview_id: str, number: str, zone: str, at: float
) -> CallOut:
    """Have the candidate called by telephone, as soon as hours and caps allow. Raises `NoCall`,
    `UnknownInterview`."""
    if not settings.phone:
        raise outbound.NoCall("off", settings.phone_forgotten or PHONE_OFF)
    policy = outbound.policy_of(settings)
    dialled = outbound.number_of(number, policy)
    zone = zone or settings.phone_zone
    not_before = outbound.earliest(policy, zone, at)
    if (await store.interview(interview_id)).status in ("ended", "erased"):
        raise outbound.NoCall("over", "This interview is over.")
    made = CallOut(uuid.uuid4().hex, interview_id, dialled, zone, not_before, attempt=1)
    if not await store.add_call(made):
        raise outbound.NoCall("waiting", "A call for this interview waits or is being made.")
    return made


async def grade_again(store: Store, interview_id: str) -> int:
    """Ask for a new revision of the report, and return its number; earlier ones stay. Raises
    `NotEnded`, `UnknownInterview`, `Erased`."""
    await _ended(store, interview_id)
    return await store.enqueue_report(interview_id)


async def decide(
    store: Store, interview_id: str, value: Suggestion, reason: str, *, by: str, at: float
) -> None:
    """Record what a person decided; earlier decisions stay in the log. Raises as `grade_again`."""
    await _ended(store, interview_id)
    made = DecisionRecorded(at=at, value=value, by=by, reason=reason)
    await store.append(interview_id, None, [made])


async def erase(store: Store, host: Host, recordings: Recordings, interview_id: str) -> None:
    """Every word, the report and the audio go; the log's skeleton stays. Raises
    `UnknownInterview`."""
    await store.interview(interview_id)
    await store.revoke_invites(interview_id)  # so that no telephone comes back before it is erased
    await store.cancel_calls(interview_id)
    await host.drop(interview_id)
    await store.erase(interview_id)
    await recordings.erase(interview_id)


async def _ended(store: Store, interview_id: str) -> None:
    status = (await store.interview(interview_id)).status
    if status == "erased":
        raise Erased(interview_id)
    if status != "ended":
        raise NotEnded(interview_id)
