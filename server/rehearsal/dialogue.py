"""An interview by words alone: no audio, no clock, no store; every line is heard whole.

For tests of prompts and models, and for trying a plan out. Time is a number, moved on by each turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import prompts
from agent.events import (
    CallJoined,
    ConsentRecorded,
    Event,
    InterviewCreated,
    InterviewEnded,
    LineKind,
    LineSpoken,
    MoveHeard,
    SegmentHeard,
    TurnSettled,
)
from agent.interview import Interview, Reply
from agent.plan import Plan
from agent.prompt import Conversation, Mode
from agent.turn import Decided, MoveTurn, TurnModel, Words

SECONDS_A_TURN = 10.0


@dataclass
class Heard:
    """What the candidate heard in reply to one turn."""

    words: list[str] = field(default_factory=list)
    decided: Decided | None = None


class Dialogue:
    """One interview, a turn at a time."""

    def __init__(self, plan: Plan, mode: Mode = "tools") -> None:
        self.plan = plan
        self.at = 1_000_000.0
        self.events: list[Event] = []
        self.interview = Interview(plan, prompts.lines(plan.language))
        self.conversation = Conversation(plan, mode)
        self._replies = 0
        self._utterances = 0

    def happen(self, events: Iterable[Event]) -> None:
        for event in events:
            self.interview.apply(event)
            self.conversation.extend([event])
            self.events.append(event)

    def open(self) -> None:
        """Consent, and the opening up to the first question."""
        version = self.plan.policy.consent.version
        consent = ConsentRecorded(
            at=self.at, interview=True, recording=False, version=version, method="typed"
        )
        created = InterviewCreated(
            at=self.at,
            interview_id="dialogue",
            plan_id=self.plan.plan_id,
            plan_version=self.plan.version,
            plan_hash=self.plan.hash,
            language=self.plan.language,
        )
        self.happen([created, consent, CallJoined(at=self.at, channel="text", epoch=1)])
        self.hear(self.interview.opening(self.at))

    def settle(self, text: str) -> None:
        """The candidate has said this."""
        self.at += SECONDS_A_TURN
        turn_id, at = self.interview.turn_id, self.at
        segment = SegmentHeard(
            at=at,
            segment_id=f"s{len(self.events)}",
            turn_id=turn_id,
            text=text,
            t0=at - 1,
            t1=at,
            source="typed",
        )
        settled = TurnSettled(at=at, turn_id=turn_id, text=text, t0=at - 1, t1=at, source="typed")
        self.happen([segment, settled])

    async def answer(self, text: str, model: TurnModel) -> Heard:
        """One turn: the candidate's words, the decision, and what is then heard."""
        self.settle(text)
        heard = Heard()
        forced = self.interview.forced(self.at)
        if forced is not None:
            self.hear(self.interview.reply(forced, self.at), heard)
            return heard
        ended = asyncio.Event()
        ended.set()
        turn = MoveTurn(model, self.conversation)
        async for item in turn.decide(self.interview, self.at, ended):
            if isinstance(item, Words):
                heard.words.append(item.text)
            else:
                heard.decided = item
        assert heard.decided is not None
        released, heard.words = heard.words, []
        assert released in ([], [heard.decided.reply.acknowledgement])
        self.happen(heard.decided.findings)
        self.hear(heard.decided.reply, heard)
        return heard

    def hear(self, reply: Reply, heard: Heard | None = None) -> None:
        """The reply's lines, heard whole."""
        heard = heard or Heard()
        self._replies += 1
        reply_id = f"r{self._replies}"
        if reply.move is not None:
            self._move(reply_id, reply)
        if reply.acknowledgement:
            heard.words.append(reply.acknowledgement)
            self._spoken(reply_id, "acknowledgement", reply.acknowledgement)
        for line in reply.lines:
            event = self.interview.event_for(line, reply_id, self.at)
            self.happen([event] if event is not None else [])
            heard.words.append(line.text)
            self._spoken(reply_id, line.kind, line.text)
            if line.ends is not None:
                self.happen([InterviewEnded(at=self.at, reason=line.ends)])

    def _move(self, reply_id: str, reply: Reply) -> None:
        assert reply.move is not None
        settled = self.interview.settled
        moved = MoveHeard(
            at=self.at,
            reply_id=reply_id,
            turn_id=settled.turn_id if settled else None,
            move=reply.move,
            scripted=reply.scripted,
        )
        self.happen([moved])

    def _spoken(self, reply_id: str, kind: LineKind, text: str) -> None:
        self._utterances += 1
        spoken = LineSpoken(
            at=self.at,
            utterance_id=f"i{self._utterances}",
            reply_id=reply_id,
            kind=kind,
            text=text,
            t0=self.at,
            t1=self.at,
        )
        self.happen([spoken])
        after = self.interview.event_after(spoken)
        self.happen([after] if after is not None else [])
