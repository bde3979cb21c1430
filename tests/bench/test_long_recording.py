"""A recording is made, transcribed by a process of its own, and counted."""

from pathlib import Path

from bench.long_recording import measured


def test_two_speakers_are_measured_and_heard_without_an_error(tmp_path: Path) -> None:
    found = measured(tmp_path, minutes=0.2, speakers=2)
    assert (found.errors, found.complete, found.dropped) == (0, True, 0)
    assert found.words > 20
    assert found.segments >= 4
    assert 0.2 < found.minutes < 0.3
    assert found.cpu_s > 0
    assert 50 < found.peak_mb < 2000
