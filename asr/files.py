"""Recordings on disk: read in blocks, cut as a live stream is, recognised many pieces at a time.

Several files and channels share one recogniser, and a bounded number of pieces of speech is with it
at any moment: that, and a block of each open file, is all the sound in memory. The same segmenter
and the same guards as in an interview; the VAD is faster-whisper's, since no AgentSession is here.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np

from asr.channels import Channels, who_speaks
from asr.cutting import Reading
from asr.decoder import base_language
from asr.errors import Overloaded
from asr.heard import HeardSegment, judge
from asr.listening import outcome
from asr.recognition import Recogniser, Recognition
from asr.recording import Recording, counted, shown
from asr.segmenter import SAMPLE_RATE, Segment, SegmenterOptions
from asr.transcription import DroppedSegment, Reason, TextSegment, Transcription, Word

Progress = Callable[[float, float | None], None]
"""Called with the seconds that are done, and those in all as far as they are known."""
T = TypeVar("T")

OVERLOAD_S = 600.0
"""How long a busy recogniser is waited for."""


@dataclass(frozen=True)
class FileOptions:
    language: str = "en"
    hotwords: tuple[str, ...] = ()
    channels: Channels = "auto"
    speakers: tuple[str, ...] = ()
    """One for each channel that is heard; several split them where `channels` is auto."""
    in_flight: int = 16
    """Pieces of speech at the recogniser, of all files together."""
    segmenter: SegmenterOptions = field(default_factory=SegmenterOptions)
    low_confidence_logprob: float = -0.7
    retry_after_s: float = 0.3


class Transcriber:
    """Transcribes files with one recogniser; several at a time if called so."""

    def __init__(self, recogniser: Recogniser, options: FileOptions | None = None) -> None:
        self._recogniser = recogniser
        self._options = options or FileOptions()
        self._slots = asyncio.Semaphore(self._options.in_flight)

    async def try_language(self) -> None:
        """Raises `HearingError` if the model does not know it, rather than for each piece."""
        nothing = np.zeros(SAMPLE_RATE // 2, np.float32)
        await self._recogniser.recognise(nothing, language=self._options.language)

    async def transcribe(self, path: Path, progress: Progress | None = None) -> Transcription:
        """Raises `UnreadableRecording`."""
        split, speakers = await _in_thread(
            lambda: who_speaks(path, self._options.channels, self._options.speakers)
        )
        with await _in_thread(lambda: Recording(path)) as recording:
            reading = Reading(recording, len(speakers) if split else None, self._options.segmenter)
            heard = await self._hear(reading, progress or _silent)
            return self._written(path, reading, split, speakers, heard)

    async def _hear(self, reading: Reading, progress: Progress) -> list[tuple[int, HeardSegment]]:
        """In order of time, with their channels."""
        waiting: dict[int, int] = {}  # the onsets of pieces without a result
        found: list[tuple[int, HeardSegment]] = []
        done = 0

        def tell() -> None:
            nonlocal done
            done = max(done, min([reading.position, *waiting.values()]))
            progress(done / SAMPLE_RATE, reading.recording.seconds)

        async def one(number: int, channel: int, segment: Segment) -> None:
            result = await self._result(segment, reading)
            found.append((channel, self._judged(segment, result)))  # its sound is held no longer
            del waiting[number]
            tell()

        numbers = count()
        try:
            async with asyncio.TaskGroup() as group:
                while (pieces := await _in_thread(reading.next_pieces)) is not None:
                    numbered = [(next(numbers), channel, cut) for channel, cut in pieces]
                    waiting |= {number: cut.onset for number, _, cut in numbered}
                    tell()
                    for piece in numbered:
                        await self._slots.acquire()
                        task = group.create_task(one(*piece))
                        task.add_done_callback(lambda _: self._slots.release())
        except ExceptionGroup as e:
            raise e.exceptions[0] from e  # the reading's: a piece keeps its own to itself
        return sorted(found, key=lambda f: (f[1].start_s, f[0]))

    async def _result(self, segment: Segment, reading: Reading) -> Recognition | str:
        """The recognition, or why there is none. The same audio is tried twice."""
        audio = np.asarray(segment.audio / np.float32(32_768), np.float32)
        patient_until = time.monotonic() + OVERLOAD_S

        async def ask() -> Recognition:
            while True:
                try:
                    return await self._recogniser.recognise(
                        audio,
                        language=self._options.language,
                        hotwords=self._options.hotwords,
                        source=id(reading),
                    )
                except Overloaded:  # a file can wait; nobody is kept waiting by it
                    if time.monotonic() >= patient_until:
                        raise
                await asyncio.sleep(self._options.retry_after_s)

        return await outcome(ask, retry_after_s=self._options.retry_after_s)

    def _written(
        self,
        path: Path,
        reading: Reading,
        split: bool,
        speakers: tuple[str | None, ...],
        found: list[tuple[int, HeardSegment]],
    ) -> Transcription:
        total_s = reading.position / SAMPLE_RATE
        heard = [(speakers[channel], one) for channel, one in found]
        dropped = tuple(_dropped(who, one, total_s) for who, one in heard if not one.text)
        failed = sum(one.reason == "failed" for one in dropped)
        problems = [*reading.recording.problems]
        if failed:
            problems.append(f"{counted(failed, 'piece')} of its speech could not be recognised")
        return Transcription(
            file=shown(path),
            seconds=_rounded(total_s),
            language=base_language(self._options.language),
            model=self._recogniser.model,
            compute_type=getattr(self._recogniser, "compute_type", None),
            channels="split" if split else "mix",
            speakers=speakers,
            complete=not problems,
            problems=tuple(problems),
            dropped_segments=len(dropped),
            dropped=dropped,
            segments=tuple(_segment(who, one, total_s) for who, one in heard if one.text),
        )

    def _judged(self, segment: Segment, result: Recognition | str) -> HeardSegment:
        return judge(
            segment,
            result,
            language=base_language(self._options.language),
            low_confidence_logprob=self._options.low_confidence_logprob,
            stream_started_at=0.0,
        )


def _segment(speaker: str | None, heard: HeardSegment, total_s: float) -> TextSegment:
    def at(seconds: float) -> float:
        return _rounded(min(seconds, total_s))  # the last window was filled up

    return TextSegment(
        start=at(heard.start_s),
        end=at(heard.end_s),
        speaker=speaker,
        text=heard.text,
        confidence=_share(heard.confidence),
        low_confidence=heard.verdict == "low_confidence",
        words=tuple(
            Word(
                text=word.text,
                start=at(word.start_s),
                end=at(word.end_s),
                confidence=_share(word.probability),
            )
            for word in heard.words
        ),
    )


def _dropped(speaker: str | None, heard: HeardSegment, total_s: float) -> DroppedSegment:
    failed = heard.verdict == "failed"
    guard: dict[str | None, Reason] = {
        "no_speech": "no_speech",
        "repetition": "repetition",
        "impossible_rate": "impossible_rate",
        "unintelligible": "unintelligible",
    }
    return DroppedSegment(
        start=_rounded(min(heard.start_s, total_s)),
        end=_rounded(min(heard.end_s, total_s)),
        speaker=speaker,
        reason="failed" if failed else guard[heard.dropped_reason],
        detail=heard.dropped_reason if failed else None,
    )


def _share(value: float | None) -> float | None:
    return None if value is None else _rounded(min(max(value, 0.0), 1.0))


def _rounded(value: float) -> float:
    return round(value, 3)


def _silent(_done_s: float, _all_s: float | None) -> None:
    pass


async def _in_thread(work: Callable[[], T]) -> T:
    """Waits for the thread even when cancelled: it must not read a file that is being closed."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
