import json
from typing import Any

import pytest

from server.rehearsal.kills import graded_at
from server.rehearsal.survival import (
    OPEN_S,
    Kill,
    Moment,
    agreed_twice,
    asked_twice,
    decided_twice,
    digest,
    hit,
    losses,
)


def told(entry: dict[str, Any]) -> dict[str, Any]:
    """What the candidate was told when the event was durable."""
    event = entry["event"]
    known = {"seq": entry["seq"], "event": event["type"], "turn_id": event.get("turn_id")}
    return {"type": "committed", "at": event["at"], "sha256": digest(event)} | known


def said(text: str, at: float) -> dict[str, Any]:
    return {"type": "said", "at": at, "text": text}


def entry(seq: int, type: str, at: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"seq": seq, "event": {"type": type, "at": at, **fields}}


def heard(seq: int, text: str) -> dict[str, Any]:
    return entry(seq, "segment_heard", segment_id="s1", text=text, turn_id="c1", t0=1.0, t1=2.0)


def settled(seq: int, at: float = 0.0, turn_id: str = "c1", text: str = "Yes.") -> dict[str, Any]:
    return entry(seq, "turn_settled", at, turn_id=turn_id, text=text, t0=at - 1.0, t1=at)


def joined(seq: int, at: float) -> dict[str, Any]:
    return entry(seq, "call_joined", at, channel="web", epoch=1)


def ended(at: float) -> dict[str, Any]:
    return entry(99, "interview_ended", at, reason="completed")


def line(seq: int, t0: float, t1: float, text: str = "Why?", kind: str = "probe") -> dict[str, Any]:
    return entry(
        seq, "line_spoken", t1, utterance_id="i1", reply_id="r1", kind=kind, text=text, t0=t0, t1=t1
    )


def caption(at: float, text: str = "Why?", *, final: bool = False) -> dict[str, Any]:
    return {"type": "line", "at": at, "text": text, "final": final, "utterance_id": "i1"}


def does(at: float, **step: object) -> dict[str, Any]:
    return {"type": "does", "at": at, "question_id": "start", "step": step}


def killed(at: float, moment: Moment = "candidate_speaks") -> Kill:
    return Kill(moment, at, 3.0)


def test_what_is_in_the_log_as_it_was_told_is_not_lost() -> None:
    log = [heard(1, "We finished on time."), settled(2)]
    notes = [*map(told, log), said("We finished on time.", 5.0)]
    found = losses(notes, log, [killed(60.0)])
    assert (found.committed, found.missing, found.lost, found.open_lost) == (2, (), (), ())


@pytest.mark.parametrize(
    ("log", "complaint"),
    [
        ([], "1 was turn_settled c1, is nothing"),
        ([entry(1, "incident", kind="stall")], "1 was turn_settled c1, is incident"),
        ([settled(1, turn_id="c2")], "1 was turn_settled c1, is turn_settled c2"),
        ([settled(1, text="No.")], "1 was turn_settled c1, and has other contents now"),
        ([settled(1, at=0.001)], "1 was turn_settled c1, and has other contents now"),
    ],
)
def test_an_event_that_is_gone_or_another_or_changed_is_a_loss(
    log: list[dict[str, Any]], complaint: str
) -> None:
    assert losses([told(settled(1))], log, []).missing == (complaint,)


def test_an_event_of_no_turn_is_compared_too() -> None:
    created, changed = (entry(1, "incident", kind=kind) for kind in ("stall", "no_sound"))
    assert losses([told(created)], [created], []).missing == ()
    assert len(losses([told(created)], [changed], []).missing) == 1


def test_an_event_is_the_same_after_it_went_through_the_api_as_json() -> None:
    log = [settled(1, at=1764009829.1234567), heard(2, "naïve — 你好")]
    notes = [told(one) for one in log]
    assert losses(notes, json.loads(json.dumps(log)), []).missing == ()


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


# --- whether a kill came at its moment

LATER = 1000.0


def at_its_moment(
    kill: Kill, *log: dict[str, Any], notes: tuple[dict[str, Any], ...] = (), graded: float = LATER
) -> bool:
    return hit(kill, notes, [joined(1, 1.0), *log], graded)


