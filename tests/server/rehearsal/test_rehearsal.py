import json
import sys
from pathlib import Path
from typing import Any

import alone
import jsonschema
import pytest
from ruamel.yaml import YAML

from agent.report import schema
from server.rehearsal.run import Options, main, shipped_plan

pytestmark = pytest.mark.rehearsal

WITHIN_S = 900.0
UNJUDGED = ("problem_solving", "clarity", "logic")
"""By the one scored question of the short plan."""


def held(out: Path, **more: object) -> dict[str, Any]:
    """A rehearsal that broke no rule; its report."""
    assert main(Options(out=out, **more)) == 0  # type: ignore[arg-type]
    return report_in(out)


def report_in(out: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(report)
    return report


def viva(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", "from server.cli import main; main()", *arguments)


def test_the_default_rehearsal_breaks_no_rule_and_tries_nothing_off_this_machine(
    tmp_path: Path,
) -> None:
    """In a network namespace with loopback only, where every attempt to leave is counted."""
    if reason := alone.why_not():
        print(f"Not proven here that nothing leaves the machine, for want of a namespace: {reason}")
        report = held(tmp_path)
    else:
        command = viva("rehearse", "--out", str(tmp_path))
        told = alone.run(tmp_path / "told.json", command, WITHIN_S)
        assert told == alone.Told(status=0, interfaces=["lo"], attempts=0, noticed=2)
        report = report_in(tmp_path)
    assert report["status"] == "complete" and report["channels"] == ["web"]
    assert (tmp_path / "interview.ogg").stat().st_size > 100_000


def test_a_typed_rehearsal_breaks_no_rule(tmp_path: Path) -> None:
    assert held(tmp_path, text=True)["channels"] == ["text"]
    assert not (tmp_path / "interview.ogg").exists()


def test_a_chinese_rehearsal_breaks_no_rule(tmp_path: Path) -> None:
    assert held(tmp_path, lang="zh")["language"] == "zh"


def test_a_refused_recording_leaves_no_audio_of_any_kind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    report = held(tmp_path / "out", plan=short(tmp_path), recording=False, data_dir=data)
    assert report["channels"] == ["web"]  # it was spoken
    sounds = {".ogg", ".opus", ".wav", ".pcm", ".part", ".webm", ".raw"}
    rendered = data / "rendered"  # the interviewer's own lines, of no call
    left = [path for path in data.rglob("*") if path.suffix in sounds]
    assert [path for path in left if rendered not in path.parents] == []


def short(folder: Path) -> Path:
    """The shipped plan with one question for practice and one that counts."""
    plan = shipped_plan("rehearsal_en.yaml").model_dump(mode="json", exclude_unset=True)
    stages = {stage["id"]: stage for stage in plan["stages"]}
    stages["work"]["questions"] = stages["work"]["questions"][:1]
    plan["stages"] = [stages[name] for name in ("practice", "work", "closing")]
    plan["rubrics"] = plan["rubrics"][:1]
    plan |= {"plan_id": "short", "dimension_weights": dict.fromkeys(UNJUDGED, 0)}
    file = folder / "short.yaml"
    with file.open("w", encoding="utf-8") as out:
        YAML(typ="safe").dump(plan, out)
    return file
