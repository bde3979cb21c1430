"""The candidate's side of a call: segments as they are heard, and the turn that they form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from agent.events import SegmentHeard, TurnSettled, Word
from agent.ids import Counters
from agent.journal import Journal

Source = Literal["spoken", "typed"]
Verdict = Literal["ok", "low_confidence", "dropped", "backchannel", "failed"]


@dataclass(frozen=True)
class Heard:
    """What the recogniser made of a segment, or what was typed; `t0` and `t1` are Unix seconds."""

    text: str
    t0: float
    t1: float
    source: Source = "spoken"
    confidence: float | None = 1.0
    """0..1; 1 for typed text, None where the recogniser gives none."""
    verdict: Verdict = "ok"
    words: tuple[Word, ...] = ()


class CandidateTurns:
    """Writes `segment_heard` and `turn_settled`; the words of a turn are those of its segments."""

    def __init__(self, journal: Journal, ids: Counters, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._interview = journal.interview
        self._ids = ids
        self._clock = clock
        self.speaking_since: float | None = None
        """When the candidate began the turn that is open, by voice activity."""
        self.heard_here = False
        """Whether a part of the open turn was heard in this leg, so that its end will be."""

    def heard(self, heard: Heard) -> None:
        """A segment is recognised, or an answer was typed: it gets its id and its turn."""
        self.heard_here = True
        self._journal.add(
            SegmentHeard(
                at=self._clock(),
                segment_id=self._ids.next_segment(),
                turn_id=self._interview.turn_id,
                text=heard.text,
                t0=heard.t0,
                t1=heard.t1,
                source=heard.source,
                confidence=heard.confidence,
                verdict=heard.verdict,
                words=heard.words,
            )
        )

    def typed(self, text: str) -> None:
        """A typed answer is a segment like any other."""
        now = self._clock()
        self.heard(Heard(text, now, now, source="typed"))

    def settled(self, source: Source, delay: float | None = None) -> TurnSettled:
        """The open turn as it would be settled now."""
        now = self._clock()
        t0, t1 = self._interview.heard_span or (now, now)
        return TurnSettled(
            at=now,
            turn_id=self._interview.turn_id,
            text=self._interview.heard_text,
            t0=t0,
            t1=t1,
            source=source,
            end_of_turn_delay=delay,
        )

    def settle(self, source: Source, delay: float | None = None) -> None:
        """Write that the open turn is over."""
        self._journal.add(self.settled(source, delay))
        self.speaking_since = None
        self.heard_here = False

    def basis(self) -> tuple[str, str]:
        """What a decision rests on now: a turn's id and its words."""
        settled = self._interview.settled
        if settled is not None and not self._interview.heard_text:
            return settled.turn_id, settled.text
        return self._interview.turn_id, self._interview.heard_text