def test_a_turn_is_being_decided_until_its_move_is_heard() -> None:
    log = settled(2, 10.0), entry(3, "move_heard", 11.0, turn_id="c1")
    assert at_its_moment(killed(10.5, "deciding"), *log)
    assert not at_its_moment(killed(9.5, "deciding"), *log)
    assert not at_its_moment(killed(11.5, "deciding"), *log)


def test_a_filler_decides_nothing_and_any_other_line_is_a_reply() -> None:
    kill = killed(12.0, "deciding")
    assert at_its_moment(kill, settled(2, 10.0), line(3, 10.5, 11.0, kind="filler"))
    assert not at_its_moment(kill, settled(2, 10.0), line(3, 10.5, 11.0))


def test_grading_lasts_from_the_end_to_the_report() -> None:
    kill = killed(20.0, "grading")
    assert at_its_moment(kill, ended(15.0), graded=25.0)
    assert not at_its_moment(kill, ended(15.0), graded=19.0)
    assert not at_its_moment(kill, ended(21.0), graded=25.0)


def test_the_candidate_speaks_from_the_sentence_begun_to_the_sentence_noted() -> None:
    kill = killed(12.0, "candidate_speaks")
    assert at_its_moment(kill, notes=(does(11.0, say="Yes."), said("Yes.", 13.0)))
    assert not at_its_moment(kill)
    assert not at_its_moment(kill, notes=(does(13.0, say="Yes."),))
    assert not at_its_moment(kill, notes=(does(10.0, say="Yes."), said("Yes.", 11.0)))
    assert not at_its_moment(kill, notes=(does(11.0, pause=2.0),))
    assert not at_its_moment(kill, ended(11.5), notes=(does(11.0, say="Yes."),))


def test_a_sentence_that_an_earlier_kill_cut_off_is_not_being_said_now() -> None:
    kill = killed(30.0, "candidate_speaks")
    assert not at_its_moment(kill, joined(2, 20.0), notes=(does(11.0, say="Yes."),))


def test_the_interviewer_speaks_from_the_first_sound_to_the_end_of_the_line() -> None:
    kill = killed(12.0, "agent_speaks")
    assert at_its_moment(kill, notes=(caption(11.0),))
    assert not at_its_moment(kill)
    assert not at_its_moment(kill, notes=(caption(12.5),))
    assert not at_its_moment(kill, notes=(caption(10.0), caption(11.0, final=True)))
    assert not at_its_moment(kill, joined(2, 11.5), notes=(caption(11.0),))


def test_a_line_that_the_log_has_as_over_is_not_being_said() -> None:
    kill = killed(12.0, "agent_speaks")
    assert not at_its_moment(kill, line(2, 10.9, 11.9), notes=(caption(11.0),))
    assert at_its_moment(kill, line(2, 9.0, 10.9), notes=(caption(11.0),))


def test_the_closing_is_the_closing_line_and_no_other() -> None:
    goodbye = line(9, 20.0, 24.0, "Goodbye.", "closing")
    during = (caption(11.0, "Goodbye."),)
    assert at_its_moment(killed(12.0, "closing"), goodbye, notes=during)
    assert not at_its_moment(killed(12.0, "closing"), goodbye, notes=(caption(11.0),))
    cut = line(9, 11.0, 12.1, "Good", "closing")  # by a gateway that died, and said otherwise later
    assert at_its_moment(killed(12.0, "closing"), cut, notes=during)
    assert not at_its_moment(killed(12.0, "agent_speaks"), goodbye, notes=during)
    assert not at_its_moment(killed(12.0, "closing"), ended(11.5), goodbye, notes=during)


def test_a_report_tells_when_it_was_made() -> None:
    assert graded_at({"generated_at": "2026-01-02T03:04:05.500000Z"}) == 1767323045.5


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


def test_a_second_consent_is_noticed() -> None:
    agreed = entry(1, "consent_recorded", 1.0)
    assert not agreed_twice([agreed, joined(2, 2.0)])
    assert agreed_twice([agreed, entry(2, "consent_recorded", 2.0)])
