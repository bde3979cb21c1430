"""Numbers go on after a crash."""

from __future__ import annotations

from calls import Call

from agent.ids import Counters


def test_numbering_begins_at_one() -> None:
    ids = Counters()
    assert (ids.next_segment(), ids.next_reply(), ids.next_utterance()) == ("s1", "r1", "i1")
    assert (ids.next_segment(), ids.next_reply(), ids.next_utterance()) == ("s2", "r2", "i2")


def test_numbering_goes_on_after_any_beginning_of_a_log(call: Call) -> None:
    call.begin()
    call.hears("I built a thing.")
    call.turn("I built a thing.")
    call.hears("It worked.")
    call.turn("It worked.")
    used: set[str] = set()
    for length, event in enumerate(call.log):
        ids = Counters.after(call.log[:length])
        assert not {ids.next_segment(), ids.next_reply(), ids.next_utterance()} & used
        used |= {
            getattr(event, name)
            for name in ("segment_id", "utterance_id", "reply_id")
            if hasattr(event, name)
        }
    assert {"s2", "r3"} <= used, "the log has some of each"
