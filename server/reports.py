"""A report as it is read: as it was made, together with what people added since."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from agent.additions import with_additions
from agent.report_schema import Report
from server.store import Store


@dataclass(frozen=True)
class Reading:
    json: str
    report: Report | None
    """None: another version of Viva made it, and only its JSON can be given."""


async def read(store: Store, interview_id: str, revision: int | None = None) -> Reading | None:
    """The newest report, or the revision asked for; None if there is none yet. Raises
    `UnknownInterview`, `Erased`."""
    await store.interview(interview_id)
    stored = await store.report(interview_id, revision)
    if stored is None:
        return None
    try:
        made = Report.model_validate_json(stored.json)
    except ValidationError:
        return Reading(stored.json, None)
    events = [one.event for one in await store.events(interview_id)]
    report = with_additions(made, events)
    return Reading(report.model_dump_json(), report)
