"""The benchmark's sessions hold what its figures rest on, with espeak-ng as the candidate."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from bench.human_speech import Answer, Pause
from bench.latency_figures import ending
from bench.latency_sessions import ARMS, OURS, Setting, Trace, talk
from bench.latency_stubs import Delays
from bench.turn_latency import synthetic

pytestmark = pytest.mark.session


def answer() -> Answer:
    """Two sentences, and a pause between them that every arm takes for the end at 0.6 s."""
    first, second, *_ = (clip.pcm for clip in synthetic())
    start, pause_s = len(first) / 16_000, 2.0
    pcm = np.concatenate((first, np.zeros(round(pause_s * 16_000), np.int16), second))
    return Answer(pcm, (Pause(start, start + pause_s, "between"),))


async def held(arm: str, said: Answer, folder: Path) -> Trace:
    async with talk(Setting(arm, 0.6, 0.6), Delays(), folder) as running:
        await asyncio.sleep(3.5)
        running.say(said.pcm)
        await asyncio.sleep(said.seconds)
        async with asyncio.timeout(60):
            while len(running.trace.starts) < 3:  # noqa: ASYNC110 — the greeting and two replies
                await asyncio.sleep(0.05)
        await asyncio.sleep(2.5)  # what comes once too often comes then
    return running.trace


async def test_every_arm_decides_and_replies_at_the_pause_and_at_the_end(tmp_path: Path) -> None:
    said = answer()
    async with asyncio.TaskGroup() as group:
        tasks = {arm: group.create_task(held(arm, said, tmp_path)) for arm in ARMS}
    for arm, task in tasks.items():
        trace = task.result()
        found = ending(said, trace.began, trace.decisions, trace.starts)
        assert found.cut == {"inside": 0, "between": 1}, arm
        assert found.total is not None, arm
        assert trace.calls.recogniser >= 2, arm
        assert trace.calls.heard == 2, arm


async def test_after_being_talked_over_the_next_reply_is_begun_before_the_decision(
    tmp_path: Path,
) -> None:
    """LiveKit begins none while the interrupted one is only held."""
    trace = await held(OURS, answer(), tmp_path)
    assert len(trace.decisions) == 2
    assert trace.calls.model == 2, "nothing that was begun was thrown away"
    assert all(
        asked < decided
        for asked, decided in zip(trace.calls.model_at, trace.decisions, strict=True)
    )
