"""How long a plan's consent texts take to say, and which no caller could agree to."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import planfile
from agent.plan import Plan
from server.phone import consent_time, words
from server.phone.reception import INTERVIEW, RECORDING, TEXTS_S
from tts import audio
from tts.espeak import EspeakTTS
from tts.voice import speak

PLANS = Path(__file__).parents[3] / "prompts" / "plans"


def worked(language: str) -> Plan:
    return planfile.load(PLANS / f"backend_engineer_{language}.yaml")


def with_consent(plan: Plan, text: str, recording_text: str) -> Plan:
    texts = {"text": text, "recording_text": recording_text}
    consent = plan.policy.consent.model_copy(update=texts)
    policy = plan.policy.model_copy(update={"consent": consent})
    return plan.model_copy(update={"policy": policy})


@pytest.mark.parametrize("language", ["en", "zh"])
async def test_the_estimate_is_near_what_the_slowest_voice_takes(language: str) -> None:
    plan, voice, said = worked(language), EspeakTTS(language), 0.0
    for name in INTERVIEW.texts:
        async for piece in speak(voice, words.line(name, language, plan)):
            said += audio.seconds(piece.pcm)
    await voice.aclose()
    assert consent_time.seconds(INTERVIEW, plan) == pytest.approx(said, rel=0.15)


@pytest.mark.parametrize(("language", "most"), [("en", 4_500), ("zh", 1_080)])
def test_texts_of_five_minutes_are_named_with_what_they_take(language: str, most: int) -> None:
    letter = "啊" if language == "zh" else "a"
    short = worked(language)
    assert consent_time.too_long(short) == []
    assert consent_time.too_long(with_consent(short, letter, letter * (most // 2))) == []
    [warning] = consent_time.too_long(with_consent(short, letter, letter * most))
    assert "the text about recording would take some 30" in warning
    both = consent_time.too_long(with_consent(short, letter * most, letter * most))
    assert len(both) == 2 and "the disclosure and the consent text" in both[0]


def test_an_address_takes_as_long_as_it_is_spelled() -> None:
    plain, address = "Ask Ada for more.", "Ask ada@recruiting.example.org."
    plans = [with_consent(worked("en"), "Yes.", text) for text in (plain, address)]
    times = [consent_time.seconds(RECORDING, plan) for plan in plans]
    assert times[0] < times[1] < TEXTS_S
