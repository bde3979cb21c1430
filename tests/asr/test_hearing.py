"""Real audio through the whole stream: rehearsal model, espeak-ng, LiveKit's VAD, our cuts."""

import re

import numpy as np
import pytest

from asr.engine import Engine
from asr.stt import WhisperSTT
from tests.asr.hearing import Ear
from tests.asr.speech import answer, errors, silence

LONG = [
    "In my last job I built a booking system for a hotel.",
    "We replaced the database last month, because the old system was slow.",
    "I led a team of seven engineers.",
    "When the server stopped working, I called a short meeting, and we finished on time.",
    "As a result, waiting times went down by forty percent.",
    "My biggest weakness is that I worry about small details.",
    "In five years I would like to manage a larger team.",
    "I told my manager that the data was wrong.",
    "I trained two new people, and the project was a success.",
    "Thank you for your time, it was nice to meet you.",
]


async def hear(engine: Engine, audio: np.ndarray, **options: object) -> Ear:
    ear = Ear(WhisperSTT(engine, language="en", **options))  # type: ignore[arg-type]
    await ear.play(audio)
    await ear.end()
    return ear


async def test_a_sentence_is_heard_whole_with_its_words_where_they_were(engine: Engine) -> None:
    said = "I worked as a nurse for five years."
    ear = await hear(engine, answer(2.0, said, 1.0), hotwords=["Python", "nurse"])
    assert errors(said, " ".join(ear.finals)) == 0
    (segment,) = ear.segments
    assert segment.verdict == "ok"
    assert segment.confidence > 0.8
    assert segment.start_s == pytest.approx(2.0, abs=0.15)
    assert segment.words[0].start_s == segment.start_s
    assert " ".join(w.text for w in segment.words) == segment.text
    assert segment.stream_started_at > 0


@pytest.mark.parametrize("pause", [0.1, 0.3, 0.7, 2.0])
async def test_an_answer_of_forty_seconds_loses_and_doubles_nothing(
    engine: Engine, pause: float
) -> None:
    parts = [p for sentence in LONG for p in (sentence, pause)]
    ear = await hear(engine, answer(0.5, *parts, 1.0))
    said, heard = " ".join(LONG), " ".join(ear.finals)
    assert errors(said, heard) == 0
    assert [s.text for s in ear.segments if s.verdict == "ok"]
    assert heard.split() == " ".join(s.text for s in ear.segments).split()
    ends = [s.end_s for s in ear.segments]
    assert all(a <= b.start_s for a, b in zip(ends, ear.segments[1:], strict=False))


async def test_a_minute_of_silence_and_noise_gives_no_text(engine: Engine) -> None:
    rng = np.random.default_rng(5)
    t = np.arange(16_000 * 10) / 16_000
    hiss = rng.normal(0, 300, len(t))
    bursts = hiss * 8 * (np.sin(2 * np.pi * 0.7 * t) > 0.9)
    hum = 2000 * np.sin(2 * np.pi * 50 * t) + hiss
    beeps = 6000 * np.sin(2 * np.pi * 900 * t) * (np.sin(2 * np.pi * 0.5 * t) > 0.8)
    clicks = np.where(rng.random(len(t)) < 0.0005, 20_000, 0)
    for noise in (silence(10), hiss, bursts, hum, beeps, clicks):
        ear = await hear(engine, noise.astype(np.int16))
        assert ear.finals == []
        assert all(s.text == "" for s in ear.segments)


async def test_special_tokens_are_never_in_the_text(engine: Engine) -> None:
    terms = ["<|im_start|>", "<|endoftext|>", "<|0.00|>", "<|startoftranscript|><|en|>"]
    odd = "Zygote quux, flibbertigibbet <tool call> end of text, im start."
    ear = await hear(engine, answer(odd, 0.5, LONG[0], 1.0), hotwords=terms)
    told = [e.alternatives[0].text for e in ear.events] + [s.text for s in ear.segments]
    told += [w.text for s in ear.segments for w in s.words]
    assert told
    assert not any(re.search(r"<\||\|>", text) for text in told)
