"""A small plan and a log of an interview over it, for the tests of grading and of the report."""

from __future__ import annotations

from agent import events as ev
from agent import moves
from agent.plan import Plan
from agent.transcript import Utterance, transcript_of

START = 1_760_000_000.0
ANCHORS = [{"band": band, "behaviour": f"Level {band}."} for band in range(1, 6)]


def check(id: str, dimension: str, points: float = 1.0) -> dict[str, object]:
    return {
        "id": id,
        "statement": f"It is so: {id}.",
        "dimension": dimension,
        "points": points,
    }


def question(id: str, *checks: dict[str, object], **more: object) -> dict[str, object]:
    return {
        "id": id,
        "text": f"What about {id}?",
        "rephrase": f"And {id}?",
        "checks": list(checks),
        **more,
    }


def a_plan(language: str = "en", **more: object) -> Plan:
    stages = [
        {
            "id": "practice",
            "kind": "practice",
            "title": "Practice",
            "scored": False,
            "questions": [question("warm_up")],
        },
        {
            "id": "work",
            "kind": "technical",
            "title": "Work",
            "questions": [
                question(
                    "python",
                    check("daily", "technical_skill", 2.0),
                    check("built", "completeness"),
                    check("number", "clarity"),
                    requirement_ids=["python"],
                    rubric_ids=["technical"],
                    ideal_answer_points=["Names what was built"],
                ),
                question(
                    "outage",
                    check("cause", "problem_solving"),
                    check("order", "logic"),
                    check("topic", "relevance"),
                    requirement_ids=["operations"],
                    max_probes=2,
                ),
                question("kafka", check("kafka", "technical_skill"), requirement_ids=["kafka"]),
                question("weakness", check("named", "clarity"), must_ask=False),
            ],
        },
        {
            "id": "resume",
            "kind": "personal",
            "title": "Your work so far",
            "questions": [question("thesis", check("thesis", "technical_skill"), must_ask=False)],
        },
        {
            "id": "questions",
            "kind": "candidate_questions",
            "title": "Your questions",
            "scored": False,
            "questions": [question("yours")],
        },
        {"id": "closing", "kind": "closing", "title": "Closing", "scored": False},
    ]
    return Plan.model_validate(
        {
            "plan_id": "backend",
            "version": "3",
            "language": language,
            "title": "Backend",
            "job": {"title": "Engineer", "level": "mid"},
            "terms": ["Postgres", "Redis", "Kafka"],
            "requirements": [
                {
                    "id": "python",
                    "text": "Python",
                    "must_have": True,
                    "weight": 2,
                    "keywords": ["Python", "pytest"],
                },
                {"id": "operations", "text": "Runs services", "keywords": ["rollback"]},
                {"id": "kafka", "text": "Kafka", "must_have": True, "keywords": ["Kafka"]},
            ],
            "rubrics": [
                {
                    "id": "technical",
                    "dimension": "technical_skill",
                    "anchors": ANCHORS,
                    "checks": [check("depth", "technical_skill")],
                }
            ],
            "stages": stages,
            "faq": [{"id": "team", "question": "How large is the team?", "answer": "Seven."}],
            "policy": {
                "disclosure": "I am an AI.",
                "disclosure_version": "d1",
                "greeting": "Hello.",
                "closing_line": "Goodbye.",
                "consent": {"version": "c1", "text": "Yes?", "recording_text": "Recorded?"},
                "escalation_contact": "Ask for Emma.",
            },
            **more,
        }
    )


