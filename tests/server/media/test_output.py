"""The interviewer's voice: paced, paused, interrupted, and heard to its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from livekit import rtc

from server.media.outgoing import FRAME, SAMPLE_RATE, OutgoingTrack
from server.media.output import RtcAudioOutput


def spoken(seconds: float, rate: int = SAMPLE_RATE) -> rtc.AudioFrame:
    count = int(seconds * rate)
    pcm = (9000 * np.sin(2 * np.pi * 300 * np.arange(count) / rate)).astype(np.int16)
    return rtc.AudioFrame(pcm.tobytes(), rate, 1, count)


class Stage:
    """An output whose track is played by hand, 20 ms at a time."""

    def __init__(self) -> None:
        self.output = RtcAudioOutput()
        self.track = OutgoingTrack()
        self.output.attach(self.track)
        self.events: list[tuple] = []
        self.tapped = 0
        self.output.on("playback_started", lambda _: self.events.append(("started",)))
        self.output.on(
            "playback_finished",
            lambda e: self.events.append(
                ("finished", round(e.playback_position, 3), e.interrupted)
            ),
        )
        self.output.on_played = self._tap

    def _tap(self, frame: rtc.AudioFrame, at: float) -> None:
        self.tapped += frame.samples_per_channel

    def play(self, frames: int) -> int:
        """How many of that many frames were not silence."""
        assert self.track.source is not None
        sounds = [self.track.source(n * 0.02) for n in range(frames)]
        return sum(sound is not None for sound in sounds)

    async def say(self, seconds: float, flush: bool = True) -> None:
        await self.output.capture_frame(spoken(seconds))
        if flush:
            self.output.flush()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    made = Stage()
    yield made
    made.output.close()
    made.track.stop()


async def heard_out() -> None:
    """The last frame takes its 20 ms."""
    await asyncio.sleep(0.03)


async def test_a_segment_starts_at_its_first_frame_and_ends_when_heard(stage: Stage) -> None:
    await stage.say(0.1)
    assert stage.events == []
    assert stage.play(1) == 1
    assert stage.events == [("started",)]
    assert stage.play(10) == 4
    assert stage.events == [("started",)]
    await heard_out()
    assert stage.events == [("started",), ("finished", 0.1, False)]
    assert stage.tapped == 0.1 * SAMPLE_RATE


async def test_waiting_for_playout_ends_with_the_segment(stage: Stage) -> None:
    await stage.say(0.04)
    waiting = asyncio.create_task(stage.output.wait_for_playout())
    stage.play(2)
    event = await asyncio.wait_for(waiting, 1)
    assert (event.playback_position, event.interrupted) == (0.04, False)


async def test_an_odd_end_is_played_whole_and_padded(stage: Stage) -> None:
    await stage.say(0.05)
    sounds = [stage.track.source(0.0) for _ in range(3)]
    assert [len(s) for s in sounds if s is not None] == [FRAME] * 3
    await heard_out()
    assert stage.events[-1] == ("finished", 0.05, False)


async def test_interruption_stops_within_a_frame_and_is_reported_once(stage: Stage) -> None:
    await stage.say(1.0)
    stage.play(5)
    stage.output.clear_buffer()
    stage.output.clear_buffer()
    assert stage.play(10) == 0
    await heard_out()
    assert stage.events == [("started",), ("finished", 0.1, True)]


async def test_interrupted_before_the_first_frame_nothing_had_started(stage: Stage) -> None:
    await stage.say(1.0)
    stage.output.clear_buffer()
    assert stage.events == [("finished", 0.0, True)]


async def test_what_comes_after_an_interruption_belongs_to_the_dead_segment(stage: Stage) -> None:
    await stage.say(0.5, flush=False)
    stage.play(2)
    stage.output.clear_buffer()
    await stage.say(0.5, flush=False)
    stage.output.clear_buffer()
    await stage.say(0.5)
    assert stage.play(5) == 0
    await stage.say(0.02)
    assert stage.play(5) == 1
    await heard_out()
    assert stage.events == [
        ("started",),
        ("finished", 0.04, True),
        ("started",),
        ("finished", 0.02, False),
    ]


async def test_pausing_again_and_again_loses_nothing(stage: Stage) -> None:
    await stage.say(0.1)
    stage.play(2)
    for _ in range(10):
        stage.output.pause()
        assert stage.play(1) == 0
    stage.output.resume()
    stage.output.resume()
    assert stage.play(5) == 3
    await heard_out()
    assert stage.events == [("started",), ("finished", 0.1, False)]


async def test_a_slow_voice_is_waited_for_in_whole_frames(stage: Stage) -> None:
    await stage.say(0.05, flush=False)
    assert stage.play(5) == 2
    await stage.say(0.01, flush=False)
    assert stage.play(5) == 1
    stage.output.flush()
    stage.play(1)
    await heard_out()
    assert stage.events == [("started",), ("finished", 0.06, False)]


async def test_segments_follow_one_another(stage: Stage) -> None:
    await stage.say(0.04)
    await stage.say(0.02)
    stage.play(2)
    await heard_out()
    stage.play(1)
    await heard_out()
    assert stage.events == [
        ("started",),
        ("finished", 0.04, False),
        ("started",),
        ("finished", 0.02, False),
    ]


async def test_a_flush_with_nothing_to_say_is_nothing(stage: Stage) -> None:
    stage.output.flush()
    stage.play(2)
    assert stage.events == []


async def test_without_a_peer_time_goes_on(stage: Stage) -> None:
    await stage.say(0.2)
    stage.play(2)
    stage.output.detach()
    event = await asyncio.wait_for(stage.output.wait_for_playout(), 2)
    assert event.playback_position == pytest.approx(0.2)


async def test_a_peer_that_goes_away_is_let_go_of(stage: Stage) -> None:
    await stage.say(0.1)
    stage.track.stop()
    assert stage.track.source is None
    await asyncio.wait_for(stage.output.wait_for_playout(), 2)
    assert stage.events == [("started",), ("finished", 0.1, False)]


async def test_a_segment_goes_on_at_the_next_peer(stage: Stage) -> None:
    await stage.say(0.1)
    stage.play(2)
    track = OutgoingTrack()
    stage.output.attach(track)
    assert stage.track.source is None
    stage.track.stop()  # the old one's end must not take the new one away
    stage.track = track
    assert stage.play(5) == 3


async def test_a_failing_listener_does_not_stop_the_voice(stage: Stage) -> None:
    def failing(event: object, unwanted: object) -> None:
        """Cannot be called with one argument."""

    stage.output.on("playback_started", failing)
    await stage.say(0.1)
    assert stage.play(10) == 5


async def test_any_rate_is_brought_to_ours(stage: Stage) -> None:
    await stage.output.capture_frame(spoken(0.2, rate=48000))
    stage.output.flush()
    assert stage.play(20) == 10


async def test_a_track_paces_packets_of_20_ms() -> None:
    track, loop = OutgoingTrack(), asyncio.get_running_loop()
    begin = loop.time()
    packets = [await track.recv() for _ in range(6)]
    assert loop.time() - begin >= 0.099
    assert [packet.pts for packet in packets] == [n * 960 for n in range(6)]
    track.stop()


async def test_a_failing_source_is_silence() -> None:
    track = OutgoingTrack("pcmu")

    def failing(at: float) -> None:
        raise RuntimeError("no sound")

    track.source = failing
    assert bytes(await track.recv()) == b"\xff" * 160
    track.stop()
