from subprocess import CompletedProcess

import numpy as np
import pytest
import typer

from agent import events as ev
from agent.moves import MOVE_NAMES, NextQuestion, RepeatQuestion
from agent.plan import Plan
from server.cli.rehearse import _check_way
from server.rehearsal import check
from server.rehearsal.candidates import built_in
from server.rehearsal.phone import possible
from server.rehearsal.phone.caller import spoken_s
from server.rehearsal.run import Options, cast, main, shipped_plan
from server.rehearsal.script import TELEPHONE_DEMANDS, Script, Step, Turn, WrongWay, check_way

PLAN: Plan = shipped_plan("rehearsal_en.yaml")


def run(*events: ev.Event) -> check.Run:
    return check.Run(plan=PLAN, script=built_in(PLAN), events=events, report={}, stock={})


def happened(demand: str, *events: ev.Event) -> bool:
    return check.HAPPENED[demand](run(*events))  # type: ignore[index]  # one of the demands


def settled(delay: float | None) -> ev.TurnSettled:
    return ev.TurnSettled(
        at=1, turn_id="c1", text="a", t0=0, t1=1, end_of_turn_delay=delay, source="spoken"
    )


MOVED = ev.MoveHeard(at=2, reply_id="r1", turn_id="c1", move=NextQuestion())
LEFT = ev.CallLeft(at=1.5, reason="dropped")


def test_the_telephones_candidate_has_keys_in_place_of_buttons() -> None:
    parts = cast(Options(phone=True))
    steps = list(parts.script.steps())
    assert parts.strict and parts.script.demands == TELEPHONE_DEMANDS
    assert [step.key for step in steps if step.key] == ["*", "#"]
    assert not [step for step in steps if step.press or step.type]
    assert sum(step.drop is not None for step in steps) == 1
    assert [step.hold for step in parts.script.answers["project"][0].steps] == [0.5]
    assert set(parts.script.answers) == {question.id for question in PLAN.questions()}


@pytest.mark.parametrize(
    ("step", "by_telephone"),
    [
        (Step(press="skip"), True),
        (Step(type="No."), True),
        (Step(key="*"), False),
        (Step(hold=0.0), False),
    ],
)
def test_a_script_that_its_candidate_cannot_play_is_refused(step: Step, by_telephone: bool) -> None:
    script = Script(answers={"warm_up": (Turn(steps=(step,)),)})
    with pytest.raises(WrongWay, match="warm_up"):
        check_way(script, by_telephone=by_telephone)
    check_way(script, by_telephone=not by_telephone)


def test_a_turn_that_no_silence_ended_was_ended_by_key() -> None:
    assert happened("finish_key", settled(None), MOVED)
    assert not happened("finish_key", settled(0.7), MOVED)
    assert not happened("finish_key", settled(None), LEFT, MOVED)  # the end of a call, not a key


def test_a_hold_is_a_leg_more_than_there_were_calls() -> None:
    held = Script(answers={"warm_up": (Turn(steps=(Step(hold=1.0),)),)})
    legs = [ev.CallJoined(at=1, channel="phone", epoch=n) for n in (1, 2)]
    for joins, happened in ((1, True), (2, False)):
        one = check.Run(PLAN, held, events=legs, report={}, stock={}, joins=joins)
        assert check.HAPPENED["hold"](one) is happened


@pytest.mark.parametrize("heard", ["I like hiking.", "In general I usually plan my day every week"])
def test_what_is_played_on_hold_is_no_answer(heard: str) -> None:
    held = Script(answers={"warm_up": (Turn(steps=(Step(hold=1.0),)),)})
    report = {"transcript": [{"speaker": "candidate", "text": heard}]}
    one = check.Run(PLAN, held, events=(), report=report, stock={})
    found = list(check.what_was_played_on_hold_was_no_answer(one))
    assert bool(found) is heard.startswith("In general")


def test_a_question_repeated_by_key_was_asked_for_before() -> None:
    asked = ev.RequestMade(at=1, request="repeat")
    repeated = ev.QuestionRepeated(at=2, reply_id="r1", question_id="warm_up", wording="What?")
    assert happened("repeat_key", asked, repeated)
    assert not happened("repeat_key", repeated, asked)


def test_an_interview_that_was_partly_on_a_page_was_not_by_telephone() -> None:
    told = ev.Disclosed(at=0, version="1", method="spoken")
    once = ev.ConsentRecorded(at=0, interview=True, recording=True, version="1", method="key")
    agreed = once.model_copy(update={"recording_method": "key"})
    phone, web = (ev.CallJoined(at=1, channel=one, epoch=1) for one in ("phone", "web"))
    assert happened("by_telephone", told, agreed, phone)
    assert not happened("by_telephone", told, agreed, phone, web)
    assert not happened("by_telephone", told, once, phone)


def test_moves_that_need_a_page_are_not_missed_by_telephone() -> None:
    assert not happened("every_spoken_move", MOVED)
    moves = [RepeatQuestion(), NextQuestion()]
    assert len(MOVE_NAMES) == 7 and not happened(
        "every_spoken_move", *(MOVED.model_copy(update={"move": move}) for move in moves)
    )


def test_a_voice_is_counted_and_a_hiss_is_not() -> None:
    hiss, voice = np.full(8000, 100, np.int16), np.full(4000, 900, np.int16)
    assert spoken_s(np.concatenate((hiss, voice))) == pytest.approx(0.5)
    assert spoken_s(np.zeros(0, np.int16)) == 0


def test_what_is_missing_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(possible.shutil, "which", lambda name, path: None)
    assert main(Options(phone=True)) == 2
    told = capsys.readouterr().out
    assert "apt-get install janus kamailio iproute2 util-linux" in told


@pytest.mark.parametrize(
    "wrong",
    [
        (True, True, None, {}),
        (True, False, "http://127.0.0.1:9/v1", {"--loss": 0.0}),
        (False, False, None, {"--loss": 5.0}),
        (False, False, None, {"--loss": 0.0, "--jitter": 40.0}),
        (False, False, None, {"--reorder": 2.0}),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    wrong: tuple[bool, bool, str | None, dict[str, float]],
) -> None:
    with pytest.raises(typer.BadParameter):
        _check_way(*wrong)


def test_a_user_who_may_make_no_network_is_told_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "unshare: unshare failed: Operation not permitted\n"
    monkeypatch.setattr(possible.shutil, "which", lambda name, path: name)
    monkeypatch.setattr(
        possible.subprocess, "run", lambda *a, **k: CompletedProcess(a, 1, "", said)
    )
    assert main(Options(phone=True)) == 2
    told = capsys.readouterr().out
    assert "may not make here (unshare: unshare failed: Operation not permitted)" in told
    assert "Run it as root, or allow user namespaces." in told


@pytest.mark.parametrize("command", [possible.VIVA, ("python", "-m", "bench.phone_delay")])
def test_who_is_not_root_begins_again_as_the_root_of_a_namespace(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[str, ...]] = []
    monkeypatch.setattr(possible.os, "execvp", lambda file, words: begun.append(words))
    monkeypatch.setattr(possible.sys, "argv", ["viva", "--quick"])
    monkeypatch.setenv("PATH", "/usr/bin")
    for user in (0, 1000):
        monkeypatch.setattr(possible.os, "geteuid", lambda user=user: user)
        possible.enter(*command)
    assert begun == [(*possible.NAMESPACE, *command, "--quick")]
