from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from agent import planfile
from agent.plan import DIMENSIONS, Plan
from agent.planfile import PlanError

SHIPPED = sorted(
    Path(str(entry)) for entry in files("prompts.plans").iterdir() if entry.name.endswith(".yaml")
)
ENGINEER = next(path for path in SHIPPED if path.name == "backend_engineer_en.yaml")
TEXT = ENGINEER.read_text(encoding="utf-8")


def complaints(source: str | bytes) -> tuple[str, ...]:
    with pytest.raises(PlanError) as raised:
        planfile.parse(source, "p.yaml")
    return raised.value.complaints


def line_of(words: str, text: str) -> int:
    return next(i for i, line in enumerate(text.splitlines(), 1) if words in line)


# --- the plans we ship ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_plan_is_without_problem_and_fits_the_schema(path: Path) -> None:
    plan = planfile.load(path)
    assert plan.plan_id == path.stem
    value = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(json.dumps(value)), planfile.schema())


@pytest.mark.parametrize("name", ["backend_engineer_en", "backend_engineer_zh"])
def test_a_worked_plan_has_what_a_worked_plan_shows(name: str) -> None:
    plan = planfile.load(ENGINEER.with_name(f"{name}.yaml"))
    scored = [q for stage in plan.stages if stage.scored for q in stage.questions]
    assert len(scored) == 5
    assert {rubric.dimension for rubric in plan.rubrics} == set(DIMENSIONS)
    assert len(plan.faq) >= 5
    assert plan.stages[0].kind == "practice"
    assert [stage.kind for stage in plan.stages][-2:] == ["candidate_questions", "closing"]
    assert plan.policy.extra_time_factor > 1
    for question in scored:
        assert question.must_ask and question.free_probe
        assert question.ideal_answer_points and question.probes and len(question.checks) >= 5
        judged = {check.dimension for check in question.checks}
        assert len(judged) >= 2


def test_both_worked_plans_ask_the_same() -> None:
    english, chinese = (
        planfile.load(ENGINEER.with_name(f"backend_engineer_{language}.yaml"))
        for language in ("en", "zh")
    )

    def shape(plan: Plan) -> list[object]:
        return [
            (q.id, q.rubric_ids, q.max_probes, [c.id for c in q.checks], [p.id for p in q.probes])
            for q in plan.questions()
        ]

    assert shape(english) == shape(chinese)
    assert english.dimension_weights == chinese.dimension_weights


# --- problems have lines -------------------------------------------------------------------------


def test_a_problem_names_file_line_place_and_remedy() -> None:
    broken = TEXT.replace("max_probes: 2", "max_probs: 2", 1)
    (complaint,) = complaints(broken)
    line = line_of("max_probs", broken)
    assert complaint.startswith(f"p.yaml:{line}: stages › technical › questions › slow_endpoint")
    assert "did you mean 'max_probes'?" in complaint


def test_every_problem_is_listed_in_the_order_of_the_file() -> None:
    broken = (
        TEXT.replace('version: "1"', "version: 1", 1)
        .replace("level: mid", "level: middle", 1)
        .replace("must_have: true", "must_have: perhaps", 1)
        .replace("retention_days: 90", "retention_days: soon", 1)
    )
    found = complaints(broken)
    lines = [int(complaint.split(":")[1]) for complaint in found]
    assert len(found) == 4
    assert lines == sorted(lines)
    assert "put it in quotes" in found[0]
    assert "true or false" in found[2]
    assert "a number" in found[3]


def test_a_folded_text_is_one_line_without_marks() -> None:
    assert planfile.load(ENGINEER).policy.greeting.isprintable()


def test_a_reference_to_nothing_is_found_at_its_line() -> None:
    broken = TEXT.replace("rubric_ids: [technical_skill, problem", "rubric_ids: [skil, problem", 1)
    (complaint,) = complaints(broken)
    assert complaint.startswith(f"p.yaml:{line_of('rubric_ids: [skil', broken)}: ")
    assert "no rubric 'skil'" in complaint