class Log:
    """Writes a log the way a call does, a step at a time."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.at = START
        self.events: list[ev.Event] = []
        self._turns = self._lines = self._replies = 0
        self._undecided: str | None = None

    def _now(self, seconds: float = 0.5) -> float:
        self.at += seconds
        return self.at

    def add(self, event: ev.Event) -> Log:
        self.events.append(event)
        return self

    def begin(self, *, rehearsal: bool = False, channel: str = "web") -> Log:
        self.add(
            ev.InterviewCreated(
                at=START - 3600,
                interview_id="iv1",
                plan_id=self.plan.plan_id,
                plan_version=self.plan.version,
                plan_hash=self.plan.hash,
                language=self.plan.language,
                candidate_name="Ada",
                rehearsal=rehearsal,
            )
        )
        self.add(ev.Disclosed(at=START - 60, version="d1", method="page"))
        consent = {"interview": True, "recording": False, "version": "c1", "method": "click"}
        self.add(ev.ConsentRecorded.model_validate({"at": START - 50, **consent}))
        self.add(ev.CallJoined.model_validate({"at": START, "channel": channel, "epoch": 1}))
        return self.line("disclosure", "I am an AI.")

    def line(
        self, kind: str, text: str, question_id: str | None = None, interrupted: bool = False
    ) -> Log:
        self._lines += 1
        t0 = self._now()
        return self.add(
            ev.LineSpoken.model_validate(
                {
                    "at": self._now(2.0),
                    "utterance_id": f"i{self._lines}",
                    "reply_id": f"r{self._replies}",
                    "kind": kind,
                    "text": text,
                    "interrupted": interrupted,
                    "question_id": question_id,
                    "t0": t0,
                    "t1": self.at,
                }
            )
        )

    def move(self, move: moves.Move, *, scripted: ev.Scripted | None = None) -> Log:
        self._replies += 1
        turn_id, self._undecided = self._undecided, None
        return self.add(
            ev.MoveHeard(
                at=self._now(),
                reply_id=f"r{self._replies}",
                turn_id=turn_id,
                move=move,
                scripted=scripted,
                reply_delay=0.3,
            )
        )

    def ask(self, question_id: str, **options: bool) -> Log:
        wording = self.plan.question(question_id).text
        self.move(moves.NextQuestion())
        self.add(
            ev.QuestionAsked(
                at=self._now(0.1),
                reply_id=f"r{self._replies}",
                question_id=question_id,
                wording=wording,
            )
        )
        return self.line("question", wording, question_id, **options)

    def segment(
        self, text: str, *, confidence: float = 0.9, typed: bool = False, verdict: str = "ok"
    ) -> Log:
        t0 = self._now()
        words = [] if typed else text.split()
        return self.add(
            ev.SegmentHeard.model_validate(
                {
                    "at": self._now(0.4 * len(words) + 0.1),
                    "segment_id": f"s{len(self.events)}",
                    "turn_id": f"c{self._turns + 1}",
                    "text": text,
                    "t0": t0,
                    "t1": self.at,
                    "source": "typed" if typed else "spoken",
                    "confidence": 1.0 if typed else confidence,
                    "verdict": verdict,
                    "words": [
                        {
                            "text": f" {word}",
                            "t0": t0 + 0.4 * n,
                            "t1": t0 + 0.4 * n + 0.3,
                            "probability": confidence,
                        }
                        for n, word in enumerate(words)
                    ],
                }
            )
        )

    def settle(self, *, typed: bool = False) -> Log:
        turn_id = f"c{self._turns + 1}"
        parts = [e for e in self.events if isinstance(e, ev.SegmentHeard) and e.turn_id == turn_id]
        self._turns += 1
        self._undecided = turn_id
        return self.add(
            ev.TurnSettled.model_validate(
                {
                    "at": self._now(0.4),
                    "turn_id": turn_id,
                    "text": " ".join(part.text for part in parts if part.verdict == "ok"),
                    "t0": parts[0].t0 if parts else self.at,
                    "t1": parts[-1].t1 if parts else self.at,
                    "source": "typed" if typed else "spoken",
                    "end_of_turn_delay": 0.5,
                }
            )
        )

    def say(self, text: str, *, confidence: float = 0.9, typed: bool = False) -> Log:
        return self.segment(text, confidence=confidence, typed=typed).settle(typed=typed)

    def end(self, reason: ev.EndReason = "completed") -> Log:
        if reason == "completed":
            self.line("closing", self.plan.policy.closing_line)
        return self.add(ev.InterviewEnded(at=self._now(), reason=reason))


PYTHON = "I used Python every day and built a billing service with Postgres that served 200 shops."
OUTAGE = "The disk was full, so I did a rollback and then wrote an alarm."


def a_whole_interview(plan: Plan, *, rehearsal: bool = False) -> Log:
    """Everything that a log can hold: a refusal, a stall, a rejoin, a skip, a candidate's
    question.
    """
    log = Log(plan).begin(rehearsal=rehearsal)
    log.ask("warm_up").say("I like tea.", typed=True)
    log.ask("python", interrupted=True)
    first, second = PYTHON.split(" and ")
    log.segment(first)
    log.add(ev.CallLeft(at=log.at, reason="dropped"))
    log.add(ev.Incident(at=log.at, kind="no_audio", detail="2 s"))
    log.add(ev.CallJoined(at=log.at + 3, channel="web", epoch=2))
    log.segment(f"and {second}").settle()
    log.add(ev.MoveRefused(at=log.at, turn_id="c2", move="skip_question", reason="not asked for"))
    log.ask("outage").say("Could you repeat that?")
    log.move(moves.RepeatQuestion())
    log.add(
        ev.QuestionRepeated(
            at=log.at, reply_id="r9", question_id="outage", wording=plan.question("outage").text
        )
    )
    log.line("repeat", plan.question("outage").text, "outage")
    log.say(OUTAGE)
    log.add(ev.ModelFailed(at=log.at, turn_id="c4", reason="no token in 5 s"))
    log.ask("kafka").say("I would like to skip this one.")
    log.move(moves.SkipQuestion(reason="asked"), scripted="model_stalled")
    log.ask("weakness").say("I write too few tests.", confidence=0.2)
    log.ask("thesis").say("My thesis was on Kafka.")
    log.ask("yours").say("How large is the team?")
    log.move(moves.AnswerCandidate(faq_id="team")).line("answer", "Seven.")
    log.say("And what does it pay?")
    log.move(moves.AnswerCandidate(faq_id="none")).line("answer", "I will pass this on.")
    log.add(ev.AudioMeasured(at=log.at, packets=1000, lost=10, recovered=8, concealed_s=0.04))
    return log.end()


def utterances(events: list[ev.Event]) -> list[Utterance]:
    return list(transcript_of(events))
