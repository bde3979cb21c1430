"""The candidate's voice: every sentence of a script rendered beforehand, so that none is late."""

from __future__ import annotations

import asyncio

import numpy as np

from server.rehearsal.script import Script, Voice
from server.rehearsal.sound import Samples
from tts.audio import SAMPLE_RATE
from tts.espeak import render

RATE = SAMPLE_RATE
GAP_S = 0.25
"""Silence after a sentence, as people leave it."""


class Voicebox:
    """Sentences by their words."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._rendered: dict[str, Samples] = {}

    async def prepare(self) -> None:
        turns = [turn for turns in self._script.answers.values() for turn in turns]
        steps = [step for turn in (*turns, self._script.otherwise) for step in turn.steps]
        for words in dict.fromkeys(step.say for step in steps if step.say):
            self._rendered[words] = await asyncio.to_thread(rendered, words, self._script.voice)

    def __getitem__(self, words: str) -> Samples:
        return self._rendered[words]


def rendered(words: str, voice: Voice) -> Samples:
    samples = render(words, voice=voice.name, rate=voice.rate, pitch=voice.pitch)
    return np.concatenate((samples, np.zeros(int(GAP_S * RATE), np.int16)))
