"""The one file of an interview: put together again only when something was recorded since."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from server.media.recording import Recorder
from server.recordings import FolderRecordings

RATE = 16000


async def record(folder: Path, wall: float = 1000.0) -> None:
    recorder = Recorder(folder, wall=lambda: wall)
    await recorder.start()
    sound = (9000 * np.sin(np.arange(RATE) / 7)).astype(np.int16)
    recorder.heard(
        rtc.AudioFrame(sound.tobytes(), RATE, 1, RATE), asyncio.get_running_loop().time()
    )
    await recorder.stop()


async def test_it_says_when_it_begins_and_nothing_of_what_is_not_there(tmp_path: Path) -> None:
    recordings = FolderRecordings(tmp_path)
    assert await recordings.started_at("ada") is None and await recordings.audio("ada") is None
    await record(tmp_path / "ada", wall=1234.5)
    assert await recordings.started_at("ada") == 1234.5
    await recordings.erase("ada")
    assert await recordings.started_at("ada") is None and await recordings.audio("ada") is None


@pytest.mark.parametrize("torn", ["", "{", '{"started_at": null}', "[]", '"x"'])
async def test_a_beginning_that_was_written_half_is_not_known(tmp_path: Path, torn: str) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "timeline.json").write_text(torn)
    assert await FolderRecordings(tmp_path).started_at("ada") is None


async def test_it_is_put_together_once_until_more_was_recorded(tmp_path: Path) -> None:
    recordings = FolderRecordings(tmp_path)
    await record(tmp_path / "ada")
    first = await recordings.audio("ada")
    assert first is not None
    made = os.stat(first).st_mtime_ns
    assert await recordings.audio("ada") == first and os.stat(first).st_mtime_ns == made
    before = first.stat().st_size
    await record(tmp_path / "ada", wall=1010.0)
    again = await recordings.audio("ada")
    assert again is not None and again.stat().st_size > before
