"""A stream through the service's own segmenter, VAD and the rehearsal's model: text and samples."""

import asyncio
import functools
import re

import numpy as np
import pytest

from asr.engine import Engine
from asr.errors import Overloaded
from asr.recognition import Recognition
from asr.segmenter import SAMPLE_RATE, WINDOW
from asr.service import stream
from asr.service.metrics import Metrics
from asr.service.parts import Parts
from asr.service.protocol import (
    Ended,
    Flush,
    FromService,
    Interim,
    Preflight,
    Refused,
    Sound,
    Utterance,
)
from asr.service.stream import Stream
from bench import noises
from tests.asr.hearing import by_level
from tests.asr.services import ScriptedEngine, finals, greeting
from tests.asr.speech import answer, errors, silence

SAID = [
    "I led a team of seven engineers.",
    "We replaced the database last month, because the old system was slow.",
    "I told my manager that the data was wrong.",
]
PARTS = [part for sentence in SAID for part in (sentence, 0.7)]


async def heard(
    engine: object, pcm: np.ndarray, *, frame: int = 4_000, at: int = 0
) -> list[FromService]:
    said: list[FromService] = []
    parts = Parts(engine, Metrics(lambda: 0))  # type: ignore[arg-type]
    one = Stream(parts, greeting(language="en"), said.append)
    for start in range(0, len(pcm), frame):
        one.hear(Sound(0, at + start, pcm[start : start + frame]))
    await one.finish()
    return said


async def test_what_is_said_is_heard_and_every_sample_has_one_core(engine: Engine) -> None:
    pcm = answer(0.5, *PARTS)
    said = await heard(engine, pcm)
    segments = finals(said)
    assert errors(" ".join(SAID), " ".join(one.text for one in segments)) == 0
    assert [one.segment for one in segments] == list(range(len(segments)))
    edges = [0, *(one.end for one in segments)]
    assert [one.start for one in segments] == edges[:-1]
    assert said[-1] == Ended(samples=len(pcm))
    for one in segments:
        assert one.verdict == "ok"
        assert one.start <= one.voice_start < one.voice_end <= one.end <= len(pcm)
        assert one.words[0].start >= one.voice_start / SAMPLE_RATE
        assert one.words[-1].end <= one.voice_end / SAMPLE_RATE + 1e-6
        assert 0.5 < one.confidence <= 1
    told = [one.text for one in said if isinstance(one, Utterance)]
    assert re.sub(r"\s+", " ", " ".join(told)) == " ".join(one.text for one in segments)


@pytest.mark.parametrize("frame", [1, 160, 511, 32_000])
async def test_the_cuts_are_the_same_however_the_sound_comes(frame: int) -> None:
    """Time is counted in samples."""
    pcm = answer("I worked as a nurse.", 0.6)
    whole = finals(await heard(ScriptedEngine(), pcm, frame=len(pcm)))
    assert finals(await heard(ScriptedEngine(), pcm, frame=frame)) == whole


