import re
from importlib.resources import files

import pytest
from ruamel.yaml import YAML

from agent.plan import Plan
from server.rehearsal import answers
from server.rehearsal.candidates import VOICES, built_in
from server.rehearsal.script import (
    ALL_DEMANDS,
    NEEDS_VOICE,
    Performance,
    Script,
    Step,
    Turn,
    UnknownQuestion,
    for_plan,
)

SEEDS = range(12)


def plan(name: str) -> Plan:
    source = files("prompts") / "plans" / f"{name}.yaml"
    return Plan.model_validate(YAML(typ="safe").load(source.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def english() -> Plan:
    return plan("rehearsal_en")


@pytest.fixture(scope="module")
def chinese() -> Plan:
    return plan("rehearsal_zh")


def presses(script: Script) -> list[str]:
    return [step.press for step in script.steps() if step.press]


def test_the_default_candidate_has_something_for_every_question(english: Plan) -> None:
    script = for_plan(built_in(english), english)
    assert set(script.answers) == {question.id for question in english.questions()}
    assert script.demands == ALL_DEMANDS


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_keeps_what_the_run_must_contain(english: Plan, seed: int) -> None:
    script = built_in(english, seed)
    assert presses(script) == ["end", "skip"]
    assert sum(step.drop is not None for step in script.steps()) == 1
    assert [turn.barge_in_s for turn in script.answers["conflict"]] == [3.0, None]
    (long_answer,) = script.answers["project"]
    assert sum(step.pause is not None for step in long_answer.steps) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_no_slot_is_left_open_and_no_article_is_wrong(english: Plan, seed: int) -> None:
    words = " ".join(step.say for step in built_in(english, seed).steps() if step.say)
    assert not re.search(r"[{}]|\ba [aeio]", words)


def test_a_seed_gives_the_same_candidate_again_and_another_one_another(english: Plan) -> None:
    assert built_in(english, 3) == built_in(english, 3)
    assert len({built_in(english, seed).model_dump_json() for seed in SEEDS}) == len(SEEDS)


def test_the_chinese_candidate_types_everything(chinese: Plan) -> None:
    script = for_plan(built_in(chinese), chinese)
    assert not [step for step in script.steps() if step.say]
    assert [step for step in script.steps() if step.type]
    assert not NEEDS_VOICE & set(script.demands)


def test_any_other_plan_gets_a_candidate_with_an_answer_to_every_question(english: Plan) -> None:
    other = english.model_copy(update={"plan_id": "another"})
    script = built_in(other)
    assert set(script.answers) == {question.id for question in other.questions()}
    assert script.demands == ()
    assert script.voice.name in VOICES


def test_turns_of_a_question_are_played_in_order_and_then_the_common_one() -> None:
    first, second = Turn(steps=(Step(say="One."),)), Turn(steps=(Step(say="Two."),))
    performance = Performance(Script(answers={"q": (first, second)}))
    assert performance.peek("q") == first
    assert [performance.take("q"), performance.take("q")] == [first, second]
    assert performance.left() == [] and performance.unforeseen == 0
    assert performance.take("q") == performance.script.otherwise
    assert performance.take(None) == performance.script.otherwise
    assert performance.unforeseen == 2


def test_a_typed_candidate_sends_what_was_said_before_and_after_a_drop_apart(english: Plan) -> None:
    typed = built_in(english).without_voice()
    assert not [step for step in typed.steps() if step.say or step.pause is not None]
    before, drop, after = typed.answers["mistake"][2].steps
    assert before.type and before.type.startswith("Once we found")
    assert drop.drop is not None
    assert after.type and after.type.startswith("To improve")
    assert not NEEDS_VOICE & set(typed.demands)


def test_a_script_for_a_question_that_is_not_there_is_refused_by_name(english: Plan) -> None:
    with pytest.raises(UnknownQuestion, match=r"no question hobbies.*warm_up"):
        for_plan(Script(answers={"hobbies": (Turn(steps=(Step(say="Yes."),)),)}), english)


GOOD = """\
language: en
answers:
  warm_up:
    - steps:
        - say: In my free time I enjoy running and cooking.
        - pause: 0.5
"""


def test_a_file_of_answers_is_read() -> None:
    script = answers.parse(GOOD)
    assert script.spoken("warm_up") == "In my free time I enjoy running and cooking."
    assert script.demands == ()


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (GOOD.replace("pause: 0.5", "pause: soon"), 6),
        (GOOD.replace("pause: 0.5", "shout: hello"), 6),
        (GOOD.replace("pause: 0.5", "pause: 0.5\n          say: And more."), 6),
        (GOOD.replace("language: en", "language: fr"), 1),
        (GOOD.replace("steps:", "steps: []\n      more:"), 4),
        (GOOD.replace("pause: 0.5", "pause: {{"), 7),
    ],
)
def test_a_wrong_file_of_answers_is_refused_with_its_line(wrong: str, line: int) -> None:
    with pytest.raises(answers.BadAnswers, match=rf"answers, line {line}: "):
        answers.parse(wrong)


def test_an_empty_or_missing_file_of_answers_is_refused() -> None:
    with pytest.raises(answers.BadAnswers, match="line 1"):
        answers.parse("")
    with pytest.raises(answers.BadAnswers, match="cannot be read"):
        answers.load(files("prompts") / "plans" / "no_such_file.yaml")  # type: ignore[arg-type]