def test_a_missing_key_is_placed_at_its_parent() -> None:
    broken = TEXT.replace("  greeting: >-", "  greetings: >-", 1)
    found = complaints(broken)
    assert any("greeting: is missing; add `greeting:`" in complaint for complaint in found)
    assert any("did you mean 'greeting'?" in complaint for complaint in found)


def test_json_is_read_too_and_its_errors_have_lines() -> None:
    value = YAML(typ="safe").load(TEXT)
    assert planfile.parse(json.dumps(value)) == planfile.load(ENGINEER)
    value["job"]["level"] = "middle"
    text = json.dumps(value, indent="\t", ensure_ascii=False)
    (complaint,) = complaints(text)
    assert complaint.startswith(f"p.yaml:{line_of('middle', text)}: job › level")


# --- what plain data does not need ---------------------------------------------------------------

BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (BOMB, "p.yaml:2: aliases"),
        ("a: !!python/object/apply:os.system [id]", "p.yaml:1: tags"),
        ("a: !<tag:yaml.org,2002:python/name:os.system> x", "p.yaml:1: tags"),
        ("title: a\njob: b\ntitle: c", "p.yaml:3: the key 'title' stands twice"),
        ('{"title": "a", "title": "b"}', "the key 'title' stands twice"),
        ("a: 1\n---\nb: 2", "a second document"),
        ("x: " + "[" * 50, "nested too deeply"),
        ("x: " + "[{a: " * 50, "nested too deeply"),
        ("{" * 50, "p.yaml:1: not JSON"),
        ('{"a":' * 5000, "not usable JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ("a: [1, 2", "p.yaml:1: not YAML"),
        ("a: b: c", "p.yaml:1: not YAML"),
        ("", "p.yaml:1: empty"),
        ("# only a comment\n", "empty"),
        ("- a\n- b", "has to be a mapping"),
        ("just words", "has to be a mapping"),
        ("a: \x00", "not YAML"),
        (b"title: \xff\xfe", "not UTF-8"),
        (b"a: 1\nb: \xff", "p.yaml:2: not UTF-8"),
        ("a: " + "x" * planfile.MAX_BYTES, "larger than"),
        ("\ud800", "not UTF-8"),
    ],
)
def test_it_is_refused_with_a_reason(source: str | bytes, words: str) -> None:
    assert any(words in complaint for complaint in complaints(source))


def test_dates_and_odd_numbers_stay_text() -> None:
    dated = TEXT.replace("disclosure_version: en-1", "disclosure_version: 2024-01-01", 1)
    assert planfile.parse(dated).policy.disclosure_version == "2024-01-01"


def test_a_file_that_is_not_there_is_a_problem_like_any_other(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        planfile.load(tmp_path / "none.yaml")
    with pytest.raises(PlanError, match="cannot be read"):
        planfile.load(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(TEXT, encoding="utf-8-sig")
    assert planfile.load(path).plan_id == "backend_engineer_en"


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80) | st.binary(max_size=80))
def test_any_text_is_a_plan_or_a_plan_error(source: str | bytes) -> None:
    with pytest.raises(PlanError):
        planfile.parse(source)


SNIPPETS = [
    "[",
    "]",
    "{",
    "}",
    ": ",
    "- ",
    "&a ",
    "*a ",
    "!x ",
    "\n",
    "  ",
    "'",
    '"',
    "|",
    "#",
    "?",
]


@example(["%YAML 1.1", "1"])  # a version that there is not
@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*SNIPPETS, "title", "1", "~", "<<", "%YAML 1.1"]), max_size=25))
def test_any_piece_of_yaml_is_a_plan_or_a_plan_error(parts: list[str]) -> None:
    with pytest.raises(PlanError):
        planfile.parse("".join(parts))
