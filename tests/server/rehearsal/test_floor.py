from importlib.resources import files

import pytest
from ruamel.yaml import YAML

from agent.plan import Plan
from server.rehearsal.floor import SETTLED_S, Floor

SOURCE = files("prompts") / "plans" / "rehearsal_en.yaml"
PLAN = Plan.model_validate(YAML(typ="safe").load(SOURCE.read_text(encoding="utf-8")))
CONFLICT = PLAN.question("conflict")


@pytest.fixture
def floor() -> Floor:
    return Floor(PLAN)


def says(floor: Floor, text: str, at: float, *, heard: str | None = None) -> None:
    """The interviewer says a line from `at` on for a second."""
    caption = {"type": "caption", "speaker": "interviewer", "utterance_id": "i1"}
    floor.feed({"type": "state", "state": "speaking"}, at)
    floor.feed(caption | {"text": text, "final": False}, at)
    floor.feed(caption | {"text": text if heard is None else heard, "final": True}, at + 1)
    floor.feed({"type": "state", "state": "listening"}, at + 1)


def test_the_floor_is_the_candidates_when_the_line_has_ended_and_it_stays_quiet(
    floor: Floor,
) -> None:
    says(floor, CONFLICT.text, 0.0)
    assert not floor.mine(1.0)
    assert floor.mine(1.0 + SETTLED_S)
    assert floor.question_id == "conflict"


def test_listening_alone_does_not_give_the_floor_after_the_candidate_has_acted(
    floor: Floor,
) -> None:
    says(floor, CONFLICT.text, 0.0)
    floor.acted()
    assert not floor.mine(9.0)


def test_a_silent_wait_gives_the_floor_back(floor: Floor) -> None:
    says(floor, CONFLICT.text, 0.0)
    floor.acted()
    floor.feed({"type": "state", "state": "thinking"}, 2.0)
    floor.feed({"type": "committed", "seq": 9, "event": "turn_settled", "turn_id": "c1"}, 2.1)
    floor.feed({"type": "state", "state": "listening"}, 3.0)
    assert not floor.mine(4.0)
    floor.feed({"type": "committed", "seq": 10, "event": "move_heard", "turn_id": "c1"}, 4.0)
    assert floor.mine(4.5)


def test_between_two_lines_of_one_reply_the_floor_is_not_given(floor: Floor) -> None:
    says(floor, "Thank you.", 0.0)
    floor.feed({"type": "state", "state": "speaking"}, 1.1)
    assert not floor.mine(2.0)


@pytest.mark.parametrize(
    ("text", "question_id"),
    [
        (CONFLICT.text, "conflict"),
        (CONFLICT.rephrase, "conflict"),
        (CONFLICT.probes[0].text, "conflict"),
        ("Welcome back. " + CONFLICT.text.upper(), "conflict"),
        (PLAN.question("project").probes[0].text, "project"),
        (PLAN.question("project").rephrase, "project"),
        ("Think of two colleagues", "conflict"),
        ("Think of", None),
        ("Thank you.", None),
        ("", None),
    ],
)
def test_a_question_is_known_by_its_words(floor: Floor, text: str, question_id: str) -> None:
    says(floor, text, 0.0)
    assert floor.question_id == question_id


def test_a_line_that_is_being_said_has_a_beginning_and_then_an_end(floor: Floor) -> None:
    caption = {"type": "caption", "speaker": "interviewer", "text": CONFLICT.text}
    floor.feed(caption | {"final": False}, 5.0)
    assert (floor.speaking_since, floor.question_id) == (5.0, "conflict")
    floor.feed(caption | {"final": True}, 9.0)
    assert floor.speaking_since is None and floor.lines == [CONFLICT.text]


def test_the_candidates_own_captions_are_not_taken_for_the_interviewers(floor: Floor) -> None:
    floor.feed(
        {"type": "caption", "speaker": "candidate", "text": CONFLICT.text, "final": True}, 0.0
    )
    assert floor.question_id is None and floor.lines == []


def test_closing_and_end_are_told_apart(floor: Floor) -> None:
    says(floor, PLAN.policy.closing_line, 0.0)
    assert floor.closing and not floor.ended
    floor.feed({"type": "committed", "seq": 30, "event": "interview_ended"}, 2.0)
    assert floor.ended


def test_after_a_rejoin_the_old_listening_does_not_count(floor: Floor) -> None:
    says(floor, CONFLICT.text, 0.0)
    floor.rejoined()
    assert not floor.mine(9.0)
    says(floor, "Welcome back.", 10.0)
    assert floor.mine(12.0)


def test_the_late_end_of_a_line_that_was_barged_into_answers_nothing(floor: Floor) -> None:
    caption = {"type": "caption", "speaker": "interviewer", "utterance_id": "i7"}
    floor.feed({"type": "state", "state": "speaking"}, 0.0)
    floor.feed(caption | {"text": CONFLICT.text, "final": False}, 0.0)
    floor.feed({"type": "state", "state": "listening"}, 3.5)
    floor.acted()
    floor.feed(caption | {"text": "Think of two colleagues", "final": True}, 6.0)
    assert not floor.mine(9.0)
    floor.feed(caption | {"text": "Thank you.", "final": True, "utterance_id": "i8"}, 9.0)
    assert floor.mine(9.0)


def test_a_line_after_a_kill_is_heard_though_a_lost_one_had_its_number(floor: Floor) -> None:
    caption = {"type": "caption", "speaker": "interviewer", "utterance_id": "i1"}
    floor.feed(caption | {"text": "Welcome back.", "final": False}, 0.0)
    floor.rejoined()  # the server was killed, and what it was saying is not in its log
    says(floor, "Welcome back.", 5.0)
    assert floor.mine(7.0)


def test_the_interview_is_paused_until_another_leg_begins_whatever_is_written_late(
    floor: Floor,
) -> None:
    for at, (event, paused) in enumerate(
        (("call_left", True), ("line_spoken", True), ("call_joined", False))
    ):
        floor.feed({"type": "committed", "event": event}, float(at))
        assert floor.paused is paused
