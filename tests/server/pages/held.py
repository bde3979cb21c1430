"""Interviews as they lie in the store after a call, their reports, and pages as a browser reads
them.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from argon2 import PasswordHasher

from agent.answers import Utterance
from agent.events import (
    CallJoined,
    ConsentRecorded,
    Disclosed,
    EndReason,
    Event,
    Incident,
    InterviewEnded,
    LineSpoken,
    ModelFailed,
    MoveRefused,
    QuestionAsked,
    SegmentHeard,
    TurnSettled,
)
from agent.grades import CheckGrade, QuestionGrade, Quote, answer_hash, checks_of
from agent.plan import Plan, Question
from agent.report import Provenance
from server.jobs import ReportRunner
from server.store import Store

PASSWORD = "seven blue kettles"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
OURS = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form of our own page."""
BUILT = "I built a payment system in Python for three years"
TESTED = "With a test suite that ran on every change we made"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202e evil"
BEGAN = 1000.0


class Grader:
    """Finds the first check of each dimension met, in the answer's own words."""

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        said = [one for one in utterances if one.speaker == "candidate"]
        quotes = (Quote(utterance_id=said[0].id, quote=" ".join(said[0].text.split()[:4])),)
        return QuestionGrade(
            question_id=question.id,
            answer_hash=answer_hash(said),
            state="graded",
            checks=tuple(
                CheckGrade(check_id=check.id, met="yes", evidence=quotes)
                for check in checks_of(plan, question)
            ),
        )


class Broken(Grader):
    """Its model is out of reach."""

    async def grade_question(
        self, plan: Plan, question: Question, utterances: Sequence[Utterance]
    ) -> QuestionGrade:
        said = [one for one in utterances if one.speaker == "candidate"]
        return QuestionGrade(
            question_id=question.id,
            answer_hash=answer_hash(said),
            state="scoring_failed",
            failure="HTTP 503",
        )


def asked(n: int, answer: str, wording: str, *, typed: bool = False) -> list[Event]:
    at = BEGAN + 20 * n
    source = "typed" if typed else "spoken"
    segment = {"at": at + 9, "segment_id": f"s{n}", "turn_id": f"c{n}", "text": answer}
    turn = {"at": at + 9, "turn_id": f"c{n}", "text": answer}
    when = {"t0": at + 2, "t1": at + 8, "source": source}
    return [
        QuestionAsked(at=at, reply_id=f"r{n}", question_id=f"q{n}", wording=wording),
        LineSpoken(
            at=at + 1,
            utterance_id=f"i{n}",
            reply_id=f"r{n}",
            kind="question",
            text=wording,
            question_id=f"q{n}",
            t0=at,
            t1=at + 1,
        ),
        SegmentHeard.model_validate(segment | when),
        TurnSettled.model_validate(turn | when),
    ]


async def held(
    store: Store,
    plan: Plan,
    end: EndReason | None = "completed",
    *,
    name: str = "Ada",
    answers: Sequence[str] = (BUILT, TESTED),
    typed: bool = False,
) -> str:
    """An interview with these answers, ended or not; returns its id."""
    record = await store.create_interview(plan, candidate_name=name)
    epoch = await store.take_lease(record.interview_id, "host")
    events: list[Event] = [
        Disclosed(at=BEGAN - 9, version="1", method="page"),
        ConsentRecorded(at=BEGAN - 8, interview=True, recording=True, version="1", method="click"),
        CallJoined(at=BEGAN, channel="web", epoch=epoch),
    ]
    for n, (answer, question) in enumerate(zip(answers, plan.questions(), strict=False), 1):
        events += asked(n, answer, question.text, typed=typed)
    events += [
        MoveRefused(at=BEGAN + 50, turn_id="c1", move="skip_question", reason="skip_not_asked_for"),
        ModelFailed(at=BEGAN + 51, turn_id="c1", reason="no token in 5 s"),
        Incident(at=BEGAN + 52, kind="voice_changed", detail="espeak: the network is gone"),
    ]
    if end:
        events.append(InterviewEnded(at=BEGAN + 60, reason=end))
    await store.append(record.interview_id, epoch, events)
    return record.interview_id


async def graded(store: Store, grader: Grader | None = None) -> None:
    """Every report that waits is made."""

    def provenance(plan: Plan, events: Sequence[Event], log_hash: str) -> Provenance:
        return Provenance(event_log_hash=log_hash, prompt_hashes={"grader.md": "0" * 64})

    made_by = grader or Grader()
    await ReportRunner(store, lambda plan: made_by, provenance, owner="here").catch_up()


class Recorded:
    """A port of recordings with one file, whose sound began five seconds before the interview."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "sound.wav"
        self.erased: list[str] = []
        with wave.open(str(self.file), "wb") as out:
            out.setnchannels(2)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(bytes(8000 * 4 * 70))

    async def audio(self, interview_id: str) -> Path | None:
        return None if interview_id in self.erased else self.file

    async def started_at(self, interview_id: str) -> float | None:
        return None if interview_id in self.erased else BEGAN - 5

    async def erase(self, interview_id: str) -> None:
        self.erased.append(interview_id)


class Page(HTMLParser):
    """A page as a browser reads it: its elements, and nothing that is only text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.text += " " * (tag in ("dd", "td", "th", "li", "p", "option"))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        """Elements with a tag and these attributes; `class_` holds one of the classes."""
        found = [attrs for name, attrs in self.elements if name == tag]
        wanted = attributes.pop("class_", None)
        if wanted:
            found = [one for one in found if wanted in one.get("class", "").split()]
        return [
            one
            for one in found
            if all(one.get(name.replace("_", "-")) == value for name, value in attributes.items())
        ]

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag, _ in self.elements if tag in ("h1", "h2", "h3", "h4")]


def words_of(page: str) -> str:
    """All that stands on a page, in one line."""
    return " ".join(Page(page).text.split())


def loads(text: str) -> dict[str, object]:
    found = json.loads(text)
    assert isinstance(found, dict)
    return found
