"""What the candidate knows of the interview from the control channel alone. Pure.

Fed with the server's messages in order. A line counts as heard when its final caption came; the
floor is the candidate's when the interviewer has replied since the candidate last acted and has
been listening for a moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.plan import Plan

SETTLED_S = 0.35
"""So long the interviewer must have been listening: between two lines the state may flicker."""
REPLIED = ("move_heard", "question_asked", "probe_asked", "question_repeated")
_MIN_PREFIX = 12
"""An interrupted caption this long is enough to know the question by."""


def plain(text: str) -> str:
    """Letters and digits only: captions and plans may differ in space, case and punctuation."""
    return re.sub(r"[\W_]+", "", text).lower()


class Floor:
    """State by feeding messages."""

    def __init__(self, plan: Plan) -> None:
        self.state = "connecting"
        self.stage = ""
        self.question_id: str | None = None
        """The question that is open, as far as captions told."""
        self.lines: list[str] = []
        """What the interviewer has said since the candidate last acted."""
        self.speaking_since: float | None = None
        """When the line that is now being said began."""
        self.line_question: str | None = None
        """The question that this line asks."""
        self.ended = False
        self.closing = False
        """The closing line has begun."""
        self.paused = False
        """The leg is over, and no other has begun."""
        self.last_event = ""
        """The type of the last event that was committed."""
        self._open_line = ""
        self._stale_line = ""
        """A line that began before the candidate acted: an end of it that comes late answers
        nothing."""
        self._listening_since: float | None = None
        self._replied = False
        self._wordings = {
            plain(text): question.id
            for question in plan.questions()
            for text in (question.text, question.rephrase, *(p.text for p in question.probes))
        }
        self._closing_line = plain(plan.policy.closing_line)

    def feed(self, message: Mapping[str, object], at: float) -> None:
        match message.get("type"):
            case "state":
                self._state(message, at)
            case "caption" if message.get("speaker") == "interviewer":
                self._line(message, str(message.get("text", "")), at)
            case "committed":
                self._committed(str(message.get("event", "")))

    def acted(self) -> None:
        """The candidate has spoken, typed or pressed something: what comes next answers it."""
        self.lines.clear()
        self._replied = False
        self._stale_line = self._open_line

    def rejoined(self) -> None:
        """A new connection: whatever the interviewer says first is a reply."""
        self.acted()
        self.state = "connecting"
        self.closing = False
        self.line_question = self.speaking_since = self._listening_since = None

    def mine(self, at: float) -> bool:
        return (
            self.state == "listening"
            and self._listening_since is not None
            and at - self._listening_since >= SETTLED_S
            and (self._replied or bool(self.lines))
        )

    def _state(self, message: Mapping[str, object], at: float) -> None:
        state = str(message.get("state", ""))
        if state == "listening" and self.state != "listening":
            self._listening_since = at
        self.state = state
        self.stage = str(message.get("stage") or "")
        if state == "ended":
            self.ended = True
        if state != "speaking":
            self.speaking_since = None

    def _line(self, message: Mapping[str, object], text: str, at: float) -> None:
        line = str(message.get("utterance_id", ""))
        self.line_question = self._question(text)
        self.question_id = self.line_question or self.question_id
        self.closing = self.closing or _begins(self._closing_line, plain(text))
        if message.get("final"):
            if not line or line != self._stale_line:
                self.lines.append(text)
            self.speaking_since, self._open_line = None, ""
        else:
            self.speaking_since, self._open_line = at, line
            if line == self._stale_line:  # a server that was killed counts on from its log
                self._stale_line = ""

    def _committed(self, event: str) -> None:
        self.last_event = event
        if event in ("call_left", "call_joined"):
            self.paused = event == "call_left"
        if event in REPLIED:
            self._replied = True
        if event == "interview_ended":
            self.ended = True

    def _question(self, text: str) -> str | None:
        said = plain(text)
        found = [w for w in self._wordings if w in said or _begins(w, said)]
        return self._wordings[max(found, key=len)] if found else None


def _begins(wording: str, said: str) -> bool:
    return bool(said) and len(said) >= min(_MIN_PREFIX, len(wording)) and wording.startswith(said)
