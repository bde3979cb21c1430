import asyncio
import logging
import os
import time
from pathlib import Path

import pytest
from voices_for_tests import UNIT_S, ToneVoice, runs

from tts.cache import RenderedLines
from tts.voice import voice_id

LINES = ["Welcome to the interview.", "What is a deadlock?", "Thank you for your time."]


def told(cache: RenderedLines, text: str, voice: ToneVoice) -> list[tuple[int, float]] | None:
    frames = cache.frames(text, voice_id(voice))
    return frames and runs(b"".join(bytes(frame.data) for frame in frames))


def said(text: str, value: int) -> list:
    return [(value, pytest.approx(len(text) * UNIT_S, abs=0.02))]


async def test_lines_are_ready_after_rendering() -> None:
    cache, voice = RenderedLines(), ToneVoice("first", 100)
    assert told(cache, LINES[0], voice) is None
    result = await cache.render(LINES, voice)
    assert (result.ready, result.failed) == (3, 0)
    for line in LINES:
        assert told(cache, line, voice) == said(line, 100)


async def test_a_line_is_known_by_its_words_not_its_marks() -> None:
    cache, voice = RenderedLines(), ToneVoice("first", 100)
    await cache.render(["What is a **deadlock**?", "What is a deadlock?", "**"], voice)
    assert voice.asked == ["What is a deadlock?"]
    assert told(cache, " What is\na deadlock? ", voice) is not None


async def test_each_voice_has_its_own_rendering(tmp_path: Path) -> None:
    cache = RenderedLines(tmp_path)
    first, second = ToneVoice("first", 100), ToneVoice("second", 200)
    await cache.render(LINES[:1], second)
    assert told(cache, LINES[0], first) is None
    await cache.render(LINES[:1], first)
    assert told(cache, LINES[0], first) == said(LINES[0], 100)
    assert told(cache, LINES[0], second) == said(LINES[0], 200)


async def test_a_restart_finds_the_lines_on_disk(tmp_path: Path) -> None:
    await RenderedLines(tmp_path).render(LINES, ToneVoice("first", 100))
    cache, voice = RenderedLines(tmp_path), ToneVoice("first", 100)
    await cache.render(LINES, voice)
    assert voice.asked == []
    assert told(cache, LINES[1], voice) == said(LINES[1], 100)


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-2], lambda data: data[:60] + b"\xff" + data[61:], lambda data: b""],
    ids=["cut short", "altered", "empty"],
)
async def test_a_damaged_file_is_rendered_again(tmp_path: Path, damage) -> None:
    voice = ToneVoice("first", 100)
    before = RenderedLines(tmp_path)
    await before.render(LINES[:1], voice)
    path = before.path(LINES[0], voice_id(voice))
    assert path is not None
    path.write_bytes(damage(path.read_bytes()))
    cache = RenderedLines(tmp_path)
    await cache.render(LINES[:1], voice)
    assert len(voice.asked) == 2
    assert told(cache, LINES[0], voice) == said(LINES[0], 100)
    again = RenderedLines(tmp_path)
    await again.render(LINES[:1], voice)
    assert len(voice.asked) == 2  # the file is whole again


async def test_a_full_disk_costs_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache, voice = RenderedLines(tmp_path), ToneVoice("first", 100)
    path = cache.path(LINES[0], voice_id(voice))
    assert path is not None
    # The kernel's own "no space left on device".
    os.symlink("/dev/full", path.with_suffix(f".{os.getpid()}.part"))
    with caplog.at_level(logging.WARNING):
        result = await cache.render(LINES[:1], voice)
    assert result.ready == 1
    assert told(cache, LINES[0], voice) == said(LINES[0], 100)
    assert "No space left on device" in caplog.text
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_cannot_be_made_costs_no_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache, voice = RenderedLines(tmp_path / "file" / "lines"), ToneVoice("first", 100)
    await cache.render(LINES, voice)
    assert told(cache, LINES[2], voice) == said(LINES[2], 100)


async def test_memory_and_disk_are_bounded(tmp_path: Path) -> None:
    line_bytes = int(len(LINES[0]) * UNIT_S * 48_000)
    cache = RenderedLines(tmp_path, max_bytes=int(2.5 * line_bytes))
    voice = ToneVoice("first", 100)
    await cache.render([f"{LINES[0][:-2]}{i}." for i in range(8)], voice)
    kept = [told(cache, f"{LINES[0][:-2]}{i}.", voice) is not None for i in range(8)]
    assert sum(kept) == 2
    assert sum(file.stat().st_size for file in os.scandir(tmp_path)) <= 2.5 * line_bytes


async def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    for name, age_s in (("old.1.part", 7200), ("new.1.part", 0)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    await RenderedLines(tmp_path).render([], ToneVoice("first", 100))
    assert os.listdir(tmp_path) == ["new.1.part"]


async def test_only_a_few_lines_are_rendered_at_once() -> None:
    voice = ToneVoice("first", 100)
    voice.hold = asyncio.Event()
    task = asyncio.create_task(
        RenderedLines(at_once=2).render([f"Line {i}." for i in range(8)], voice)
    )
    async with asyncio.timeout(10):
        while voice.active < 2:  # noqa: ASYNC110 - a test's voice has no condition to wait on
            await asyncio.sleep(0.001)
    voice.hold.set()
    await task
    assert voice.most_active == 2
    assert len(voice.asked) == 8


async def test_two_sessions_with_one_plan_render_it_once() -> None:
    cache, voice = RenderedLines(), ToneVoice("first", 100)
    results = await asyncio.gather(*(cache.render(LINES, voice) for _ in range(3)))
    assert [result.ready for result in results] == [3, 3, 3]
    assert sorted(voice.asked) == sorted(LINES)


async def test_a_failing_voice_loses_only_its_lines_and_is_given_up() -> None:
    cache = RenderedLines(at_once=1)
    fails = ToneVoice("first", 100, fail_after=lambda text: None if "deadlock" in text else 0.0)
    result = await cache.render(LINES, fails)
    assert (result.ready, result.failed) == (1, 2)
    down = ToneVoice("second", 100, fail_after=lambda text: 0.0)
    result = await cache.render([f"Line {i}." for i in range(20)], down)
    assert (result.ready, result.failed) == (0, 20)
    assert len(down.asked) == 3


async def test_each_look_up_gives_frames_of_its_own() -> None:
    cache, voice = RenderedLines(), ToneVoice("first", 100)
    await cache.render(LINES[:1], voice)
    one, two = [cache.frames(LINES[0], voice_id(voice)) for _ in range(2)]
    assert one and two
    one[0].userdata["mark"] = True
    assert two[0].userdata == {}
