"""Grading: one request a question, small yes/no checks, each with quotes that code looks up in the
transcript.

Rules that bind here:

* the grader reads the transcript of one answer, never a summary, and has no tool and no number to
  give;
* the candidate's words travel as strings of one JSON document, with what could be a special token
  escaped, so that nothing said can end its quotation;
* a quote that does not stand in the utterance it names is dropped and counted; so is one from
  elsewhere;
* a check answered yes or no of which no quote survives is undecided. A "no" needs words as much as
  a "yes": what was never touched upon is unknown, and every rating then has at least one verified
  quote;
* after three failures the question is `scoring_failed`: no number is made up.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from openai.types.shared_params.response_format_json_schema import ResponseFormatJSONSchema
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

import prompts
from agent.evidence import Said, find_quote
from agent.grades import CheckGrade, QuestionGrade, Quote, Tally, answer_hash, checks_of
from agent.guard import MAX_REASON, checked_reason
from agent.plan import DIMENSIONS, Check, Dimension, Language, Plan, Question
from agent.scoring import Verdict

logger = logging.getLogger(__name__)

TRIES = 3
MAX_ANSWER: dict[Language, int] = {"en": 24_000, "zh": 8_000}
"""Letters of one answer that are read: some 8,000 tokens, far past every hard limit of speech."""
MAX_QUOTES = 3
MAX_QUOTE = 400


class Utterance(Said, Protocol):
    """What grading needs of a transcript's utterance."""

    @property
    def speaker(self) -> str: ...


class GradingFailed(Exception):
    """No usable answer of the grader's; the message names the last failure."""


# --- what is asked --------------------------------------------------------------------------------


def escaped(document: object) -> str:
    """JSON in which no special token of a chat template can stand; it still means the same text."""
    text = json.dumps(document, ensure_ascii=False, indent=1)
    for token, harmless in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("[INST", "\\u005bINST"),
        ("[/INST", "\\u005b/INST"),
    ):
        text = text.replace(token, harmless)
    return text


@dataclass(frozen=True)
class _Heard:
    """The part of an utterance that the grader reads."""

    id: str
    speaker: str
    text: str


def _document(
    plan: Plan, question: Question, checks: Sequence[Check], exchange: Sequence[_Heard]
) -> dict[str, object]:
    return {
        "job": f"{plan.job.title} ({plan.job.level})",
        "question": question.text,
        "points_of_a_good_answer": list(question.ideal_answer_points),
        "levels": [
            {
                "dimension": rubric.dimension,
                "anchors": {str(anchor.band): anchor.behaviour for anchor in rubric.anchors},
            }
            for rubric in plan.rubrics
            if rubric.id in question.rubric_ids
        ],
        "checks": [check.model_dump(include={"id", "statement", "dimension"}) for check in checks],
        "exchange": [
            {"utterance_id": said.id, "speaker": said.speaker, "text": said.text}
            for said in exchange
        ],
    }


def dimensions_of(checks: Iterable[Check]) -> tuple[Dimension, ...]:
    asked = {check.dimension for check in checks}
    return tuple(dimension for dimension in DIMENSIONS if dimension in asked)


def response_schema(checks: Sequence[Check], utterance_ids: Sequence[str]) -> dict[str, object]:
    """The JSON Schema of the grader's answer. Quotes stand before the verdict, so that it follows
    from them.
    """
    quote = {
        "utterance_id": {"type": "string", "enum": list(utterance_ids)},
        "quote": {"type": "string", "maxLength": MAX_QUOTE},
    }
    check = {
        "id": {"type": "string", "enum": [check.id for check in checks]},
        "quotes": {"type": "array", "maxItems": MAX_QUOTES, "items": _object(quote)},
        "met": {"type": "string", "enum": ["yes", "no", "unclear"]},
    }
    reason = {"type": "string", "maxLength": MAX_REASON}
    listed = {
        "type": "array",
        "minItems": len(checks),
        "maxItems": len(checks),
        "items": _object(check),
    }
    reasons = _object(dict.fromkeys(dimensions_of(checks), reason))
    return _object({"checks": listed, "reasons": reasons})


