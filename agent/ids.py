"""Numbers for segments, replies and utterances; they go on after a crash."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from agent.events import Event, LineSpoken, MoveHeard, SegmentHeard


@dataclass
class Counters:
    """The last number used of each kind of id."""

    segment: int = 0
    reply: int = 0
    utterance: int = 0

    @classmethod
    def after(cls, events: Iterable[Event]) -> Counters:
        """Where the numbering stands after these events."""
        found = cls()
        for event in events:
            match event:
                case SegmentHeard():
                    found.segment = max(found.segment, int(event.segment_id[1:]))
                case LineSpoken():
                    found.utterance = max(found.utterance, int(event.utterance_id[1:]))
                    found.reply = max(found.reply, int(event.reply_id[1:]))
                case MoveHeard():
                    found.reply = max(found.reply, int(event.reply_id[1:]))
                case _:
                    pass
        return found

    def next_segment(self) -> str:
        self.segment += 1
        return f"s{self.segment}"

    def next_reply(self) -> str:
        self.reply += 1
        return f"r{self.reply}"

    def next_utterance(self) -> str:
        self.utterance += 1
        return f"i{self.utterance}"
