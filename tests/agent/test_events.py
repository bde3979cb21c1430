"""Events are read back as they were written, and an event that cannot be read repeats no words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agent.events import SCHEMA_VERSION, ConsentRecorded, Incident, NewerEvent, parse_event
from agent.grades import Quote
from agent.report_schema import Evidence
from agent.transcript import Utterance

WORDS = "I was dismissed"


def test_an_event_comes_back_equal() -> None:
    event = Incident(at=1.5, kind="voice_changed", detail="你好")
    assert parse_event(event.model_dump()) == event


def test_a_consent_of_an_older_version_has_one_way_for_both() -> None:
    older = {
        "type": "consent_recorded",
        "at": 1.5,
        "interview": True,
        "recording": True,
        "version": "1",
        "method": "key",
    }
    read = parse_event(older, 3)
    assert isinstance(read, ConsentRecorded)
    assert (read.method, read.recording_method) == ("key", None)


def test_an_event_of_a_newer_version_is_not_guessed_at() -> None:
    event = Incident(at=1.5, kind="voice_changed")
    assert parse_event(event.model_dump(), SCHEMA_VERSION) == event
    with pytest.raises(NewerEvent, match=f"version {SCHEMA_VERSION + 1}"):
        parse_event(event.model_dump(), SCHEMA_VERSION + 1)


@pytest.mark.parametrize(
    "payload",
    [
        {"type": "segment_heard", "text": [WORDS]},
        {"type": "move_heard", "move": {"name": "next_question", "acknowledgement": [WORDS]}},
        [WORDS],
    ],
)
def test_an_event_that_cannot_be_read_repeats_no_words(payload: object) -> None:
    with pytest.raises(ValidationError) as refused:
        parse_event(payload)
    assert WORDS not in str(refused.value)


@pytest.mark.parametrize("kind", [Quote, Evidence, Utterance, Incident])
def test_a_part_of_a_report_that_cannot_be_made_repeats_no_words(kind: type) -> None:
    with pytest.raises(ValidationError) as refused:
        kind(quote=[WORDS], text=[WORDS], detail=[WORDS])
    assert WORDS not in str(refused.value)
