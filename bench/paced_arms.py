"""Who recognises what paced sessions say: the engine here, one model behind a lock, `viva asr`.

An arm takes a segment of a session and gives its text, and how long it waited for its turn where
that can be told. Weights of noise (`--model`) decode three tokens for each second of audio in every
arm: what they would say must not decide how long it takes.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from faster_whisper import WhisperModel

from asr.admission import AdmissionLimits
from asr.engine import MAX_BATCH, MAX_BATCH_S, Engine
from asr.recognition import Admitting, Audio
from asr.segmenter import SAMPLE_RATE
from asr.service.client import RemoteRecogniser
from asr.whisper import Whisper
from bench.paced_model import Model, Watched, force

TOKEN = "the-token-of-the-benchmark"
OPEN = AdmissionLimits(busy=1e9, ready_s=1e9, unmeasured=10**6)
"""Everybody is let in."""

Recognise = Callable[[Audio, int], Awaitable[tuple[str, float | None]]]
"""(audio, session) -> (text, seconds that it waited); raises `HearingError`."""


@dataclass
class Arm:
    recognise: Recognise
    doors: Admitting | None = None
    url: str = ""
    """Of the service."""
    batches: Counter[int] = field(default_factory=Counter)
    counts: Callable[[], dict[str, Any]] = dict
    watched: Watched | None = None
    """The model, where it is in this process and in batches."""

    def sizes(self) -> dict[str, int]:
        return {str(size): n for size, n in sorted(self.batches.items())}


@asynccontextmanager
async def engine(model: Model, admission: AdmissionLimits) -> AsyncIterator[Arm]:
    workers = model.workers or len(os.sched_getaffinity(0))
    whisper = Whisper(
        model.folder,
        device=model.device,
        compute_type=model.compute_type,
        workers=workers,
        floor_s=model.floor_s,
        temperatures=model.temperatures,
    )
    watched = Watched(whisper, force(whisper._whisper) if model.noise else None)
    whisper._features = watched.metered(whisper._features)  # type: ignore[assignment]
    with Engine(
        watched,
        workers=workers,
        max_queued=256,
        max_batch=model.max_batch or MAX_BATCH[model.device],
        max_batch_s=MAX_BATCH_S[model.device],
        admission=admission,
    ) as made:

        async def recognise(audio: Audio, session: int) -> tuple[str, float | None]:
            asked = time.monotonic()
            found = await made.recognise(audio, language="en", source=session)
            return found.text, watched.begun.pop(id(audio)) - asked

        yield Arm(recognise, made, "", watched.batches, lambda: asdict(made.counts), watched)


@asynccontextmanager
async def lock(model: Model, _: AdmissionLimits) -> AsyncIterator[Arm]:
    """faster-whisper's `transcribe`, one call at a time; the same folder and temperatures."""
    whisper = WhisperModel(
        str(model.folder), device=model.device, compute_type=model.compute_type, cpu_threads=1
    )
    forced = force(whisper) if model.noise else None
    turn = asyncio.Lock()
    arm = Arm(lambda audio, session: recognise(audio))

    def transcribe(audio: Audio) -> str:
        if forced is not None:
            forced.hear(len(audio) / SAMPLE_RATE)
        segments, _info = whisper.transcribe(
            audio,
            language="en",
            beam_size=1,
            best_of=1,
            temperature=list(model.temperatures),
            condition_on_previous_text=False,
            without_timestamps=True,
            word_timestamps=True,
        )
        return " ".join(segment.text.strip() for segment in segments)

    async def recognise(audio: Audio) -> tuple[str, float | None]:
        asked = time.monotonic()
        async with turn:
            wait_s = time.monotonic() - asked
            arm.batches[1] += 1
            return await asyncio.to_thread(transcribe, audio), wait_s

    yield arm


@asynccontextmanager
async def segments(model: Model, _: AdmissionLimits) -> AsyncIterator[Arm]:
    """As a server does: its sessions cut, `viva asr` recognises."""
    async with service(model) as url:
        remote = await asyncio.to_thread(RemoteRecogniser, url, token=TOKEN)

        async def recognise(audio: Audio, session: int) -> tuple[str, float | None]:
            return (await remote.recognise(audio, language="en", source=session)).text, None

        try:
            yield Arm(recognise, Everybody(remote), url)
        finally:
            await asyncio.to_thread(remote.close)


@asynccontextmanager
async def stream(model: Model, _: AdmissionLimits) -> AsyncIterator[Arm]:
    """`viva asr` hears the sound and cuts it: see `bench.paced_sessions.stream`."""

    async def nobody(audio: Audio, session: int) -> tuple[str, float | None]:
        raise NotImplementedError

    async with service(model) as url:
        yield Arm(nobody, None, url)


class Everybody:
    """The service's doors, for sessions that all begin at once and are not to be turned away."""

    def __init__(self, doors: Admitting) -> None:
        self._doors = doors

    async def enter(self, session: Hashable, *, regardless: bool = False) -> None:
        await self._doors.enter(session, regardless=True)

    def leave(self, session: Hashable) -> None:
        self._doors.leave(session)


@asynccontextmanager
async def service(model: Model) -> AsyncIterator[str]:
    """`viva asr` as a process; its address."""
    # The whole server comes with it, which the other arms do without.
    from server.rehearsal.processes import free_port

    port = free_port()
    mine = {name: value for name, value in os.environ.items() if not name.startswith("VIVA_")}
    given = {
        "VIVA_ASR_MODEL": "rehearsal" if model == Model() else str(model.folder),
        "VIVA_ASR_TOKEN": TOKEN,
        "VIVA_LOG_LEVEL": "warning",
    }
    viva = (sys.executable, "-c", "from server.cli import main; main()")
    command = (*viva, "asr", "--port", str(port), "--asr-device", "cpu")
    process = await asyncio.create_subprocess_exec(*command, env=mine | given)
    try:
        await _answers(process, port)
        yield f"ws://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            if process.returncode is not None:
                raise RuntimeError("`viva asr` has ended")
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.1)
            else:
                writer.close()
                return


ARMS = {"engine": engine, "lock": lock, "segments": segments, "stream": stream}
