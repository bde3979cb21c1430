"""Recordings: placed by time, survived by what was written, and gone when erased."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import rtc

from server.media.ogg import OggOpusWriter, read_packets
from server.media.recording import HOLD_S, Recorder, assemble, damaged, erase


def tone(hz: float, seconds: float, rate: int) -> rtc.AudioFrame:
    count = int(seconds * rate)
    pcm = (12000 * np.sin(2 * np.pi * hz * np.arange(count) / rate)).astype(np.int16)
    return rtc.AudioFrame(pcm.tobytes(), rate, 1, count)


def frames(frame: rtc.AudioFrame, at: float) -> list[tuple[rtc.AudioFrame, float]]:
    pcm, size = np.frombuffer(frame.data, np.int16), frame.sample_rate // 50
    return [
        (
            rtc.AudioFrame(pcm[i : i + size].tobytes(), frame.sample_rate, 1, size),
            at + i / frame.sample_rate,
        )
        for i in range(0, len(pcm), size)
    ]


def decoded(path: Path) -> np.ndarray:
    """Stereo samples at 48 kHz, one row a channel."""
    with av.open(str(path)) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
    sound = np.concatenate(blocks, axis=1)
    return sound.reshape(2, -1) if sound.shape[0] == 2 else sound.reshape(-1, 2).T


def loud(channel: np.ndarray) -> list[tuple[float, float]]:
    """Stretches above the noise, in seconds."""
    level = np.abs(channel[: len(channel) // 480 * 480].reshape(-1, 480)).max(axis=1)
    threshold = 0.1 if channel.dtype.kind == "f" else 3000
    edges = np.flatnonzero(np.diff(np.concatenate(([0], level > threshold, [0]))))
    return [(a / 100, b / 100) for a, b in edges.reshape(-1, 2)]


def everything(folder: Path) -> list[Path]:
    return list(folder.rglob("*"))


async def test_nothing_is_created_before_consent(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "audio")
    now = asyncio.get_running_loop().time()
    recorder.heard(tone(440, 1, 16000), now)
    recorder.played(tone(440, 1, 24000), now)
    await recorder.stop()
    assert everything(tmp_path) == []
    assert recorder.offset(now) is None


async def test_each_side_is_where_and_when_it_was(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "audio")
    await recorder.start()
    begin = asyncio.get_running_loop().time()
    for frame, at in frames(tone(440, 0.6, 16000), begin + 0.3):
        recorder.heard(frame, at)
    for frame, at in frames(tone(300, 0.4, 24000), begin + 1.2):
        recorder.played(frame, at)
    assert recorder.offset(begin + 1.0) == pytest.approx(1.0, abs=0.05)
    await recorder.stop()
    result = assemble(tmp_path / "audio", tmp_path / "interview.ogg", ["TITLE=a test"])
    assert result is not None
    assert result.seconds == pytest.approx(1.6, abs=0.05)
    left, right = decoded(tmp_path / "interview.ogg")
    assert loud(left) == [pytest.approx((0.3, 0.9), abs=0.04)]
    assert loud(right) == [pytest.approx((1.2, 1.6), abs=0.04)]


async def test_late_sound_is_put_in_its_place(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "audio")
    await recorder.start()
    begin = asyncio.get_running_loop().time()
    recorder.heard(tone(440, 0.2, 16000), begin + 1.0)
    recorder.heard(tone(440, 0.2, 16000), begin + 0.2)  # came in a burst after a stall
    await recorder.stop()
    assemble(tmp_path / "audio", tmp_path / "interview.ogg")
    left, _ = decoded(tmp_path / "interview.ogg")
    assert loud(left) == [
        pytest.approx((0.2, 0.4), abs=0.04),
        pytest.approx((1.0, 1.2), abs=0.04),
    ]


async def test_sound_is_written_while_the_call_goes_on(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "audio")
    await recorder.start()
    begin = asyncio.get_running_loop().time()
    recorder.heard(tone(440, 0.5, 16000), begin)
    await asyncio.sleep(HOLD_S + 1.2)
    [chunk] = (tmp_path / "audio").glob("chunk-*.opus")
    assert len(list(read_packets(chunk.read_bytes()))) >= 25
    await recorder.stop()


async def test_chunks_have_hashes_that_show_damage(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    await recorder.start()
    begin = asyncio.get_running_loop().time()
    for n in range(6):  # 24 s, faster than time
        recorder.played(tone(300, 4.0, 24000), begin + n * 4.0)
        recorder._hand_over((n + 1) * 4 * 24000)
    await recorder.stop()
    entries = [json.loads(x) for x in (tmp_path / "chunks.jsonl").read_text().splitlines()]
    assert [e["start_s"] for e in entries] == [0.0, 10.0, 20.0]
    assert damaged(tmp_path) == []
    victim = tmp_path / entries[1]["name"]
    victim.write_bytes(victim.read_bytes()[:-1] + b"?")
    with (tmp_path / "chunks.jsonl").open("a") as torn:
        torn.write('{"name": "chu')
    assert damaged(tmp_path) == [victim.name]


async def test_a_second_recorder_goes_on_where_time_is(tmp_path: Path) -> None:
    for start, hz in ((1000.0, 440), (1003.0, 300)):
        recorder = Recorder(tmp_path / "audio", wall=lambda start=start: start)
        await recorder.start()
        recorder.heard(tone(hz, 0.5, 16000), asyncio.get_running_loop().time())
        await recorder.stop()
    result = assemble(tmp_path / "audio", tmp_path / "interview.ogg")
    assert result is not None
    assert result.silent_seconds == pytest.approx(2.5, abs=0.05)
    left, _ = decoded(tmp_path / "interview.ogg")
    assert loud(left) == [
        pytest.approx((0.0, 0.5), abs=0.04),
        pytest.approx((3.0, 3.5), abs=0.04),
    ]


async def test_a_clock_set_back_overwrites_nothing(tmp_path: Path) -> None:
    for wall in (1000.0, 10.0):
        recorder = Recorder(tmp_path / "audio", wall=lambda wall=wall: wall)
        await recorder.start()
        recorder.heard(tone(440, 0.5, 16000), asyncio.get_running_loop().time())
        await recorder.stop()
    result = assemble(tmp_path / "audio", tmp_path / "interview.ogg")
    assert result is not None
    assert result.chunks == 2
    assert result.seconds >= 1.0


async def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    recorder = Recorder(tmp_path / "audio", on_failed=failed.set_result)
    await recorder.start()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # as a full disk does
    try:
        noise = np.random.default_rng(1).integers(-9000, 9000, 24000 * 4, np.int16)
        begin = asyncio.get_running_loop().time()
        recorder.played(rtc.AudioFrame(noise.tobytes(), 24000, 1, len(noise)), begin)
        recorder._hand_over(24000 * 4)
        reason = await asyncio.wait_for(failed, 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "recording stopped" in reason
    assert not recorder.recording
    recorder.played(tone(300, 0.1, 24000), begin + 5)
    await recorder.stop()
    result = assemble(tmp_path / "audio", tmp_path / "interview.ogg")
    assert result is not None
    assert result.seconds > 0.5


async def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "audio").write_text("in the way")
    reasons: list[str] = []
    recorder = Recorder(tmp_path / "audio", on_failed=reasons.append)
    await recorder.start()
    assert "cannot begin" in reasons[0]
    assert not recorder.recording
    await recorder.stop()


async def test_a_folder_that_disappears_is_reported(tmp_path: Path) -> None:
    failed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    recorder = Recorder(tmp_path / "audio", on_failed=failed.set_result)
    await recorder.start()
    shutil.rmtree(tmp_path / "audio")
    recorder.played(tone(300, 0.5, 24000), asyncio.get_running_loop().time())
    recorder._hand_over(24000)
    assert "recording stopped" in await asyncio.wait_for(failed, 5)
    await recorder.stop()


async def test_erasing_leaves_nothing(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "audio")
    await recorder.start()
    recorder.heard(tone(440, 0.5, 16000), asyncio.get_running_loop().time())
    await recorder.stop()
    erase(tmp_path / "audio")
    erase(tmp_path / "audio")
    assert everything(tmp_path) == []


def test_no_chunks_make_no_file(tmp_path: Path) -> None:
    assert assemble(tmp_path, tmp_path / "interview.ogg") is None
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_loses_the_end_of_a_chunk_only(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
import numpy as np
from livekit import rtc
from server.media.recording import Recorder

async def main():
    recorder = Recorder(Path(sys.argv[1]))
    await recorder.start()
    begin = asyncio.get_running_loop().time()
    noise = np.random.default_rng(1).integers(-9000, 9000, 96000, np.int16)
    for n in range(6):
        recorder.played(rtc.AudioFrame(noise.tobytes(), 24000, 1, 96000), begin + n * 4)
        recorder._hand_over((n + 1) * 96000)
    while not (len(list(Path(sys.argv[1]).glob("chunk-*"))) == 3):
        await asyncio.sleep(0.01)
    print("written", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "audio")], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        time.sleep(0.3)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
    last = sorted((tmp_path / "audio").glob("chunk-*"))[-1]
    last.write_bytes(last.read_bytes()[:-100])  # and the disk kept only half of the last page
    result = assemble(tmp_path / "audio", tmp_path / "interview.ogg")
    assert result is not None
    assert 20.0 <= result.seconds < 24.0
    assert decoded(tmp_path / "interview.ogg").shape[1] >= 20 * 48000


@given(st.lists(st.binary(max_size=700), max_size=120), st.integers(0, 1 << 20))
def test_pages_are_read_back_as_far_as_they_are_whole(packets: list[bytes], cut: int) -> None:
    class Memory(bytearray):
        def write(self, data: bytes) -> int:
            self.extend(data)
            return len(data)

    file = Memory()
    OggOpusWriter(file, channels=2, rate=24000, pre_skip=312).write(packets)  # type: ignore[arg-type]
    assert list(read_packets(bytes(file))) == packets
    part = list(read_packets(bytes(file[:cut])))
    assert part == packets[: len(part)]


@given(st.binary(max_size=2000))
def test_rubbish_has_no_packets_and_no_exceptions(data: bytes) -> None:
    assert list(read_packets(b"OggS" + data)) == []
