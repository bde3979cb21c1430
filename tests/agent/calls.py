"""A small plan, and a call that plays what the session would."""

from __future__ import annotations

from typing import Any

import prompts
from agent.events import (
    CallJoined,
    ConsentRecorded,
    Disclosed,
    Event,
    InterviewCreated,
    InterviewEnded,
    LineSpoken,
    MoveHeard,
    RequestMade,
    SegmentHeard,
    TurnSettled,
)
from agent.interview import Interview, Reply
from agent.moves import Move
from agent.plan import Plan

START = 1_800_000_000.0


def anchors() -> list[dict[str, Any]]:
    return [{"band": band, "behaviour": f"Behaviour of band {band}."} for band in range(1, 6)]


def small_plan(**policy: Any) -> Plan:
    """Practice, two stages of questions, the candidate's questions, closing."""

    def question(question_id: str, **facts: Any) -> dict[str, Any]:
        text = f"What about {question_id}?"
        return {"id": question_id, "text": text, "rephrase": f"Tell me of {question_id}."} | facts

    deep = {
        "max_probes": 2,
        "free_probe": True,
        "probes": [
            {"id": "deep_why", "trigger": "depth", "text": "Why was that?"},
            {"id": "deep_result", "trigger": "missing_result", "text": "What came of it?"},
        ],
    }
    team = {
        "max_probes": 1,
        "probes": [{"id": "team_role", "trigger": "vague", "text": "What was your part?"}],
    }
    stages = [
        {
            "id": "practice",
            "kind": "practice",
            "title": "Practice",
            "scored": False,
            "questions": [question("weather", max_probes=0)],
        },
        {
            "id": "technical",
            "kind": "technical",
            "title": "Technical",
            "entry_line": "Now to your work.",
            "questions": [question("deep", **deep), question("nice", must_ask=False, max_probes=0)],
        },
        {
            "id": "people",
            "kind": "behavioural",
            "title": "People",
            "entry_line": "Now to people.",
            "questions": [question("team", **team), question("start", max_probes=0)],
        },
        {
            "id": "yours",
            "kind": "candidate_questions",
            "title": "Yours",
            "scored": False,
            "questions": [question("yours", max_probes=0)],
        },
        {"id": "closing", "kind": "closing", "title": "Closing", "scored": False},
    ]
    return Plan.model_validate(
        {
            "plan_id": "small",
            "version": "1",
            "language": "en",
            "title": "Small",
            "job": {"title": "Engineer", "level": "mid"},
            "stages": stages,
            "faq": [{"id": "pay", "question": "What is the pay?", "answer": "It is in the ad."}],
            "policy": {
                "disclosure": "I am an AI.",
                "disclosure_version": "d1",
                "greeting": "Welcome.",
                "closing_line": "That was all. Goodbye.",
                "consent": {"version": "c1", "text": "Consent.", "recording_text": "Recording."},
                "escalation_contact": "hr@example.org",
                "total_time_s": 900,
                "wrap_up_s": 90,
                "max_turns": 60,
            }
            | policy,
        }
    )


class Call:
    """Plays the session's part: writes events in the order in which it would, and keeps the log."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.interview = Interview(plan, prompts.lines(plan.language))
        self.log: list[Event] = []
        self.at = START
        self._replies = 0
        self._lines = 0
        self._segments = 0

    def apply(self, event: Event) -> None:
        self.interview.apply(event)
        self.log.append(event)

    def create(self, *, page: bool = True, consent: bool = True, time_factor: float = 1.0) -> None:
        plan = self.plan
        self.apply(
            InterviewCreated(
                at=self.at,
                interview_id="one",
                plan_id=plan.plan_id,
                plan_version=plan.version,
                plan_hash=plan.hash,
                language=plan.language,
                time_factor=time_factor,
            )
        )
        if page:
            self.apply(Disclosed(at=self.at, version="d1", method="page"))
        self.apply(
            ConsentRecorded(
                at=self.at, interview=consent, recording=False, version="c1", method="click"
            )
        )

    def join(self, epoch: int = 1) -> None:
        self.apply(CallJoined(at=self.at, channel="web", epoch=epoch))

    def begin(self, **facts: Any) -> None:
        """Create, join and hear the opening."""
        self.create(**facts)
        self.join()
        self.say(self.interview.opening(self.at))

    def hears(self, text: str, verdict: Any = "ok") -> None:
        self._segments += 1
        self.apply(
            SegmentHeard(
                at=self.at,
                segment_id=f"s{self._segments}",
                turn_id=self.interview.turn_id,
                text=text,
                t0=self.at - 2,
                t1=self.at,
                verdict=verdict,
            )
        )

    def settles(self, text: str) -> str:
        """The candidate has said this and is done; the turn's id."""
        turn_id = self.interview.turn_id
        self.at += 5
        self.apply(TurnSettled(at=self.at, turn_id=turn_id, text=text, t0=self.at - 5, t1=self.at))
        return turn_id

    def presses(self, request: Any) -> None:
        self.apply(RequestMade(at=self.at, request=request))

    @property
    def last_reply(self) -> str:
        return f"r{self._replies}"

    def say(self, reply: Reply, turn_id: str | None = None, *, sounding: int = 99) -> list[str]:
        """`sounding` parts of the reply sound, the acknowledgement included; what was heard."""
        self._replies += 1
        reply_id = self.last_reply
        heard: list[str] = []
        if reply.move is not None and (sounding or not (reply.acknowledgement or reply.lines)):
            self.apply(
                MoveHeard(
                    at=self.at,
                    reply_id=reply_id,
                    turn_id=turn_id,
                    move=reply.move,
                    scripted=reply.scripted,
                )
            )
        if reply.acknowledgement and sounding:
            heard.append(reply.acknowledgement)
            sounding -= 1
        for line in reply.lines[:sounding]:
            event = self.interview.event_for(line, reply_id, self.at)
            if event is not None:
                self.apply(event)
            self._lines += 1
            spoken = LineSpoken(
                at=self.at,
                utterance_id=f"i{self._lines}",
                reply_id=reply_id,
                kind=line.kind,
                text=line.text,
                question_id=line.question_id,
                t0=self.at,
                t1=self.at,
            )
            self.apply(spoken)
            after = self.interview.event_after(spoken)
            if after is not None:
                self.apply(after)
            heard.append(line.text)
            if line.ends:
                self.apply(InterviewEnded(at=self.at, reason=line.ends))
        return heard

    def decide(self, move: Move | None = None, *, sounding: int = 99) -> list[str]:
        """Reply to the settled turn with this move, or the machine's own."""
        settled = self.interview.settled
        move = move or self.interview.default(self.at)
        reply = self.interview.reply(move, self.at)
        return self.say(reply, settled.turn_id if settled else None, sounding=sounding)

    def turn(self, text: str, move: Move | None = None) -> list[str]:
        self.settles(text)
        return self.decide(move)

    def to(self, question_id: str) -> None:
        """Answer until this question is open."""
        while (question := self.interview.open_question) and question.id != question_id:
            self.turn("I built a thing and it worked well.")

    def replayed(self) -> Interview:
        return Interview(self.plan, prompts.lines(self.plan.language), self.log)
