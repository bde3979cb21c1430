"""What time alone brings about: the silence ladder, the cut-in on an endless answer, a reply that
is still owed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from agent.events import EndReason
from agent.interview import Interview, Reply
from agent.moves import NextQuestion
from agent.patience import Patience
from agent.turns import CandidateTurns

logger = logging.getLogger(__name__)

TICK_S = 0.1
OWED_AFTER_S = 1.0
"""A reply that is owed (its speech was interrupted unheard, or failed) begins again after this
quiet."""
MAX_RECOVERIES = 2
CLOSING_GRACE_S = 6.0
"""After an interrupted closing line, how long the candidate may take to say what they wanted to."""


class Floor(Protocol):
    """The interviewer, as the watch sees it."""

    @property
    def candidate_speaking(self) -> bool: ...
    @property
    def busy(self) -> bool:
        """A reply is being made or heard."""

    def say_reply(
        self,
        reply: Reply,
        *,
        interruptible: bool = True,
        nudges: bool = False,
        then: Reply | None = None,
    ) -> None: ...
    def reply_to_turn(self) -> None: ...
    def end(self, reason: EndReason) -> None: ...


class Watch:
    """Looks ten times a second; says something only when nobody else does."""

    def __init__(
        self, floor: Floor, interview: Interview, turns: CandidateTurns, clock: Callable[[], float]
    ) -> None:
        self._floor = floor
        self._interview = interview
        self._turns = turns
        self._clock = clock
        self._patience = Patience(interview.plan.policy.silence_ladder_s)
        self._quiet_since = clock()
        self._recoveries = 0
        self.written = False
        """By text the open question stands on the page: no silence is owed a word, and nobody is
        hurried on while they write."""
        self.closing_cut_at: float | None = None
        """When the closing line was interrupted; None while it was not."""

    def activity(self) -> None:
        """Somebody spoke, typed or pressed a button: the silence ladder starts again."""
        self._patience.activity(self._clock())

    def new_turn(self) -> None:
        self._recoveries = 0

    async def run(self) -> None:
        """Until cancelled or the interview has ended."""
        self.activity()
        while self._interview.ended is None:
            await asyncio.sleep(TICK_S)
            try:
                self.look()
            except Exception:  # the watch must outlive whatever one look ran into
                logger.exception("watching the call failed")

    def look(self) -> None:
        """One look at the clock."""
        now = self._clock()
        if self._floor.candidate_speaking:
            self.activity()
            self._quiet_since = now
            self._cut_in_if_too_long(now)
        elif self._floor.busy:
            self._quiet_since = now
        elif now - self._quiet_since >= OWED_AFTER_S and not self._turn_will_end():
            self._quiet(now)

    def _turn_will_end(self) -> bool:
        """Whether the open turn's end is still to be heard. Of an answer before a rejoin it never
        is, if the candidate had said all there was to say."""
        return bool(self._interview.heard_text) and self._turns.heard_here

    def _quiet(self, now: float) -> None:
        interview = self._interview
        if self.closing_cut_at is not None and now - self.closing_cut_at > CLOSING_GRACE_S:
            self._floor.end("completed")
        elif interview.settled is not None:
            self._begin_again(now)
        elif interview.pending is not None:
            self._floor.say_reply(interview.pending_reply(now))
        elif self.written and interview.open_question is not None:
            return
        elif (step := self._patience.due(now, interview.think_time())) is not None:
            if step > 0 and interview.heard_text:
                self._turns.settle("spoken")  # all that was said before the line broke
                return
            reply = interview.silence(step, now)
            if reply is not None:
                # A new question is no nudge: the silence behind it has a ladder of its own.
                moves_on = isinstance(reply.move, NextQuestion)
                self._floor.say_reply(reply, nudges=not moves_on)

    def _begin_again(self, now: float) -> None:
        self._recoveries += 1
        if self._recoveries <= MAX_RECOVERIES:
            self._floor.reply_to_turn()
            return
        move = self._interview.default(now)
        self._floor.say_reply(self._interview.reply(move, now, scripted="model_unavailable"))

    def _cut_in_if_too_long(self, now: float) -> None:
        since = self._turns.speaking_since
        if since is None or self._floor.busy or now - since < self._interview.hard_limit():
            return
        reply = self._interview.rambling(now)
        if self._interview.heard_text:
            self._turns.settle("spoken")
        self._turns.speaking_since = now
        # Not to be talked over: LiveKit holds an interruptible reply back until there is silence.
        self._floor.say_reply(
            Reply(reply.move, reply.lines[:1], scripted=reply.scripted),
            interruptible=False,
            then=Reply(None, reply.lines[1:]),
        )
