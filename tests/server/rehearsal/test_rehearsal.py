import json
from pathlib import Path

import jsonschema
import pytest

from agent.report import schema
from server.rehearsal.run import Options, main

pytestmark = pytest.mark.rehearsal


def held(out: Path, **more: object) -> dict[str, object]:
    """A rehearsal that broke no rule; its report."""
    assert main(Options(out=out, **more)) == 0  # type: ignore[arg-type]
    report: dict[str, object] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(report)
    return report


def test_the_default_rehearsal_breaks_no_rule(tmp_path: Path) -> None:
    report = held(tmp_path)
    assert report["status"] == "complete" and report["channels"] == ["web"]
    assert (tmp_path / "interview.ogg").stat().st_size > 100_000


def test_a_typed_rehearsal_breaks_no_rule(tmp_path: Path) -> None:
    assert held(tmp_path, text=True)["channels"] == ["text"]
    assert not (tmp_path / "interview.ogg").exists()


def test_a_chinese_rehearsal_breaks_no_rule(tmp_path: Path) -> None:
    assert held(tmp_path, lang="zh")["language"] == "zh"


def test_a_refused_recording_leaves_no_audio_of_any_kind(tmp_path: Path) -> None:
    data = tmp_path / "data"
    held(tmp_path / "out", recording=False, data_dir=data)
    sounds = {".ogg", ".opus", ".wav", ".pcm", ".part", ".webm", ".raw"}
    rendered = data / "rendered"  # the interviewer's own lines, of no call
    left = [path for path in data.rglob("*") if path.suffix in sounds]
    assert [path for path in left if rendered not in path.parents] == []
