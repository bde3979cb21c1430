"""The transcript as the API tells it: a fold over the events, times as they are."""

from __future__ import annotations

from agent.additions import corrections
from agent.transcript import transcript_of
from server.api.models import Said, TranscriptAnswer
from server.store import Store


async def transcript(store: Store, interview_id: str) -> TranscriptAnswer:
    record = await store.interview(interview_id)
    events = [stored.event for stored in await store.events(interview_id)]
    written = corrections(events)
    said = [
        Said(
            id=one.id,
            speaker=one.speaker,
            text=one.text,
            question_id=one.question_id,
            t0=one.t0,
            t1=one.t1,
            source=one.source,
            interrupted=one.interrupted,
            correction=written.get(one.id) if one.speaker == "candidate" else None,
        )
        for one in transcript_of(events)
    ]
    return TranscriptAnswer(status=record.status, utterances=said)
