"""From sound to events: what a reply's parts mean when they start to sound, and what was heard when
they end.

The n-th playback of a reply is the n-th of its parts that produced a frame; its first sound writes
the move (once)
and the line's own event, its end writes the text as heard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from agent.events import LineSpoken, MoveHeard, TurnSettled
from agent.ids import Counters
from agent.interview import Line
from agent.journal import Journal
from agent.ports import Observer
from agent.reading import Usage
from agent.speech import Part, Speech, heard_text
from agent.turns import CandidateTurns

logger = logging.getLogger(__name__)

SLOWEST_S_PER_CHARACTER = 0.06
"""The length of a part that was interrupted before its synthesis ended is at least this."""


class Playout:
    """Knows nothing of LiveKit: the interviewer tells it of playbacks."""

    def __init__(
        self,
        journal: Journal,
        turns: CandidateTurns,
        ids: Counters,
        observer: Observer,
        clock: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._interview = journal.interview
        self._turns = turns
        self._ids = ids
        self._observer = observer
        self._clock = clock
        self.playing: Speech | None = None
        """The reply of which a part is being played, or is held by a pause."""

    def started(self, speech: Speech) -> None:
        """The next audible part has begun to sound."""
        if speech.played < len(speech.audible):
            self.playing = speech
            self._part_started(speech, speech.audible[speech.played])

    def ended(self, heard_s: float, interrupted: bool) -> None:
        """The part that was playing has ended after `heard_s` seconds."""
        speech, self.playing = self.playing, None
        if speech is None or speech.played >= len(speech.audible):
            return
        part = speech.audible[speech.played]
        speech.played += 1
        self._part_ended(speech, part, heard_s, interrupted)

    def shown(self, speech: Speech, part: Part) -> None:
        """A part was read, not heard: in an interview by text, or as a caption where no voice
        works."""
        if part not in speech.audible:
            speech.audible.append(part)
        speech.played = len(speech.audible)
        self._part_started(speech, part)
        self._part_ended(speech, part, 0.0, interrupted=False)

    def decided(self, speech: Speech) -> None:
        """The reply's move is known; parts that already sound (an acknowledgement) now have their
        meaning."""
        for part in speech.parts:
            if part.started_at is not None:
                self._note(speech, part)

    def write_move(self, speech: Speech) -> None:
        """Commit the reply's move, once."""
        reply = speech.reply
        if speech.move_written or reply is None:
            return
        speech.move_written = True
        self._journal.add(*speech.findings)
        if reply.move is None:
            return
        now, settled = self._clock(), self._interview.settled
        delay = now - speech.turn_ended_at if speech.turn_ended_at else None
        self._journal.add(
            MoveHeard(
                at=now,
                reply_id=speech.reply_id,
                turn_id=settled.turn_id if settled is not None else None,
                move=reply.move,
                scripted=reply.scripted,
                reply_delay=delay,
            )
        )
        if settled is not None:
            _log_figures(settled, delay, speech.usage)

    def _part_started(self, speech: Speech, part: Part) -> None:
        part.started_at = self._clock()
        part.utterance_id = part.utterance_id or self._ids.next_utterance()
        self._observer.caption(
            "interviewer", part.text, final=False, utterance_id=part.utterance_id
        )
        self._note(speech, part)

    def _note(self, speech: Speech, part: Part) -> None:
        if speech.reply is None or part.noted or part.kind == "filler":
            return
        part.noted = True
        if part.line is not None and part.line.kind == "question" and self._interview.heard_text:
            # The tail of an answer that was cut in on belongs to the question it was said under.
            self._turns.settle("spoken")
        self.write_move(speech)
        if part.line is not None:
            self._write_line(speech, part.line)

    def _write_line(self, speech: Speech, line: Line) -> None:
        event = self._interview.event_for(line, speech.reply_id, self._clock())
        if event is not None:
            self._journal.add(event)

    def _part_ended(self, speech: Speech, part: Part, heard_s: float, interrupted: bool) -> None:
        now = self._clock()
        part.interrupted = interrupted
        total = part.synthesised_s
        if not part.whole:
            total = max(total, len(part.text) * SLOWEST_S_PER_CHARACTER)
        text = heard_text(part.text, heard_s, total) if interrupted else part.text
        question = self._interview.open_question
        spoken = LineSpoken(
            at=now,
            utterance_id=part.utterance_id,
            reply_id=speech.reply_id,
            kind=part.kind,
            text=text,
            interrupted=interrupted,
            question_id=question.id if question is not None else None,
            t0=part.started_at or now,
            t1=now,
        )
        self._journal.add(spoken)
        if (meaning := self._interview.event_after(spoken)) is not None:
            self._journal.add(meaning)
        self._observer.caption("interviewer", text, final=True, utterance_id=part.utterance_id)


def _log_figures(settled: TurnSettled, reply_delay: float | None, usage: Usage) -> None:
    """One line a turn, for operators: seconds and tokens, no words; `-` where nothing is known."""
    logger.info(
        "turn %s: end_of_turn_delay=%s reply_delay=%s ttft=%s prompt_tokens=%d cached_tokens=%d",
        settled.turn_id,
        _seconds(settled.end_of_turn_delay),
        _seconds(reply_delay),
        _seconds(usage.first_token_s or None),
        usage.prompt_tokens,
        usage.cached_tokens,
    )


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
