"""What the report's page shows that stands in no field: pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agent.plan import Dimension, Plan
from agent.report_schema import UNSCORED, Answer, AnswerRating, Evidence, Report, Utterance


@dataclass(frozen=True)
class Passage:
    """One utterance of the transcript."""

    anchor: str
    said: Utterance
    parts: tuple[tuple[str, bool], ...]
    """Its words in order; true where a score quotes them."""


class ReportView:
    """A report, and when its recording began (Unix seconds; None: there is none)."""

    def __init__(self, report: Report, recorded_from: float | None) -> None:
        self._report = report
        self._offset: float | None = None
        if recorded_from is not None and report.conduct.started_at is not None:
            self._offset = report.conduct.started_at.timestamp() - recorded_from
        self._typed = {one.id for one in report.transcript if one.source == "typed"}
        self.passages = tuple(self._passages())
        self.ids = {one.id for one in report.transcript}
        self.unscored = report.status in UNSCORED

    def anchor(self, utterance_id: str) -> str:
        """The id of an utterance on the page."""
        return f"u-{utterance_id}"

    def heard_at(self, utterance_id: str, t0: float) -> float | None:
        """Where in the recording it can be heard, in seconds; what was typed cannot."""
        if self._offset is None or utterance_id in self._typed:
            return None
        return max(round(t0 + self._offset, 2), 0.0)

    @property
    def has_audio(self) -> bool:
        return self._offset is not None

    def rated(self, answer: Answer) -> list[tuple[Dimension, AnswerRating]]:
        """Dimensions with a score, or with checks that say why there is none."""
        return [(name, one) for name, one in _each(answer) if one.score is not None or one.checks]

    def unrated(self, answer: Answer) -> list[tuple[Dimension, AnswerRating]]:
        return [(name, one) for name, one in _each(answer) if one.score is None and not one.checks]

    def faq(self, plan: Plan, answered_from: str | None) -> str:
        """The question of the plan's FAQ that was answered."""
        return next((one.question for one in plan.faq if one.id == answered_from), "")

    def stage(self, plan: Plan, stage_id: str) -> str:
        return next((one.title for one in plan.stages if one.id == stage_id), stage_id)

    @property
    def not_asked(self) -> list[Answer]:
        return [one for one in self._report.answers if one.state == "not_asked"]

    def loose(self, rating: AnswerRating) -> list[Evidence]:
        """Quotes of a rating that stand under none of its checks."""
        under = {(e.utterance_id, e.quote) for check in rating.checks for e in check.evidence}
        return [one for one in rating.evidence if (one.utterance_id, one.quote) not in under]

    def _passages(self) -> Iterator[Passage]:
        quotes: dict[str, set[str]] = {}
        words = self._report.job_match.keywords
        # A keyword alone is no evidence; marked, it would look like some.
        aside = {id(e) for match in (*words.matched, *words.extra) for e in match.evidence}
        for one in (e for e in self._report.evidence() if id(e) not in aside):
            quotes.setdefault(one.utterance_id, set()).add(one.quote)
        seen: dict[str, int] = {}
        for said in self._report.transcript:
            seen[said.id] = seen.get(said.id, 0) + 1
            again = f"-{seen[said.id]}" if seen[said.id] > 1 else ""
            mine = quotes.get(said.id, set()) if said.speaker == "candidate" else set()
            yield Passage(self.anchor(said.id) + again, said, marked(said.text, mine))


def _each(answer: Answer) -> Iterator[tuple[Dimension, AnswerRating]]:
    for name, rating in answer.ratings.each():
        assert isinstance(rating, AnswerRating)
        yield name, rating


def marked(text: str, quotes: set[str]) -> tuple[tuple[str, bool], ...]:
    """The text cut where a quote begins or ends; quotes that overlap are one."""
    covered = [False] * len(text)
    for quote in quotes:
        at = text.find(quote)
        while quote and at >= 0:
            covered[at : at + len(quote)] = [True] * len(quote)
            at = text.find(quote, at + 1)
    parts: list[tuple[str, bool]] = []
    begin = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or covered[end] != covered[begin]:
            parts.append((text[begin:end], covered[begin]))
            begin = end
    return tuple(parts)
