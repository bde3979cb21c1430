from typing import Any

import pytest

from server.rehearsal.survival import (
    OPEN_S,
    Kill,
    Moment,
    asked_twice,
    decided_twice,
    hit,
    losses,
)


def told(seq: int, event: str, turn_id: str | None = None) -> dict[str, Any]:
    return {"type": "committed", "at": 0.0, "seq": seq, "event": event, "turn_id": turn_id}


def said(text: str, at: float) -> dict[str, Any]:
    return {"type": "said", "at": at, "text": text}


def entry(seq: int, type: str, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "event": {"type": type, "at": at, **fields}}


def heard(seq: int, text: str) -> dict[str, Any]:
    return entry(seq, "segment_heard", text=text, turn_id="c1")


def killed(at: float, moment: Moment = "candidate_speaks") -> Kill:
    return Kill(moment, at, 3.0)


def test_what_is_in_the_log_as_it_was_told_is_not_lost() -> None:
    log = [heard(1, "We finished on time."), entry(2, "turn_settled", turn_id="c1")]
    notes = [told(1, "segment_heard", "c1"), told(2, "turn_settled", "c1")]
    found = losses([*notes, said("We finished on time.", 5.0)], log, [killed(60.0)])
    assert (found.committed, found.missing, found.lost, found.open_lost) == (2, (), (), ())


@pytest.mark.parametrize(
    "log",
    [
        [],
        [entry(1, "incident")],
        [entry(1, "turn_settled", turn_id="c2")],
    ],
)
def test_an_event_that_is_gone_or_another_is_a_loss(log: list[dict[str, Any]]) -> None:
    assert len(losses([told(1, "turn_settled", "c1")], log, []).missing) == 1


def test_only_the_open_segment_may_be_lost() -> None:
    notes = [said("We finished on time.", 10.0), said("I trained two new people.", 14.0)]
    found = losses(notes, [], [killed(14.0 + OPEN_S / 2)])
    assert found.open_lost == ("I trained two new people.",)
    assert found.lost == ("We finished on time.",)
    assert found.sentences == 2


def test_a_sentence_said_after_the_kill_must_be_heard() -> None:
    found = losses([said("We finished on time.", 20.0)], [], [killed(19.5)])
    assert found.lost == ("We finished on time.",)


def test_a_sentence_may_be_spread_over_segments() -> None:
    log = [heard(1, "We had six"), heard(2, "months, I think.")]
    assert losses([said("We had six months.", 1.0)], log, []).lost == ()


def test_the_log_shows_whether_a_kill_came_at_its_moment() -> None:
    settled, moved = entry(1, "turn_settled", 10.0), entry(2, "move_heard", 11.0)
    ended = entry(3, "interview_ended", 12.0)
    assert hit(killed(10.5, "deciding"), [settled, moved])
    assert not hit(killed(11.5, "deciding"), [settled, moved])
    assert hit(killed(12.5, "grading"), [settled, moved, ended])
    assert not hit(killed(11.5, "grading"), [settled, moved, ended])
    assert hit(killed(11.5, "closing"), [settled, moved, ended])
    assert not hit(killed(12.5, "closing"), [settled, moved, ended])


def test_what_happened_twice_is_named() -> None:
    log = [
        entry(1, "question_asked", question_id="start"),
        entry(2, "move_heard", turn_id="c1"),
        entry(3, "question_asked", question_id="start"),
        entry(4, "move_heard", turn_id="c1"),
        entry(5, "move_heard", turn_id=None),
        entry(6, "move_heard", turn_id=None),
    ]
    assert asked_twice(log) == ["start"] and decided_twice(log) == ["c1"]
    assert asked_twice(log[:2]) == [] and decided_twice(log[:2]) == []