def _object(properties: Mapping[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _first_letters(exchange: Iterable[Utterance], limit: int) -> tuple[list[_Heard], bool]:
    """The exchange's first `limit` letters, and whether any was left out."""
    kept: list[_Heard] = []
    left = limit
    for said in exchange:
        if left <= 0:
            return kept, True
        kept.append(_Heard(said.id, said.speaker, said.text[:left]))
        left -= len(said.text)
    return kept, left < 0


# --- what comes back ------------------------------------------------------------------------------


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore")  # a number nobody asked for is not read


class _Quote(_Loose):
    utterance_id: str
    quote: str


class _Check(_Loose):
    id: str
    met: Verdict
    quotes: list[_Quote]


class _Answer(_Loose):
    checks: list[_Check]
    reasons: dict[str, str]


_ANSWER: TypeAdapter[_Answer] = TypeAdapter(_Answer)


def parse_answer(content: str) -> _Answer:
    """Raises `ValueError`. Not strict about control characters: constrained decoding can let them
    through.
    """
    try:
        return _ANSWER.validate_python(json.loads(content, strict=False))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@dataclass
class _Counts:
    """The tally while it grows."""

    of: dict[str, int] = field(default_factory=dict)

    def add(self, name: str) -> None:
        self.of[name] = self.of.get(name, 0) + 1

    def tally(self) -> Tally:
        return Tally(**self.of)


def _verified(
    quotes: Iterable[_Quote], answer: Mapping[str, str], counts: _Counts
) -> tuple[Quote, ...]:
    kept: list[Quote] = []
    for given in quotes:
        text = answer.get(given.utterance_id)
        if text is None:
            counts.add("wrong_utterances")
        elif (span := find_quote(given.quote, text)) is None:
            counts.add("fabricated_quotes")
        else:
            kept.append(Quote(utterance_id=given.utterance_id, quote=text[span[0] : span[1]]))
    return tuple(dict.fromkeys(kept))[:MAX_QUOTES]


def verify(
    given: _Answer, checks: Sequence[Check], answer: Mapping[str, str], counts: _Counts
) -> tuple[CheckGrade, ...]:
    """One grade a check, in the plan's order; what the grader left out is undecided."""
    grades: dict[str, CheckGrade] = {}
    known = {check.id for check in checks}
    for one in given.checks:
        if one.id not in known:
            counts.add("unknown_checks")
        elif one.id in grades:
            counts.add("repeated_checks")
        else:
            evidence = _verified(one.quotes, answer, counts)
            if one.met != "unclear" and not evidence:
                counts.add(f"unquoted_{one.met}")
            met: Verdict = one.met if evidence else "unclear"
            grades[one.id] = CheckGrade(check_id=one.id, met=met, evidence=evidence)
    return tuple(grades.get(c.id, CheckGrade(check_id=c.id, met="unclear")) for c in checks)


def _reasons(
    given: _Answer, dimensions: Iterable[Dimension], said: Iterable[str], counts: _Counts
) -> dict[Dimension, str]:
    words = list(said)
    kept: dict[Dimension, str] = {}
    for dimension in dimensions:
        if reason := checked_reason(given.reasons.get(dimension, ""), words):
            kept[dimension] = reason
        elif given.reasons.get(dimension):
            counts.add("replaced_reasons")
    return kept


# --- the grader -----------------------------------------------------------------------------------


class Grader:
    """Asks a model of any OpenAI-compatible server. `extra_body` is where vLLM is told a lower
    priority.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        model: str,
        *,
        language: Language,
        extra_body: Mapping[str, object] | None = None,
        timeout_s: float = 120.0,
        backoff_s: float = 1.0,
        max_tokens: int = 4000,
    ) -> None:
        self._client = client.with_options(max_retries=0, timeout=timeout_s)  # tries are ours
        self._model = model
        self._language = language
        self._extra_body = extra_body
        self._timeout_s = timeout_s
        self._backoff_s = backoff_s
        self._max_tokens = max_tokens

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        """Judge one answer: `utterances` are what both said while the question was open, in order.

        Never raises for what a model or a server does: the grade then is `scoring_failed`."""
        counts = _Counts()
        candidate = [said for said in utterances if said.speaker == "candidate"]
        exchange, cut = _first_letters(utterances, MAX_ANSWER[plan.language])
        answer = {said.id: said.text for said in exchange if said.speaker == "candidate"}
        checks = checks_of(plan, question)
        grade = QuestionGrade(
            question_id=question.id,
            answer_hash=answer_hash(candidate),
            state="graded",
            judged_in_part=cut,
        )
        if not checks or not answer:
            return grade.model_copy(
                update={
                    "checks": tuple(CheckGrade(check_id=c.id, met="unclear") for c in checks),
                }
            )
        try:
            given = await self._ask(
                _document(plan, question, checks, exchange), checks, list(answer), counts
            )
        except GradingFailed as error:
            return grade.model_copy(
                update={
                    "state": "scoring_failed",
                    "failure": str(error),
                    "tally": counts.tally(),
                }
            )
        found = {
            "checks": verify(given, checks, answer, counts),
            "reasons": _reasons(given, dimensions_of(checks), answer.values(), counts),
        }
        return grade.model_copy(update={**found, "tally": counts.tally()})

    async def _ask(
        self,
        document: Mapping[str, object],
        checks: Sequence[Check],
        utterance_ids: Sequence[str],
        counts: _Counts,
    ) -> _Answer:
        schema = response_schema(checks, utterance_ids)
        failure = ""
        for attempt in range(TRIES):
            if attempt:
                counts.add("retries")
                await asyncio.sleep(self._backoff_s * attempt)
            counts.add("requests")
            try:
                async with asyncio.timeout(self._timeout_s):
                    content = await self._request(document, schema, attempt)
                return parse_answer(content)
            except (TimeoutError, openai.APITimeoutError):
                counts.add("timeouts")
                failure = f"no answer within {self._timeout_s:g} s"
            except openai.APIStatusError as error:
                counts.add("http_errors")
                failure = f"HTTP {error.status_code}"
                if 400 <= error.status_code < 500 and error.status_code not in (408, 409, 429):
                    break  # asking the same again cannot help
            except openai.OpenAIError as error:
                counts.add("http_errors")
                failure = type(error).__name__
            except (ValidationError, ValueError):
                counts.add("broken_json")
                failure = "the answer was not the JSON asked for"
            logger.warning("grading: try %d of %d failed: %s", attempt + 1, TRIES, failure)
        raise GradingFailed(failure)

    async def _request(
        self, document: Mapping[str, object], schema: dict[str, object], attempt: int
    ) -> str:
        messages: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": prompts.text(self._language, "grader")},
            {"role": "user", "content": escaped(document)},
        ]
        wanted: ResponseFormatJSONSchema = {
            "type": "json_schema",
            "json_schema": {"name": "grade", "strict": True, "schema": schema},
        }
        completion = await self._client.chat.completions.create(
            model=self._model,
            messages=messages,
            response_format=wanted,
            # The same prompt at temperature 0 would break in the same way again. No `seed`: vLLM's
            # CPU build (0.32) dies of it when a prompt is too long for one step.
            temperature=0.0 if attempt == 0 else 0.4,
            max_tokens=self._max_tokens,
            extra_body=self._extra_body,
        )
        content = completion.choices[0].message.content if completion.choices else None
        if not content:
            raise ValueError("empty answer")
        return content
