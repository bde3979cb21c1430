"""Plans short enough to be held in a test: two questions, with limits of seconds."""

from __future__ import annotations

from typing import Any

from agent.plan import Plan

PATIENT = (60.0, 120.0, 180.0)
"""A silence ladder that no test reaches."""


def question(question_id: str, **facts: Any) -> dict[str, Any]:
    return {"id": question_id, "rephrase": "In other words.", "max_probes": 0} | facts


def short_plan(
    first: dict[str, Any] | None = None,
    second: dict[str, Any] | None = None,
    *,
    language: str = "en",
    yours: bool = False,
    **policy: Any,
) -> Plan:
    """`first` and `second` change the questions; `yours` adds the candidate's own questions."""
    quick = {"think_time_s": 0.5}
    stages = [
        {
            "id": "work",
            "kind": "technical",
            "title": "Work",
            "questions": [
                question("first", **({"text": "What did you build?"} | quick | (first or {}))),
                question("second", **({"text": "Why did you leave?"} | quick | (second or {}))),
            ],
        },
        {"id": "closing", "kind": "closing", "title": "Closing", "scored": False},
    ]
    if yours:
        asks = [question("yours", text="What is your question?", **quick)]
        stages.insert(
            1,
            {
                "id": "yours",
                "kind": "candidate_questions",
                "title": "Yours",
                "scored": False,
                "questions": asks,
            },
        )
    return Plan.model_validate(
        {
            "plan_id": "short",
            "version": "1",
            "language": language,
            "title": "Short",
            "job": {"title": "Engineer", "level": "mid"},
            "stages": stages,
            "faq": [
                {"id": "team_size", "question": "How large is the team?", "answer": "Seven people."}
            ],
            "policy": {
                "disclosure": "I am an AI.",
                "disclosure_version": "d1",
                "greeting": "Welcome.",
                "closing_line": "That was all. Goodbye.",
                "consent": {"version": "c1", "text": "Consent.", "recording_text": "Recording."},
                "escalation_contact": "the front desk",
                "total_time_s": 600,
                "wrap_up_s": 10,
                "silence_ladder_s": PATIENT,
            }
            | policy,
        }
    )
