"""Report 1.0: what one interview comes to. The shape only; `agent.report` builds it.

Rules that bind here, and that validation enforces:

* a rating with a score has at least one verified quote; one without a score has a reason;
* what was not asked, declined or not scorable is a state, never a low score;
* `scoring_failed`, `declined_ai` and `withdrawn` carry no number at all;
* no field exists for emotion, accent, fluency, voice, looks or anything else about the person;
* the human's decision stands beside the machine's suggestion and is never filled in by code.

Times named `t0`, `t1` or `at` are seconds since the interview's start (`conduct.started_at`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agent.events import EndReason, Suggestion
from agent.grades import Tally
from agent.plan import DIMENSIONS, Dimension, Language
from agent.scoring import Verdict

REPORT_SCHEMA_VERSION = "1.0"
Status = Literal[
    "complete", "partial", "technical_failure", "declined_ai", "withdrawn", "scoring_failed"
]
UNSCORED: tuple[Status, ...] = ("scoring_failed", "declined_ai", "withdrawn")
AnswerState = Literal["answered", "partly", "declined", "not_asked", "not_scorable"]
RequirementStatus = Literal["met", "partly", "not_met", "not_probed", "unclear"]
Score = Annotated[int, Field(ge=1, le=10)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Evidence(_Part):
    """A verbatim quote, looked up by code in the utterance it names."""

    utterance_id: str
    quote: str = Field(min_length=1)
    verified: Literal[True] = True
    t0: float
    """When its first word was said."""


class CheckResult(_Part):
    check_id: str
    statement: str
    points: float
    met: Verdict
    """`unclear`: undecided, also for want of a verified quote."""
    evidence: tuple[Evidence, ...] = ()


class Points(_Part):
    total: float
    decided: float
    met: float


class Rating(_Part):
    """One dimension, over the whole interview."""

    score: Score | None = None
    band: Annotated[int, Field(ge=1, le=5)] | None = None
    """The rubric's anchor: ceil(score / 2)."""
    reason: str = Field(min_length=1)
    evidence: tuple[Evidence, ...] = ()
    points: Points = Points(total=0, decided=0, met=0)
    spread: float | None = None
    """Of repeated gradings; null while there was one."""

    @model_validator(mode="after")
    def _no_score_without_evidence(self) -> Self:
        if self.score is not None and not self.evidence:
            raise ValueError("a score needs at least one verified quote")
        return self


class AnswerRating(Rating):
    """One dimension of one answer."""

    checks: tuple[CheckResult, ...] = ()


class Ratings(_Part):
    technical_skill: Rating
    clarity: Rating
    """Structure and specificity that can be seen in the text; nothing of the manner of speech."""
    problem_solving: Rating
    logic: Rating
    completeness: Rating
    relevance: Rating

    def each(self) -> Iterator[tuple[Dimension, Rating]]:
        for dimension in DIMENSIONS:
            yield dimension, getattr(self, dimension)


class AnswerRatings(Ratings):
    technical_skill: AnswerRating
    clarity: AnswerRating
    """Structure and specificity that can be seen in the text; nothing of the manner of speech."""
    problem_solving: AnswerRating
    logic: AnswerRating
    completeness: AnswerRating
    relevance: AnswerRating


class Answer(_Part):
    question_id: str
    stage_id: str
    question: str
    must_ask: bool
    scored: bool
    in_core: bool
    """Counts towards the overall numbers: scored, and asked of every candidate alike."""
    state: AnswerState
    reason: str
    """Why it is in this state."""
    utterance_ids: tuple[str, ...] = ()
    confidence: Share | None = None
    """The recogniser's, over the answer's words; null without words."""
    ratings: AnswerRatings
    flags: tuple[Literal["addresses_the_grader", "judged_in_part", "scoring_failed"], ...] = ()
    """For a human's eyes; none of them changes a number."""


class Utterance(_Part):
    id: str
    speaker: Literal["candidate", "interviewer"]
    kind: str
    question_id: str | None = None
    text: str
    t0: float
    t1: float
    source: Literal["spoken", "typed"] = "spoken"
    confidence: Share | None = None
    interrupted: bool = False
    correction: str | None = None
    """What the candidate wrote beside it after the call; it was not graded."""


class RequirementResult(_Part):
    requirement_id: str
    text: str
    must_have: bool
    weight: float
    status: RequirementStatus
    reason: str
    question_ids: tuple[str, ...] = ()
    """Asked questions that probe it."""
    evidence: tuple[Evidence, ...] = ()

    @model_validator(mode="after")
    def _no_status_without_evidence(self) -> Self:
        if self.status in ("met", "partly", "not_met") and not self.evidence:
            raise ValueError("a requirement is met or missed only with evidence")
        return self


class KeywordMatch(_Part):
    keyword: str
    evidence: tuple[Evidence, ...] = Field(min_length=1)


