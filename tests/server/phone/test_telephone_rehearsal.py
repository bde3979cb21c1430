"""`viva rehearse --phone`, whole: the real server, Janus, kamailio, and a caller with a script."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from telephone_scripts import short

from agent.report import schema
from server.rehearsal.phone import possible

pytestmark = pytest.mark.phone

WITHIN_S = 900.0


def rehearsed(out: Path, *more: str) -> dict[str, Any]:
    """A rehearsal of its own process, that broke no rule; its report."""
    plan, candidate = short(out)
    asked = ("rehearse", "--phone", "--plan", plan, "--answers", candidate, "--out", out, *more)
    done = subprocess.run(
        (*possible.VIVA, *map(str, asked)), capture_output=True, text=True, timeout=WITHIN_S
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    report: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(report)
    return report


def test_a_rehearsal_by_telephone_breaks_no_rule(tmp_path: Path) -> None:
    if reason := possible.why_not():
        pytest.skip(reason)
    report = rehearsed(tmp_path)
    assert report["status"] == "complete" and report["channels"] == ["phone"]
    coverage = report["conduct"]["coverage"]
    assert coverage["asked"] == coverage["must_ask_total"]
    assert (tmp_path / "interview.ogg").stat().st_size > 20_000
