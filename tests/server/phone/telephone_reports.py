"""Reports of interviews over the telephone network: made by the real runner, graded by the
rehearsal's stand-in; and what two of them have in common.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jsonschema
from telephone_calls import Office
from telephone_scripts import UNJUDGED

from agent.answers import Utterance
from agent.grades import QuestionGrade
from agent.grading import Grader
from agent.plan import Plan, Question
from agent.report import schema
from asr.engine import Engine
from server.jobs import ReportRunner
from server.rehearsal import model
from server.rehearsal.run import shipped_plan
from server.settings import Settings
from server.wiring import model_client, provenance_of


def judged(plan: Plan) -> Plan:
    """The same, each question judged as the rehearsal's first one that counts: otherwise there is
    nothing to grade."""
    shipped = shipped_plan("rehearsal_en.yaml").model_dump(mode="json", exclude_unset=True)
    checks = shipped["stages"][1]["questions"][0]["checks"]
    whole = plan.model_dump(mode="json", exclude_unset=True) | {"rubrics": shipped["rubrics"][:1]}
    for question in (one for stage in whole["stages"] for one in stage.get("questions", ())):
        question |= {"rubric_ids": [whole["rubrics"][0]["id"]], "checks": checks}
    return Plan.model_validate(whole | {"dimension_weights": dict.fromkeys(UNJUDGED, 0)})


@dataclass
class Gate:
    """Grading stops at it while it is shut."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)


class Gated:
    """A grader behind a gate."""

    def __init__(self, grader: Grader, gate: Gate) -> None:
        self._grader, self._gate = grader, gate

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        self._gate.begun.set()
        await self._gate.open.wait()
        return await self._grader.grade_question(plan, question, utterances)


@dataclass
class Reports:
    """Makes them when told to."""

    runner: ReportRunner
    gate: Gate
    at: Office

    async def of(self, interview_id: str) -> dict[str, Any]:
        """The one report of an interview that has one; valid."""
        stored = await self.at.at.store.report(interview_id)
        assert stored is not None and stored.revision == 1
        report: dict[str, Any] = json.loads(stored.json)
        jsonschema.Draft202012Validator(schema()).validate(report)
        return report


@asynccontextmanager
async def reports(it: Office, model_url: str, engine: Engine) -> AsyncIterator[Reports]:
    """With the gate open."""
    settings = Settings(model_url=model_url, model=model.NAME, privacy="local")
    client, gate = model_client(settings, grading=True), Gate()
    gate.open.set()
    runner = ReportRunner(
        it.at.store,
        lambda plan: Gated(Grader(client, model.NAME, language=plan.language), gate),
        provenance_of(settings, engine, lambda: "tools"),
        owner="the tests",
    )
    try:
        yield Reports(runner, gate, it)
    finally:
        await client.close()


def unlike(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    """Every place of a report at which something stands in only one of two, whatever it is:
    `.answers[].state`. A list without elements is like any: how many quotes there are depends on
    the words that were heard.
    """
    here, there = set(_places(one, "")), set(_places(other, ""))
    empty = tuple(at for at in here ^ there if at.endswith("[]") and at[:-2] in here & there)
    return {at for at in here ^ there if not at.startswith(empty)}


def _places(value: Any, at: str) -> Iterator[str]:
    yield at
    match value:
        case dict():
            for name, inner in value.items():
                yield from _places(inner, f"{at}.{name}")
        case list():
            for inner in value:
                yield from _places(inner, f"{at}[]")


def covered(report: dict[str, Any]) -> dict[str, Any]:
    """What was asked, and what became of each question."""
    states = {one["question_id"]: one["state"] for one in report["answers"]}
    return {"coverage": report["conduct"]["coverage"], "states": states}