class Keywords(_Part):
    """Words said; a keyword is never evidence of a skill by itself."""

    matched: tuple[KeywordMatch, ...] = ()
    missing: tuple[str, ...] = ()
    """Its requirement was probed and the word was not said."""
    not_probed: tuple[str, ...] = ()
    extra: tuple[KeywordMatch, ...] = ()
    """Terms of the plan that were said and belong to no requirement."""


class JobMatch(_Part):
    requirements: tuple[RequirementResult, ...] = ()
    keywords: Keywords = Keywords()
    match_of_probed: Share | None = None
    """By weight, met as 1 and partly as a half, over the requirements that could be decided."""


class CandidateQuestion(_Part):
    utterance_id: str | None
    text: str
    answered_from: str | None
    """An id of the plan's FAQ, or a general answer's name; null: it was passed on."""
    needs_reply: bool


class StageRecord(_Part):
    stage_id: str
    entered_at: float | None = None
    left_at: float | None = None
    outcome: Literal["finished", "cut_short", "not_reached"]


class Coverage(_Part):
    must_ask_total: int
    asked: int
    answered: int
    scorable: int
    share_asked: Share


class Fidelity(_Part):
    """How one question was put."""

    question_id: str
    asked_verbatim: bool
    """In its approved wording."""
    heard_whole: bool
    """No line of it was cut off, or a repeat was heard to its end."""
    similarity: Share
    """Of the approved wording to what was heard of it."""
    probes_used: int
    probes_allowed: int
    repeats: int
    order_ok: bool
    """In the plan's order, and once."""


class Percentiles(_Part):
    p50: float | None = None
    p95: float | None = None
    n: int = 0


class Latency(_Part):
    """Milliseconds."""

    gap_ms: Percentiles
    """From the end of the candidate's speech to the first sound of the reply."""
    end_of_turn_ms: Percentiles
    """From the end of speech to the decision that the turn is over."""
    reply_ms: Percentiles
    """From that decision to the first sound."""


class ScriptedTurn(_Part):
    turn_id: str | None
    move: str
    reason: str


class RefusedMove(_Part):
    turn_id: str
    move: str
    reason: str


class ModelFailure(_Part):
    turn_id: str
    reason: str


class IncidentRecord(_Part):
    at: float
    kind: str
    detail: str = ""


class Conduct(_Part):
    started_at: datetime | None = None
    ended_at: datetime | None = None
    duration_s: float = 0.0
    stages: tuple[StageRecord, ...] = ()
    coverage: Coverage
    fidelity: tuple[Fidelity, ...] = ()
    latency: Latency
    talk_ratio: Share | None = None
    """The candidate's share of the time in which somebody spoke; null if nobody did."""
    interruptions: int = 0
    """The interviewer's lines that the candidate cut off."""
    reconnects: int = 0
    scripted_turns: tuple[ScriptedTurn, ...] = ()
    refused_moves: tuple[RefusedMove, ...] = ()
    model_failures: tuple[ModelFailure, ...] = ()
    incidents: tuple[IncidentRecord, ...] = ()


class AudioQuality(_Part):
    verdict: Literal["good", "fair", "poor", "no_speech", "unmeasured"]
    """`unmeasured`: the recogniser gave no confidence."""
    mean_confidence: Share | None = None
    low_confidence_share: Share | None = None
    """Of spoken segments that held words."""
    spoken_segments: int = 0
    typed_segments: int = 0
    dropped_segments: int = 0
    """Heard, and held to be no words."""
    failed_segments: int = 0
    """Could not be recognised: words may be missing."""
    packets: int = 0
    packets_lost: int = 0
    packets_recovered: int = 0
    concealed_s: float = 0.0


class Consents(_Part):
    disclosure_version: str | None = None
    disclosed_at: datetime | None = None
    disclosure_method: str | None = None
    interview: bool | None = None
    """Null: never asked or never answered."""
    recording: bool | None = None
    version: str | None = None
    consent_at: datetime | None = None
    method: Literal["click", "spoken", "typed", "key"] | None = None
    recording_method: Literal["spoken", "key"] | None = None
    """Where the recording was asked for by itself, as by telephone; null: as `method`."""
    accommodations_applied: tuple[str, ...] = ()


class ModelUsed(_Part):
    role: Literal["interviewer", "grader", "asr", "tts", "vad", "turn_detector"]
    name: str
    revision: str | None = None
    quantisation: str | None = None


class Provenance(_Part):
    """What made the report: given by the server, written down as it is."""

    models: tuple[ModelUsed, ...] = ()
    mode: Literal["tools", "json_schema"] | None = None
    """How the interviewing model was asked for its moves."""
    stand_ins: tuple[str, ...] = ()
    """Parts that stood in for real ones; a report with any is a rehearsal."""
    prompt_hashes: dict[str, str] = {}
    code_version: str = ""
    seed: int | None = None
    event_log_hash: str | None = None
    """The hash chain's last link."""


