"""The candidate's segments, and the turn that they form."""

from __future__ import annotations

from calls import Call
from playing import Bench

from agent.events import SegmentHeard, TurnSettled, Word
from agent.turns import Heard


def test_a_segment_gets_its_id_its_turn_and_the_time_it_was_written(call: Call) -> None:
    call.begin()
    bench = Bench(call)
    bench.at = 1_000_100.0
    word = Word(text="Python", t0=1_000_097.0, t1=1_000_098.0, probability=0.4)
    bench.turns.heard(
        Heard("Python", 1_000_097.0, 1_000_098.0, "spoken", 0.4, "low_confidence", (word,))
    )
    assert bench.log == [
        SegmentHeard(
            at=1_000_100.0,
            segment_id="s1",
            turn_id="c1",
            text="Python",
            t0=1_000_097.0,
            t1=1_000_098.0,
            confidence=0.4,
            verdict="low_confidence",
            words=(word,),
        )
    ]


def test_a_turn_begins_with_its_first_segment(call: Call) -> None:
    call.begin()
    bench = Bench(call)
    first, second = bench.at + 1, bench.at + 5
    bench.turns.heard(Heard("I used", first, first + 1))
    bench.turns.heard(Heard("Python.", second, second + 1))
    bench.at = second + 2
    bench.turns.settle("spoken", 0.7)
    settled = bench.log[-1]
    assert isinstance(settled, TurnSettled)
    assert (settled.text, settled.t0, settled.t1) == ("I used Python.", first, second + 1)
    bench.turns.typed("And Java.")
    typed = bench.log[-1]
    assert isinstance(typed, SegmentHeard)
    assert (typed.segment_id, typed.turn_id, typed.source) == ("s3", "c2", "typed")
