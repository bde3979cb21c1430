"""What grading leaves behind for one question: verdicts with quotes that were verified, and a tally
of what was not.

Pure and small enough to be stored as JSON between the call and the report.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from agent.evidence import Said
from agent.plan import Check, Dimension, Plan, Question
from agent.scoring import Verdict


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Quote(_Frozen):
    """The utterance's own substring."""

    utterance_id: str
    quote: str


class CheckGrade(_Frozen):
    check_id: str
    met: Verdict
    """`unclear` also where the grader said yes or no and no quote of it survived: undecided."""
    evidence: tuple[Quote, ...] = ()


class Tally(_Frozen):
    """What the grader sent that did not stand; counted, never shown."""

    requests: int = 0
    retries: int = 0
    broken_json: int = 0
    """Answers that were no JSON, or JSON of another shape."""
    timeouts: int = 0
    http_errors: int = 0
    fabricated_quotes: int = 0
    """Quotes that do not stand in the utterance they name."""
    wrong_utterances: int = 0
    """Quotes from an utterance that does not exist or is no part of this answer."""
    unknown_checks: int = 0
    repeated_checks: int = 0
    unquoted_yes: int = 0
    """Answered yes, and no quote of it survived: undecided."""
    unquoted_no: int = 0
    replaced_reasons: int = 0
    """Reasons that the lexical guard did not let through."""

    def __add__(self, other: Tally) -> Tally:
        return Tally(**{name: getattr(self, name) + getattr(other, name) for name in TALLIES})


TALLIES = tuple(Tally.model_fields)


class QuestionGrade(_Frozen):
    question_id: str
    answer_hash: str
    """Of the words that were judged; a grade of other words is not used."""
    state: Literal["graded", "scoring_failed"]
    failure: str = ""
    checks: tuple[CheckGrade, ...] = ()
    reasons: dict[Dimension, str] = {}
    """The grader's own, where the guard let them stand."""
    judged_in_part: bool = False
    """The answer was longer than the grader reads; its end was not judged."""
    tally: Tally = Tally()


def answer_hash(said: Iterable[Said]) -> str:
    words = json.dumps([[one.id, one.text] for one in said], ensure_ascii=False)
    return hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()


def checks_of(plan: Plan, question: Question) -> tuple[Check, ...]:
    """The question's own checks, then those of its rubrics; an id counts once."""
    rubrics = [rubric for rubric in plan.rubrics if rubric.id in question.rubric_ids]
    every = [*question.checks, *(check for rubric in rubrics for check in rubric.checks)]
    return tuple({check.id: check for check in reversed(every)}.values())[::-1]
