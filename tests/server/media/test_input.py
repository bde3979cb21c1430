"""The candidate's sound for the session."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from livekit import rtc

from server.media.input import MAX_WAITING, RtcAudioInput


def feed(source: RtcAudioInput, blocks: int, start: float = 10.0) -> None:
    for n in range(blocks):
        source.feed(np.full(960, n, np.int16), 48000, start + n * 0.02)


async def test_sound_comes_in_20_ms_frames_at_16_khz() -> None:
    source = RtcAudioInput()
    feed(source, 10)
    source.close()
    frames = [frame async for frame in source]
    assert [(f.sample_rate, f.num_channels, f.samples_per_channel) for f in frames] == [
        (16000, 1, 320)
    ] * 10


async def test_frames_are_dated_by_when_they_were_sent() -> None:
    source, seen = RtcAudioInput(), []
    source.on_heard = lambda frame, at: seen.append(at)
    for n in range(9):  # blocks that are no multiple of a frame
        source.feed(np.zeros(1200, np.int16), 48000, 10.0 + n * 0.025)
    assert np.allclose(seen, 10.0 + np.arange(11) * 0.02, atol=0.005)
    assert np.allclose(np.diff(seen), 0.02, atol=1e-6)


async def test_waiting_for_sound_ends_when_it_comes() -> None:
    source = RtcAudioInput()
    waiting = asyncio.create_task(anext(source))
    await asyncio.sleep(0)
    feed(source, 2)
    assert (await asyncio.wait_for(waiting, 1)).sample_rate == 16000
    source.close()


async def test_closing_ends_the_iteration_of_one_who_waits() -> None:
    source = RtcAudioInput()
    waiting = asyncio.create_task(anext(source))
    await asyncio.sleep(0)
    source.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_session_that_does_not_come_costs_ten_seconds_of_memory() -> None:
    source = RtcAudioInput()
    feed(source, MAX_WAITING + 50)
    source.close()
    assert len([frame async for frame in source]) == MAX_WAITING
    assert source.dropped == 50


async def test_the_recorder_hears_what_the_session_does_not() -> None:
    source, seen = RtcAudioInput(), []
    source.on_heard = lambda frame, at: seen.append(frame)
    source.on_detached()
    feed(source, 5)
    assert len(seen) == 5
    assert isinstance(seen[0], rtc.AudioFrame)
