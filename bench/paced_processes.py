"""Sessions that speak in processes of their own: each is heard by Silero there, and cut.

So that whoever recognises has the interpreter to itself, as `viva asr` has where servers cut. What
comes through the pipe is a segment, with the moment at which its last window had been spoken: from
then on it is waited for, so the VAD's computing and a process that lags behind count as well.

CPython's `time.monotonic` is one clock for all processes of a machine where this runs (Linux).
"""

import asyncio
import heapq
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm, Segment, Segmenter
from asr.silero import Silero
from bench.paced_accounts import Piece, Session
from bench.paced_arms import Recognise
from bench.paced_sessions import ask
from bench.paced_speech import speech

Clips = Sequence[tuple[str, Pcm]]
WINDOW_S = WINDOW / SAMPLE_RATE


@dataclass(frozen=True)
class Cut:
    session: int
    piece: Piece
    due: float
    """When its last window had been spoken."""
    audio: Pcm


@dataclass(frozen=True)
class Spoken:
    """What a process used, in seconds: from its first window to its last."""

    wall_s: float
    cpu_s: float
    vad_s: float
    """Of it."""
    late_p99_s: float
    """Windows, behind the clock when they were heard."""


class Voice:
    """One session: what it says, window by window."""

    def __init__(self, number: int, pcm: Pcm, begin: float) -> None:
        self._number = number
        self._pcm = pcm
        self._begin = begin
        self._hear = Silero()
        self._segmenter = Segmenter()
        self.vad_s = 0.0

    def dues(self) -> Iterator[tuple[float, int, int, "Voice"]]:
        """(when, session, window, itself), in order."""
        for i in range(len(self._pcm) // WINDOW):
            yield self._begin + (i + 1) * WINDOW_S, self._number, i, self

    def say(self, i: int, due: float) -> Cut | None:
        window = self._pcm[i * WINDOW : (i + 1) * WINDOW]
        began = time.thread_time()
        (probability,) = self._hear(window)
        self.vad_s += time.thread_time() - began
        segment = self._segmenter.push(window, float(probability))
        return None if segment is None else self._cut(segment, due)

    def _cut(self, segment: Segment, due: float) -> Cut:
        piece = Piece(segment.core_start, segment.core_end, segment.start)
        piece.vad_wait_s = (self._segmenter.position - segment.voice_end) / SAMPLE_RATE
        return Cut(self._number, piece, due, segment.audio)


def speak(
    pipe: "Connection", said: Clips, numbers: Sequence[int], seconds: float, arrive_s: float
) -> None:
    """The process: tells that it is ready, is told when to begin, and speaks for all `numbers`."""
    pcms = {number: speech(said, seconds, number).pcm for number in numbers}
    Silero()(np.zeros(WINDOW, np.int16))  # loads it
    pipe.send(None)
    begin: float = pipe.recv()
    voices = [
        Voice(number, pcm, begin + arrive_s * random.Random(number).random())
        for number, pcm in pcms.items()
    ]
    began, cpu, late = time.monotonic(), time.process_time(), []
    for due, _, i, voice in heapq.merge(*(voice.dues() for voice in voices)):
        time.sleep(max(0.0, due - time.monotonic()))
        late.append(time.monotonic() - due)
        cut = voice.say(i, due)
        if cut is not None:
            pipe.send(cut)
    used_s = time.process_time() - cpu
    vad_s = sum(voice.vad_s for voice in voices)
    p99 = float(np.quantile(late, 0.99))
    pipe.send(Spoken(time.monotonic() - began, used_s, vad_s, p99))
    pipe.close()


@contextmanager
def mouths(
    said: Clips, sessions: int, seconds: float, arrive_s: float, processes: int
) -> Iterator[list["Connection"]]:
    """Pipes to as many processes, or one for each session; they are ready when this begins."""
    spawn = multiprocessing.get_context("spawn")
    pipes, running = [], []
    for first in range(min(processes, sessions)):
        here, there = spawn.Pipe()
        numbers = range(first, sessions, processes)
        process = spawn.Process(
            target=speak, args=(there, said, numbers, seconds, arrive_s), daemon=True
        )
        process.start()
        there.close()
        pipes.append(here)
        running.append(process)
    try:
        for pipe in pipes:
            pipe.recv()
        yield pipes
    finally:
        for process, pipe in zip(running, pipes, strict=True):
            process.terminate()
            process.join()
            pipe.close()


async def converse(
    pipes: Sequence["Connection"],
    sessions: Sequence[Session],
    recognise: Recognise,
    *,
    drain_s: float,
) -> list[Spoken]:
    """All that is said, recognised; what is not `drain_s` after the last word stays unfinished."""
    begin = time.monotonic() + 0.5
    for pipe in pipes:
        pipe.send(begin)
    asked: list[asyncio.Task[None]] = []
    told = await asyncio.gather(*(_listen(pipe, sessions, recognise, asked) for pipe in pipes))
    for session in sessions:
        session.sent = len(session.speech.pcm)
    if asked:
        _, late = await asyncio.wait(asked, timeout=drain_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return list(told)


async def _listen(
    pipe: "Connection",
    sessions: Sequence[Session],
    recognise: Recognise,
    asked: list[asyncio.Task[None]],
) -> Spoken:
    while True:
        match await asyncio.to_thread(pipe.recv):
            case Cut() as cut:
                sessions[cut.session].pieces.append(cut.piece)
                asking = ask(cut.session, cut.piece, cut.audio, recognise, cut.due)
                asked.append(asyncio.create_task(asking))
            case Spoken() as spoken:
                return spoken
