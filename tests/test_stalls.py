"""A real-time test that failed is taken again, once, and the summary says why it failed."""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
from pathlib import Path

from server.media import outgoing
from tests.stalls import FRAME_S, TORN_S, Stalls

ROOT = Path(__file__).parents[1]
PATIENT = "    import tests.stalls; tests.stalls.TORN_S = 1e9"  # no machine stalls for so long


def hold_up() -> None:
    """No other thread has a turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1.0)
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        pass
    sys.setswitchinterval(before)


def outcome(tmp_path: Path, body: str, marker: str = "media") -> str:
    """The summary of a run with one test, which is marked so."""
    lines = ["import pytest, sys, time", inspect.getsource(hold_up), "taken = []"]
    lines += [f"@pytest.mark.{marker}", "def test_it():", "    taken.append(1)", body]
    (tmp_path / "test_it.py").write_text("\n".join(lines))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = media\n    quick\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-q", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ran.stdout


def test_what_failed_on_a_stalled_machine_is_taken_again(tmp_path: Path) -> None:
    summary = outcome(tmp_path, "    if len(taken) > 1: return\n    hold_up()\n    assert False")
    assert "1 passed, 1 rerun" in summary, summary
    told = summary.split("taken again: ")[1]
    assert "MachineStalled: held up for" in told and "it failed of: assert False" in told, summary


def test_what_failed_on_a_machine_that_ran_is_taken_again_and_its_reason_told(
    tmp_path: Path,
) -> None:
    body = f"{PATIENT}\n    if len(taken) > 1: return\n    assert taken == 'heard'"
    summary = outcome(tmp_path, body)
    assert "1 passed, 1 rerun" in summary, summary
    assert "AssertionError: assert [1] == 'heard'" in summary.split("taken again: ")[1], summary


def test_what_fails_again_has_failed_and_says_of_what(tmp_path: Path) -> None:
    summary = outcome(tmp_path, "    hold_up()\n    assert taken == 'heard'")
    assert "1 failed, 1 rerun" in summary, summary
    assert "MachineStalled: held up for" in summary and "taken == 'heard'" in summary


def test_a_failure_that_is_not_in_real_time_is_one_at_once(tmp_path: Path) -> None:
    summary = outcome(tmp_path, "    hold_up()\n    assert False", "quick")
    assert "1 failed in" in summary, summary


def test_a_watch_knows_how_long_the_process_was_held_up() -> None:
    stalls = Stalls()
    with stalls.watched():
        hold_up()
    assert stalls.worst_s > TORN_S and stalls.torn


def test_it_watches_for_what_tears_our_candidates_sound() -> None:
    assert (FRAME_S, TORN_S) == (outgoing.FRAME_S, outgoing.MAX_LAG_S)