class PlanRef(_Part):
    plan_id: str
    version: str
    hash: str
    """SHA-256 of the plan's canonical JSON."""
    job_title: str


class Candidate(_Part):
    name: str = ""


class Revision(_Part):
    revision: int
    generated_at: datetime
    reason: str


class CompetencyResult(_Part):
    competency_id: str
    name: str
    score: Score | None = None
    reason: str
    evidence: tuple[Evidence, ...] = ()


class Competencies(_Part):
    results: tuple[CompetencyResult, ...] | None = None
    reason: str
    """Why there are none."""


class Grading(_Part):
    runs: int = 1
    spread: float | None = None
    spread_reason: str
    """Why there is no spread."""
    tally: Tally = Tally()
    failed_questions: tuple[str, ...] = ()
    """Scorable answers that could not be graded."""


class Finding(_Part):
    """A strength or a concern: one check of the plan, with its quotes."""

    question_id: str
    dimension: Dimension
    text: str
    evidence: tuple[Evidence, ...] = Field(min_length=1)


class Overall(_Part):
    score: Score | None = None
    band: Annotated[int, Field(ge=1, le=5)] | None = None
    share: Share | None = None
    """p, before it was rounded to a score."""
    reason: str
    formula: str
    weights: dict[Dimension, float] = {}
    dimensions: Ratings
    overall_remark: str
    strengths: tuple[Finding, ...] = ()
    concerns: tuple[Finding, ...] = ()
    follow_up_for_human: tuple[str, ...] = ()


class HumanDecision(_Part):
    """The last decision that a person recorded; code never fills it in."""

    value: Suggestion
    by: str
    at: datetime
    reason: str = ""


class Report(_Part):
    """One interview, one revision."""

    schema_version: Literal["1.0"] = "1.0"
    report_id: str
    interview_id: str | None
    """Null only if the log does not hold even the interview's creation."""
    revision: int = Field(ge=1)
    generated_at: datetime
    status: Status
    status_reason: str
    end_reason: EndReason | None = None
    """Null: the interview has not ended."""
    language: Language
    channels: tuple[Literal["web", "phone", "text"], ...] = ()
    rehearsal: bool
    """Stand-ins took part, or it was declared one: it decides nothing."""
    candidate: Candidate
    plan: PlanRef
    provenance: Provenance
    consents: Consents
    conduct: Conduct
    audio_quality: AudioQuality
    transcript: tuple[Utterance, ...] = ()
    answers: tuple[Answer, ...] = ()
    job_match: JobMatch
    competencies: Competencies
    candidate_questions: tuple[CandidateQuestion, ...] = ()
    overall: Overall
    grading: Grading
    ai_suggestion: Suggestion = "no_decision"
    human_decision: HumanDecision | None = None
    revisions: tuple[Revision, ...] = ()
    """This one last."""

    @model_validator(mode="after")
    def _no_number_where_nothing_may_be_scored(self) -> Self:
        if self.status in UNSCORED and any(rating.score is not None for rating in self.ratings()):
            raise ValueError(f"a report with status {self.status} carries no number")
        if self.status in UNSCORED and self.overall.score is not None:
            raise ValueError(f"a report with status {self.status} carries no overall number")
        return self

    @model_validator(mode="after")
    def _every_quote_stands(self) -> Self:
        said: dict[str, list[str]] = {}
        for utterance in self.transcript:
            if utterance.speaker == "candidate":
                said.setdefault(utterance.id, []).append(utterance.text)
        for one in self.evidence():
            if not any(one.quote in text for text in said.get(one.utterance_id, ())):
                raise ValueError(f"a quote does not stand in utterance {one.utterance_id}")
        return self

    def ratings(self) -> Iterator[Rating]:
        """Every rating, overall and per answer."""
        for ratings in (self.overall.dimensions, *(answer.ratings for answer in self.answers)):
            yield from (rating for _, rating in ratings.each())

    def evidence(self) -> Iterator[Evidence]:
        """Every quote in the report."""
        for rating in self.ratings():
            yield from rating.evidence
            if isinstance(rating, AnswerRating):
                yield from (quote for check in rating.checks for quote in check.evidence)
        for finding in (*self.overall.strengths, *self.overall.concerns):
            yield from finding.evidence
        for requirement in self.job_match.requirements:
            yield from requirement.evidence
        for match in (*self.job_match.keywords.matched, *self.job_match.keywords.extra):
            yield from match.evidence


def schema() -> dict[str, object]:
    """The published JSON Schema (`docs/report.schema.json`)."""
    made = Report.model_json_schema(mode="serialization")
    for name in ("Rating", "AnswerRating"):
        made["$defs"][name]["anyOf"] = [
            {"properties": {"score": {"type": "null"}}},
            {"properties": {"evidence": {"minItems": 1}}},
        ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:viva:report:{REPORT_SCHEMA_VERSION}",
        **made,
        "title": "Viva interview report",
    }
