"""`viva asr` as a process: two sessions at once, a graceful stop, and kills in mid-answer."""

import asyncio
import json
import logging
import random
import re
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from asr.service import protocol
from asr.service.client import RemoteRecogniser
from asr.service.protocol import Error, Ping, Pong
from asr.stt import WhisperSTT
from server.rehearsal.processes import free_port
from tests.asr.hearing import Ear
from tests.asr.services import (
    TOKEN,
    AsrProcess,
    admitted,
    finals,
    get,
    hello,
    knock,
    listen,
    rest,
    send_sound,
)
from tests.asr.speech import answer, errors

media = pytest.mark.media

SENTENCES = [
    "In my last job I built a booking system for a hotel.",
    "We replaced the database last month, because the old system was slow.",
    "I led a team of seven engineers.",
    "As a result, waiting times went down by forty percent.",
    "I told my manager that the data was wrong.",
    "I trained two new people, and the project was a success.",
]
FRAME = 1_600


@media
async def test_a_stream_is_heard_and_health_and_metrics_are_there(tmp_path: Path) -> None:
    async with AsrProcess(tmp_path, free_port()) as process:
        said = answer(0.5, SENTENCES[2], 0.7)
        text = " ".join(one.text for one in finals(await listen(process.url, said)))
        assert errors(SENTENCES[2], text) == 0
        health = json.loads((await asyncio.to_thread(get, f"{process.url}/healthz"))[2])
        assert (health["state"], health["model"]) == ("ready", "viva-rehearsal-whisper")
        metrics = (await asyncio.to_thread(get, f"{process.url}/metrics"))[2]
        assert 'viva_asr_segments_total{outcome="recognised"} 1.0' in metrics
        assert await process.stop() == 0
    assert TOKEN not in process.log
    assert "Traceback" not in process.log
    assert "engineers" not in process.log


@media
async def test_two_sessions_at_once_are_heard_apart(tmp_path: Path) -> None:
    async with AsrProcess(tmp_path, free_port()) as process:
        remote = await asyncio.to_thread(RemoteRecogniser, process.url, token=TOKEN)
        try:
            halves = SENTENCES[:3], SENTENCES[3:]
            heard = await asyncio.gather(*(_interview(remote, half) for half in halves))
        finally:
            await asyncio.to_thread(remote.close)
    for half, text in zip(halves, heard, strict=True):
        assert errors(" ".join(half), text) == 0


@media
async def test_sixteen_streams_at_once_are_heard_whole_and_apart(tmp_path: Path) -> None:
    """As fast as they may come; every sample of each has one place."""
    said = [answer(0.5, SENTENCES[n % 6], 0.5, SENTENCES[(n + 1) % 6], 0.7) for n in range(16)]
    async with AsrProcess(tmp_path, free_port()) as process:
        heard = await asyncio.gather(*(listen(process.url, pcm, regardless=True) for pcm in said))
    for number, messages in enumerate(heard):
        segments = finals(messages)
        text = f"{SENTENCES[number % 6]} {SENTENCES[(number + 1) % 6]}"
        assert errors(text, " ".join(one.text for one in segments)) == 0
        edges = [0, *(one.end for one in segments)]
        assert [one.start for one in segments] == edges[:-1]


@media
async def test_a_stream_too_many_is_turned_away_by_the_real_engine(tmp_path: Path) -> None:
    """Nothing is measured yet: two for each worker, and the others later."""
    async with AsrProcess(tmp_path, free_port()) as process, AsyncExitStack() as streams:
        refused = None
        for _ in range(1000):
            socket = await streams.enter_async_context(knock(process.url))
            await socket.send(hello())
            refused = protocol.from_service(str(await socket.recv()))
            if isinstance(refused, Error):
                break
        assert isinstance(refused, Error)
        assert (refused.code, "not measured yet" in refused.text) == ("at_capacity", True)


@media
async def test_sigterm_answers_what_came_and_ends_in_time(tmp_path: Path) -> None:
    async with AsrProcess(tmp_path, free_port()) as process:
        async with admitted(process.url) as socket:
            await send_sound(socket, answer(0.5, SENTENCES[2]))  # and no pause after it
            await socket.send(Ping().model_dump_json())
            while not isinstance(protocol.from_service(str(await socket.recv())), Pong):
                pass
            stopping = asyncio.create_task(process.stop())
            said, code = await rest(socket)
        assert await asyncio.wait_for(stopping, 12) == 0
    assert errors(SENTENCES[2], " ".join(one.text for one in finals(said))) == 0
    assert isinstance(said[-1], Error)
    assert (said[-1].code, code) == ("draining", 1012)


@media
async def test_five_kills_during_an_answer_lose_no_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "asr.service.client"):
        await _kills(tmp_path, kills=5)
    lost = [int(one) for one in re.findall(r"lost with (\d+) segments", caplog.text)]
    assert len(lost) == 5
    assert any(lost)
    assert any(int(one) for one in re.findall(r"sent again: (\d+)", caplog.text))


@pytest.mark.soak
async def test_twenty_kills_during_answers_lose_no_word(tmp_path: Path) -> None:
    await _kills(tmp_path, kills=20)


async def _kills(folder: Path, kills: int) -> None:
    """The answer goes on in real time while its recogniser is killed and started; again and again
    until it was killed often enough."""
    async with AsrProcess(folder, free_port()) as process:
        remote = await asyncio.to_thread(
            lambda: RemoteRecogniser(process.url, token=TOKEN, give_up_after_s=120.0)
        )
        try:
            undisturbed = await _interview(remote, SENTENCES)
            assert errors(" ".join(SENTENCES), undisturbed) == 0
            left = random.Random(5)
            killed = 0
            while killed < kills:
                speaking = asyncio.create_task(_interview(remote, SENTENCES, pace=1.0))
                while killed < kills and not speaking.done():
                    await asyncio.sleep(left.uniform(0.2, 2.0))
                    if killed % 2:  # so that it dies with segments in hand
                        process.freeze()
                        while not (speaking.done() or _in_hand(remote)):  # noqa: ASYNC110
                            await asyncio.sleep(0.02)
                    async with asyncio.timeout(60):  # a kill that nobody notices loses nothing
                        while not remote.reachable:  # noqa: ASYNC110
                            await asyncio.sleep(0.02)
                    await process.kill()
                    killed += 1
                    process.start()
                    await process.answers()
                assert await speaking == undisturbed
        finally:
            await asyncio.to_thread(remote.close)


def _in_hand(remote: RemoteRecogniser) -> bool:
    return any(not job.request.interim for job in list(remote._jobs.values()))


async def _interview(remote: RemoteRecogniser, said: list[str], pace: float = 0.0) -> str:
    """One answer through a session's STT; `pace` 1 is real time, 0 as fast as it goes."""
    ear = Ear(WhisperSTT(remote, language="en"))
    pcm: np.ndarray = answer(0.5, *(part for one in said for part in (one, 0.6)), 1.0)
    loop = asyncio.get_running_loop()
    began = loop.time()
    for start in range(0, len(pcm), FRAME):
        piece = pcm[start : start + FRAME]
        ear.stream.push_frame(rtc.AudioFrame(piece.tobytes(), 16_000, 1, len(piece)))
        await asyncio.sleep(max(0.0, began + pace * (start + FRAME) / 16_000 - loop.time()))
    ear.stream.end_input()
    await asyncio.wait_for(ear._task, 120)
    await ear.stream.aclose()
    failed = [one for one in ear.segments if one.verdict == "failed"]
    assert not failed
    return " ".join(ear.finals)
