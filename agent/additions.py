"""What people add to an interview that is over: the candidate's corrections, a recruiter's
decision. Pure folds of the event log.

Neither changes what was heard or graded. They stand beside it, whenever they come: a report that is
already made is read together with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.conduct import as_time, of_type
from agent.events import AnswerCorrected, DecisionRecorded, Event
from agent.report_schema import HumanDecision, Report


def corrections(events: Iterable[Event]) -> dict[str, str]:
    """The candidate's own wording by utterance id; those taken back are left out."""
    last = {event.utterance_id: event.text for event in of_type(events, AnswerCorrected)}
    return {utterance_id: text for utterance_id, text in last.items() if text}


def decision(events: Iterable[Event]) -> HumanDecision | None:
    """The last decision recorded."""
    made = of_type(events, DecisionRecorded)
    if not made:
        return None
    last = made[-1]
    return HumanDecision(value=last.value, by=last.by, at=as_time(last.at), reason=last.reason)


def with_additions(report: Report, events: Sequence[Event]) -> Report:
    """The report as it is read today."""
    written = corrections(events)
    transcript = tuple(
        one.model_copy(update={"correction": written.get(one.id)})
        if one.speaker == "candidate"
        else one
        for one in report.transcript
    )
    return report.model_copy(update={"transcript": transcript, "human_decision": decision(events)})
