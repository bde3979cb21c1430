"""A stream fed faster than real time, with a recogniser by script and a VAD by loudness."""

import asyncio
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from livekit import rtc
from livekit.agents import stt, vad

from asr.heard import HeardSegment
from asr.recognition import Audio, Priority, Recognition
from asr.stt import WhisperSTT

WINDOW = 512


class LoudnessVAD(vad.VAD):
    """Speech is what is loud."""

    def __init__(self, fail_at: int | None = None) -> None:
        super().__init__(capabilities=vad.VADCapabilities(update_interval=0.032))
        self.fail_at = fail_at

    @property
    def model(self) -> str:
        return "loudness"

    @property
    def provider(self) -> str:
        return "test"

    def stream(self) -> vad.VADStream:
        return LoudnessStream(self)


class LoudnessStream(vad.VADStream):
    async def _main_task(self) -> None:
        owner = self._vad
        assert isinstance(owner, LoudnessVAD)
        async for item in self._input_ch:
            if not isinstance(item, rtc.AudioFrame):
                continue
            if owner.fail_at is not None:
                owner.fail_at -= 1
                if owner.fail_at < 0:
                    owner.fail_at = None
                    return
            loud = np.abs(np.frombuffer(item.data, np.int16)).mean() > 100
            self._event_ch.send_nowait(
                vad.VADEvent(
                    type=vad.VADEventType.INFERENCE_DONE,
                    samples_index=0,
                    timestamp=0.0,
                    speech_duration=0.0,
                    silence_duration=0.0,
                    frames=[item],
                    probability=float(loud),
                )
            )


Script = Callable[[Audio, Priority], "Recognition | Exception"]


class ScriptedRecogniser:
    """Answers by script; each question waits for `go`."""

    model = "script"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.go = asyncio.Event()
        self.go.set()
        self.asked: list[Priority] = []

    async def recognise(
        self,
        audio: Audio,
        *,
        language: str,
        hotwords: Sequence[str] = (),
        priority: Priority = Priority.FINAL,
        source: Hashable = None,
    ) -> Recognition:
        self.asked.append(priority)
        await self.go.wait()
        answer = self.script(audio, priority)
        if isinstance(answer, Exception):
            raise answer
        return answer


def tone(level: int, seconds: float) -> np.ndarray:
    """'Speech' that the script below reads as its level."""
    return np.full(round(seconds * 16_000) // WINDOW * WINDOW, level, np.int16)


def by_level(audio: Audio, _priority: Priority = Priority.FINAL) -> Recognition:
    """One word a level, in the order in which they stand in the audio."""
    levels = [int(v) for v in np.round(audio * 32_768) if v]
    said = [f"w{v}" for i, v in enumerate(levels) if not i or levels[i - 1] != v]
    return Recognition(" ".join(said), "en", -0.05, 0.0)


class Ear:
    """Collects what a stream gives."""

    def __init__(self, heard: WhisperSTT) -> None:
        self.segments: list[HeardSegment] = []
        self.events: list[stt.SpeechEvent] = []
        self.log: list[str] = []
        heard.on_segment(self._segment)
        self.stream = heard.stream()
        self._task = asyncio.create_task(self._read())

    def _segment(self, segment: HeardSegment) -> None:
        self.segments.append(segment)
        self.log.append(f"segment {segment.verdict} {segment.text}".strip())

    async def _read(self) -> None:
        async for event in self.stream:
            assert event.alternatives
            self.events.append(event)
            self.log.append(f"{event.type.value.split('_')[0]} {event.alternatives[0].text}")

    async def play(self, *audio: np.ndarray, frame: int = 480, rate: int = 16_000) -> None:
        """All at once, then wait until it is heard."""
        pcm = np.concatenate(audio)
        for start in range(0, len(pcm), frame):
            piece = pcm[start : start + frame]
            self.stream.push_frame(rtc.AudioFrame(piece.tobytes(), rate, 1, len(piece)))
            await asyncio.sleep(0)
        await self.quiet()

    async def quiet(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0.001)

    async def end(self) -> None:
        self.stream.end_input()
        await asyncio.wait_for(self._task, 30)
        await self.stream.aclose()

    @property
    def told(self) -> list[str]:
        """What counts: segments and finals."""
        return [line for line in self.log if line.startswith(("segment", "final"))]

    @property
    def finals(self) -> list[str]:
        return [
            e.alternatives[0].text
            for e in self.events
            if e.type is stt.SpeechEventType.FINAL_TRANSCRIPT
        ]
