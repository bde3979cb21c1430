"""What an interview is to be: stages, questions, probes, rubrics and rules, checked before anyone
is interviewed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
"""Lower case, digits and underscores: safe in a URL, a file name and a tool's enum."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Language = Literal["en", "zh"]
Dimension = Literal[
    "technical_skill", "clarity", "problem_solving", "logic", "completeness", "relevance"
]
DIMENSIONS: tuple[Dimension, ...] = (
    "technical_skill",
    "clarity",
    "problem_solving",
    "logic",
    "completeness",
    "relevance",
)
StageKind = Literal[
    "practice",
    "intro",
    "screening",
    "technical",
    "behavioural",
    "situational",
    # Questions on this candidate's résumé: a block of their own, so that the scored core is the
    # same for everyone.
    "personal",
    "candidate_questions",
    "closing",
]


UNCOUNTED_STAGES: tuple[StageKind, ...] = ("practice", "candidate_questions", "closing")
"""Their questions are not in "question 2 of 5"."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(_Part):
    title: Text
    level: Literal["intern", "junior", "mid", "senior", "lead"]
    department: str = ""
    location: str = ""
    description: str = ""


class Requirement(_Part):
    id: Id
    text: Text
    kind: Literal["skill", "experience", "credential", "logistics", "behaviour"] = "skill"
    must_have: bool = False
    weight: float = Field(1.0, gt=0)
    keywords: tuple[Text, ...] = ()
    """Words that would show it in an answer; a keyword is never evidence by itself."""


class Competency(_Part):
    id: Id
    name: Text
    definition: Text
    weight: float = Field(1.0, gt=0)
    requirement_ids: tuple[Id, ...] = ()


class Check(_Part):
    """A yes/no statement about an answer, decided with quotes."""

    id: Id
    statement: Text
    dimension: Dimension
    points: float = Field(1.0, gt=0)


class Anchor(_Part):
    band: Literal[1, 2, 3, 4, 5]
    """1: scores 1–2 … 5: scores 9–10."""
    behaviour: Text


class Rubric(_Part):
    id: Id
    dimension: Dimension
    anchors: tuple[Anchor, ...] = Field(min_length=5, max_length=5)
    checks: tuple[Check, ...] = ()
    """Checks for every question that names this rubric."""


class Probe(_Part):
    """An approved follow-up."""

    id: Id
    trigger: Literal[
        "missing_situation",
        "missing_action",
        "missing_result",
        "vague",
        "contradiction",
        "depth",
    ]
    text: Text


class Question(_Part):
    id: Id
    type: Literal[
        "past_behaviour", "situational", "knowledge", "experience", "logistics", "open"
    ] = "open"
    text: Text
    rephrase: Text
    must_ask: bool = True
    competency_ids: tuple[Id, ...] = ()
    requirement_ids: tuple[Id, ...] = ()
    rubric_ids: tuple[Id, ...] = ()
    checks: tuple[Check, ...] = ()
    ideal_answer_points: tuple[Text, ...] = ()
    """Hidden from the candidate; the grader sees them, the interviewing model does not."""
    max_probes: int = Field(1, ge=0, le=5)
    free_probe: bool = False
    """The model may word one follow-up of its own; it counts as a probe."""
    probes: tuple[Probe, ...] = ()
    think_time_s: float = Field(3.0, ge=0, le=60)
    """Silence after the question that is nobody's failure, before the silence ladder starts."""
    soft_limit_s: float = Field(120.0, gt=0)
    """After this no further probe is asked."""
    hard_limit_s: float = Field(240.0, gt=0)
    """After this the interviewer cuts in politely and moves on."""


class Stage(_Part):
    id: Id
    kind: StageKind
    title: Text
    entry_line: str = ""
    """Said before the stage's first question."""
    scored: bool = True
    questions: tuple[Question, ...] = ()

    @model_validator(mode="after")
    def _only_job_stages_score(self) -> Stage:
        if self.scored and self.kind in ("practice", "candidate_questions", "closing"):
            raise ValueError(f"a {self.kind} stage cannot be scored; write scored: false")
        return self


class Faq(_Part):
    id: Id
    question: Text
    answer: Text


class Consent(_Part):
    version: Text
    text: Text
    recording_text: Text


class Policy(_Part):
    disclosure: Text
    """Spoken first: that this is an AI, who will read and hear the interview."""
    disclosure_version: Text
    greeting: Text
    closing_line: Text
    consent: Consent
    escalation_contact: Text
    """Said when the candidate wants a person."""
    total_time_s: float = Field(1800.0, gt=0)
    wrap_up_s: float = Field(180.0, ge=0)
    """With less than this left only must-ask questions are opened, and no probe is asked."""
    max_turns: int = Field(200, ge=5, le=1000)
    silence_ladder_s: tuple[float, float, float] = (8.0, 20.0, 40.0)
    """Seconds of silence after the think time: reassure, ask again, move on."""
    extra_time_factor: float = Field(1.5, ge=1.0, le=3.0)
    """What a candidate who asks for extra time gets."""
    forbidden_topics: tuple[Text, ...] = ()
    retention_days: int = Field(30, ge=1)


class Plan(_Part):
    """One interview for one job in one language; published plans are never edited, only
    replaced."""

    schema_version: Literal["1.0"] = "1.0"
    plan_id: Id
    version: Text
    language: Language
    title: Text
    job: Job
    terms: tuple[Text, ...] = ()
    """Names and skills that the recogniser should expect."""
    requirements: tuple[Requirement, ...] = ()
    competencies: tuple[Competency, ...] = ()
    rubrics: tuple[Rubric, ...] = ()
    dimension_weights: dict[Dimension, float] = Field(default_factory=dict)
    """Missing ones weigh 1."""
    stages: tuple[Stage, ...] = Field(min_length=1)
    faq: tuple[Faq, ...] = ()
    policy: Policy

    @property
    def hash(self) -> str:
        """SHA-256 of the plan's canonical JSON."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def questions(self) -> Iterator[Question]:
        """Every question in the plan's order."""
        for stage in self.stages:
            yield from stage.questions

    def own_questions(self) -> Iterator[Question]:
        """Those that everybody is told of and that are counted: neither practice, nor the block
        that is the candidate's."""
        for stage in self.stages:
            if stage.kind not in UNCOUNTED_STAGES:
                yield from stage.questions

    def practice_questions(self) -> Iterator[Question]:
        """Those that come before them, for practice."""
        for stage in self.stages:
            if stage.kind == "practice":
                yield from stage.questions

    def question(self, question_id: str) -> Question:
        """Raises `KeyError`."""
        for question in self.questions():
            if question.id == question_id:
                return question
        raise KeyError(question_id)

    def stage_of(self, question_id: str) -> Stage:
        """Raises `KeyError`."""
        for stage in self.stages:
            if any(question.id == question_id for question in stage.questions):
                return stage
        raise KeyError(question_id)
