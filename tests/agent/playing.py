"""What the interviewer's inner parts need around them: a journal over a call, and a watcher."""

from __future__ import annotations

from collections.abc import Sequence

from calls import Call

from agent.events import EndReason, Event
from agent.ids import Counters
from agent.journal import Journal
from agent.ports import Speaker
from agent.turns import CandidateTurns


class Watcher:
    """Obeys `agent.ports.Observer`."""

    def __init__(self) -> None:
        self.captions: list[tuple[str, str, bool]] = []
        self.utterances: list[str] = []
        """The id of each caption."""

    def caption(self, speaker: Speaker, text: str, *, final: bool, utterance_id: str) -> None:
        self.captions.append((speaker, text, final))
        self.utterances.append(utterance_id)

    def state(self, state: str) -> None: ...

    def over(self, reason: EndReason) -> None: ...

    async def line_holds(self) -> bool:
        return True


class Bench:
    """Events go through a journal into `log`; nothing is stored, and time is what `at` says."""

    def __init__(self, call: Call) -> None:
        async def write(events: Sequence[Event]) -> int:
            return len(events)

        self.interview = call.interview
        self.at = call.at
        self.log: list[Event] = []
        self.journal = Journal(call.interview, write)
        self.journal.on_added = self.log.extend
        self.ids = Counters.after(call.log)
        self.turns = CandidateTurns(self.journal, self.ids, self.clock)
        self.watcher = Watcher()

    def clock(self) -> float:
        return self.at

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.log]