async def test_the_vad_hears_several_windows_at_once_and_a_flush_hears_what_waits() -> None:
    said: list[FromService] = []
    one = Stream(Parts(ScriptedEngine(), Metrics(lambda: 0)), greeting(), said.append)  # type: ignore[arg-type]
    heard_at_once: list[int] = []
    silero = one._vad

    def vad(samples: np.ndarray) -> np.ndarray:
        heard_at_once.append(len(samples) // WINDOW)
        return silero(samples)

    one._vad = vad  # type: ignore[assignment]
    pcm = answer(0.5, SAID[1])
    pcm = pcm[: len(pcm) // WINDOW * WINDOW - 3 * WINDOW]
    for start in range(0, len(pcm), WINDOW):
        one.hear(Sound(0, start, pcm[start : start + WINDOW]))
    assert max(heard_at_once) == 7
    one.obey(Flush())
    assert sum(heard_at_once) * WINDOW == len(pcm)
    await one.finish()


async def test_a_stream_is_busy_from_the_first_sound_of_speech_until_its_text_is_told() -> None:
    said: list[FromService] = []
    one = Stream(Parts(ScriptedEngine(), Metrics(lambda: 0)), greeting(), said.append)  # type: ignore[arg-type]
    pcm = answer(1.0, SAID[0], 0.7)
    assert not one.busy
    one.hear(Sound(0, 0, pcm[: 16_000 // 2]))
    assert not one.busy, "silence"
    one.hear(Sound(0, 16_000 // 2, pcm[16_000 // 2 : 16_000 * 2]))
    assert one.busy, "somebody speaks"
    one.hear(Sound(0, 16_000 * 2, pcm[16_000 * 2 :]))
    assert one.busy and not finals(said), "it is being recognised"
    await one.finish()
    assert not one.busy and finals(said)


async def test_a_stream_may_begin_in_the_middle(engine: Engine) -> None:
    pcm = answer(0.5, SAID[0], 0.7)
    shifted = finals(await heard(engine, pcm, at=160_000))
    plain = finals(await heard(engine, pcm))
    assert [one.start - 160_000 for one in shifted] == [one.start for one in plain]
    assert [one.text for one in shifted] == [one.text for one in plain]
    assert shifted[0].words[0].start == pytest.approx(plain[0].words[0].start + 10)


async def test_silence_has_no_segments_and_is_settled_as_it_comes() -> None:
    one = Stream(Parts(ScriptedEngine(), Metrics(lambda: 0)), greeting(), [].append)  # type: ignore[arg-type]
    for second in range(120):  # far more than may wait to be recognised
        one.hear(Sound(0, second * SAMPLE_RATE, silence(1.0)))
    assert one.settled > 119 * SAMPLE_RATE


async def test_whoever_was_silent_for_minutes_is_heard_and_nothing_is_settled_twice() -> None:
    said: list[FromService] = []
    one = Stream(Parts(ScriptedEngine(), Metrics(lambda: 0)), greeting(), said.append)  # type: ignore[arg-type]
    pcm = answer(60.0, SAID[0], 60.0, SAID[1], 1.0)
    settled = [0]
    for start in range(0, len(pcm), 1_600):
        one.hear(Sound(0, start, pcm[start : start + 1_600]))
        settled.append(one.settled)
        await asyncio.sleep(0)  # finals come in between
    assert settled == sorted(settled)
    await one.finish()
    first, *_, last = finals(said)
    assert first.voice_start > 59 * SAMPLE_RATE and last.voice_end > 120 * SAMPLE_RATE


@pytest.mark.parametrize(
    "sound",
    [noises.silence, noises.white, noises.pink, noises.hum(60), noises.tones, noises.chords,
     noises.clicks, noises.clipped],
    ids=["silence", "white", "pink", "hum", "tones", "chords", "clicks", "clipped"],
)  # fmt: skip
async def test_sound_without_words_gives_none(engine: Engine, sound: noises.Sound) -> None:
    pcm = np.concatenate(noises.stretches(sound, 8.0, seed=3))
    loud = noises.at_level(pcm.astype(float), -25.0)
    said = await heard(engine, np.concatenate([pcm, loud]))
    assert not [one.text for one in finals(said) if one.text]
    assert not [one for one in said if isinstance(one, Utterance)]
    assert said[-1] == Ended(samples=len(pcm) + len(loud))


async def test_clipped_speech_is_heard(engine: Engine) -> None:
    pcm = np.clip(answer(0.5, SAID[0], 0.7).astype(int) * 6, -32_768, 32_767).astype(np.int16)
    assert errors(SAID[0], " ".join(one.text for one in finals(await heard(engine, pcm)))) == 0


async def test_twenty_minutes_without_a_pause_are_cut_and_hold_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "Silero", lambda: lambda pcm: np.ones(len(pcm) // WINDOW))
    said: list[FromService] = []
    recogniser = ScriptedEngine()
    recogniser.script = lambda _audio, _priority: Recognition("yes", "en", -0.1, 0.0)
    one = Stream(Parts(recogniser, Metrics(lambda: 0)), greeting(), said.append)
    minute = np.full(60 * SAMPLE_RATE // WINDOW * WINDOW, 500, np.int16)
    for number in range(20):
        for start in range(0, len(minute), 10 * SAMPLE_RATE):
            piece = minute[start : start + 10 * SAMPLE_RATE]
            one.hear(Sound(0, number * len(minute) + start, piece))
            await one._listening.results.all_told()
        assert len(one._listening.segmenter._kept) * WINDOW < 11 * SAMPLE_RATE
    await one.finish()
    segments = finals(said)
    assert said[-1] == Ended(samples=20 * len(minute))
    assert [s.start for s in segments] == [0, *(s.end for s in segments)][:-1]
    assert segments[-1].end == 20 * len(minute)
    assert max(s.end - s.start for s in segments) <= 10 * SAMPLE_RATE


async def test_what_is_not_recognised_yet_is_not_settled() -> None:
    recogniser = ScriptedEngine()
    recogniser.go.clear()
    one = Stream(Parts(recogniser, Metrics(lambda: 0)), greeting(), [].append)  # type: ignore[arg-type]
    pcm = answer(1.0, SAID[0], 1.0)
    one.hear(Sound(0, 0, pcm))
    assert one.settled < SAMPLE_RATE
    recogniser.go.set()
    await one.finish()
    assert one.settled >= len(pcm) - SAMPLE_RATE


async def test_a_speaker_is_heard_while_speaking_and_at_the_pause(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[FromService] = []
    one = Stream(Parts(engine, Metrics(lambda: 0)), greeting(), said.append)
    pcm = answer(SAID[1], 0.3)
    for start in range(0, len(pcm), 2 * WINDOW):
        one.hear(Sound(0, start, pcm[start : start + 2 * WINDOW]))
        if one._listening.interims.task is not None:
            await asyncio.wait({one._listening.interims.task})
    await one._listening.results.all_told()
    assert any(isinstance(message, Interim) for message in said)
    assert isinstance(said[-1], Preflight)
    await one.finish()
    assert [type(message) for message in said[-2:]] == [Utterance, Ended]


async def test_an_overload_is_outwaited_and_said_if_it_does_not_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hurried = functools.partial(stream.ListeningOptions, retry_after_s=0.0)
    monkeypatch.setattr(stream, "ListeningOptions", hurried)
    recogniser = ScriptedEngine()
    answers: list[object] = [Overloaded("64 pieces wait")] * 5
    recogniser.script = lambda audio, _: answers.pop() if answers else by_level(audio)  # type: ignore[return-value]
    pcm = answer("Yes.", 0.6)
    (final,) = finals(await heard(recogniser, pcm))
    assert final.verdict != "failed"
    recogniser.script = lambda audio, _: Overloaded("64 pieces wait")
    (final,) = finals(await heard(recogniser, pcm))
    assert (final.verdict, final.reason, final.text) == ("failed", "64 pieces wait", "")


async def test_a_gap_is_refused() -> None:
    one = Stream(Parts(ScriptedEngine(), Metrics(lambda: 0)), greeting(), [].append)  # type: ignore[arg-type]
    one.hear(Sound(0, 7, silence(1.0)))
    with pytest.raises(Refused, match="Sample 16007 was due, and 16008 came"):
        one.hear(Sound(0, 16_008, silence(1.0)))


@pytest.mark.parametrize("seconds", [1.3, 2.9, 4.4, 6.1, 8.0])
async def test_a_stream_that_breaks_off_goes_on_elsewhere_without_loss(
    engine: Engine, seconds: float
) -> None:
    """As docs/asr.md tells clients to: from the last final's end, or from what was settled."""
    pcm = answer(0.5, *PARTS)
    undisturbed = [one.text for one in finals(await heard(engine, pcm))]
    before: list[FromService] = []
    first = Stream(Parts(engine, Metrics(lambda: 0)), greeting(), before.append)
    first.hear(Sound(0, 0, pcm[: int(seconds * SAMPLE_RATE)]))
    await asyncio.sleep(0.05)
    came = finals(before)  # what comes later no client hears: its connection is gone
    begin = max([first.settled, *(one.end for one in came)])
    first.close()
    after = await heard(engine, pcm[begin:], at=begin)
    said = [one.text for one in (*came, *finals(after))]
    assert " ".join(said) == " ".join(undisturbed)
