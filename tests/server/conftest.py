"""What the server's tests share: a small plan and a real store in a temporary folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.plan import Consent, Job, Plan, Policy, Question, Stage
from server.store import Store, sqlite_url


@pytest.fixture(scope="session")
def plan() -> Plan:
    """Two questions, no rubric: enough for whatever does not care what is asked."""
    return Plan(
        plan_id="small",
        version="1",
        language="en",
        title="A small plan",
        job=Job(title="Engineer", level="mid"),
        stages=(
            Stage(
                id="main",
                kind="technical",
                title="Main",
                questions=(
                    Question(id="q1", text="What did you build?", rephrase="Tell me your work."),
                    Question(id="q2", text="How did you test it?", rephrase="How was it tested?"),
                ),
            ),
        ),
        policy=Policy(
            disclosure="I am an AI.",
            disclosure_version="1",
            greeting="Hello.",
            closing_line="Goodbye.",
            consent=Consent(
                version="1", text="May an AI interview you?", recording_text="May we record?"
            ),
            escalation_contact="Write to jobs@example.org.",
        ),
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(sqlite_url(tmp_path), patience_s=2.0, busy_timeout_ms=100)
    yield opened
    opened.close()
