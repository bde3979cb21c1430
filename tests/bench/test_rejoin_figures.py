"""What a page told around a fault, and what that means: by hand-made times."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from agent.events import CallJoined, Event, LineSpoken, SegmentHeard
from bench.rejoin import planned
from bench.rejoin_figures import Fault, Recovery, Seen, kept, recovery, spread
from server.rehearsal.survival import digest

BEFORE, AFTER = 50.0, 100.05
"""When the documents before and after a reload at 100 began to load."""
DROP = Fault("drop", "thinking", 100.0, 105.0)
RELOAD = Fault("reload", "thinking", 100.0, 100.0)


def told(*what: tuple[float, str], document: float = BEFORE) -> list[Seen]:
    """States, and `+packets`, `-packets`, `+audible`, `-audible`."""
    return [_one(at, text, document) for at, text in what]


def _one(at: float, text: str, document: float) -> Seen:
    value = {"+": "yes", "-": "no"}.get(text[0])
    if value is None:
        return Seen(at, document, "state", text)
    return Seen(at, document, "packets" if text[1:] == "packets" else "audible", value)


THERE = told((60.0, "listening"), (60.0, "+packets"))


def test_times_of_a_drop_run_from_the_moment_the_network_is_back() -> None:
    seen = told((100.5, "-packets"), (102.4, "reconnecting"), (105.5, "thinking"))
    seen += told((105.6, "+packets"), (105.9, "+audible"))
    found = recovery(DROP, THERE + seen)
    assert found.told == pytest.approx(2.4)
    assert found.connected == pytest.approx(0.6)
    assert found.speaking == pytest.approx(0.9)
    assert found.rejoined
    assert not found.relapses


def test_a_state_without_packets_is_no_connection() -> None:
    seen = told((100.5, "-packets"), (102.4, "reconnecting"), (105.5, "speaking"))
    assert recovery(DROP, THERE + seen).connected is None


def test_a_drop_that_the_leg_outlives_is_over_with_the_first_packet() -> None:
    found = recovery(DROP, THERE + told((100.5, "-packets"), (105.2, "+packets")))
    assert found == Recovery(None, pytest.approx(0.2), pytest.approx(0.2), False, 0)


def test_a_drop_that_nothing_shows_of_costs_nothing() -> None:
    assert recovery(DROP, THERE) == Recovery(None, 0.0, 0.0, False, 0)


def test_what_does_not_last_does_not_count() -> None:
    seen = told((100.5, "-packets"), (105.1, "+packets"), (105.3, "reconnecting"))
    seen += told((106.0, "speaking"), (106.0, "+audible"))
    found = recovery(DROP, THERE + seen)
    assert found.connected == pytest.approx(1.0)
    assert found.relapses == 1


def test_the_page_that_is_left_says_nothing_of_the_page_that_comes() -> None:
    old = told((100.01, "speaking"), (100.02, "+audible"))
    new = told((100.6, "connecting"), (101.0, "listening"), (101.2, "+packets"), document=AFTER)
    found = recovery(RELOAD, THERE + old + new)
    assert found.connected == pytest.approx(1.2)
    assert found.speaking is None
    new += told((101.5, "+audible"), document=AFTER)
    assert recovery(RELOAD, THERE + old + new).speaking == pytest.approx(1.5)


def test_the_first_join_is_a_join() -> None:
    join = Fault("join", None, 100.0, 100.0)
    seen = told(
        (100.1, "connecting"), (100.6, "+packets"), (100.7, "speaking"), (100.9, "+audible")
    )
    found = recovery(join, seen)
    assert (found.connected, found.speaking) == (pytest.approx(0.7), pytest.approx(0.9))


def test_spread_is_by_nearest_rank_and_leaves_out_what_did_not_come() -> None:
    found = spread([None, *range(1, 51)])
    assert found is not None
    assert (found.p50, found.p95, found.most, found.n) == (25, 48, 50, 50)
    assert spread([None]) is None


def test_every_moment_is_hit_as_often_as_the_others() -> None:
    every = planned(8, 10, random.Random(1))
    assert set(Counter((one.kind, one.moment) for one in every).values()) == {2}
    assert all(1 <= one.lasts_s <= 12 for one in every if one.kind == "drop")


# --- what was kept --------------------------------------------------------------------------------
def entries(*events: Event) -> list[dict[str, Any]]:
    return [
        {"seq": seq, "event": event.model_dump(mode="json")} for seq, event in enumerate(events, 1)
    ]


def line(text: str, n: int = 1, kind: str = "greeting") -> LineSpoken:
    return LineSpoken.model_validate(
        {"at": 1.0, "utterance_id": f"i{n}", "reply_id": f"r{n}", "kind": kind, "text": text}
        | {"t0": 0.0, "t1": 1.0}
    )


def heard(text: str, n: int = 1) -> SegmentHeard:
    return SegmentHeard(
        at=1.0, segment_id=f"s{n}", turn_id="c1", text=text, t0=0, t1=1, source="typed"
    )


def committed(entry: dict[str, Any], **other: Any) -> dict[str, Any]:
    event = entry["event"]
    told = {"type": "committed", "seq": entry["seq"], "event": event["type"]}
    return told | {"turn_id": event.get("turn_id"), "sha256": digest(event)} | other


def test_what_was_told_and_stands_in_the_log_is_kept() -> None:
    log = entries(CallJoined(at=0.0, channel="web", epoch=1), line("Hello."), heard("One."))
    found = kept([committed(entry) for entry in log], ["One."], log)
    assert (found.committed, found.greetings, found.joins) == (3, 1, 1)
    assert not found.lost and not found.typed_lost and not found.typed_twice


def test_an_event_that_was_told_and_is_another_now_is_lost() -> None:
    log = entries(heard("One."))
    assert kept([committed(log[0], sha256="0")], [], log).lost
    assert kept([committed(log[0], seq=2)], [], log).lost


def test_an_answer_may_be_neither_missing_nor_there_twice() -> None:
    log = entries(heard("One.", 1), heard("One.", 2))
    found = kept([], ["One.", "Two."], log)
    assert (found.typed_twice, found.typed_lost) == (("One.",), ("Two.",))


def test_a_greeting_of_which_no_word_was_heard_is_none() -> None:
    assert kept([], [], entries(line("", 1), line("Hello.", 2))).greetings == 1
    assert kept([], [], entries(line("Hello.", 1), line("Hel", 2))).greetings == 2
