"""The neural voices of this machine, from the settings: made once, tried out before the start.

Languages whose voices lie in one folder share one process, and so one model in memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass

from livekit.agents import APIError

from server.settings import PREFIX, Settings
from tts.audio import BYTES_PER_SECOND
from tts.espeak_process import EspeakProcess
from tts.neural import NeuralTTS
from tts.neural_folder import VoiceFolder, find
from tts.neural_models import VoiceUnusable, resolve
from tts.neural_process import NeuralProcess
from tts.voice import speak, voice_id

logger = logging.getLogger(__name__)

_SENTENCES = {"en": "Hello, I am here to ask you some questions.", "zh": "你好，我来问你几个问题。"}


class LocalVoices:
    """Raises `VoiceUnusable`, naming the setting. Whoever made `spelling` closes it."""

    def __init__(self, settings: Settings, spelling: EspeakProcess) -> None:
        self._settings, self._spelling = settings, spelling
        self._processes: dict[VoiceFolder, NeuralProcess] = {}
        self._voices = {language: self._make(language) for language in settings.local_languages}

    def of(self, language: str) -> list[NeuralTTS]:
        """None or one, for `tts.voices.build`."""
        return [self._voices[language]] if language in self._voices else []

    async def start(self) -> None:
        """Load the models; one that fails is told of, and interviews are spoken by another."""
        for process in self._processes.values():
            with contextlib.suppress(APIError):  # the process has logged it, and tries again
                await process.start()

    async def aclose(self) -> None:
        for process in self._processes.values():
            await process.aclose()

    def _make(self, language: str) -> NeuralTTS:
        settings = self._settings
        try:
            folder = find(resolve(settings.local_voice(language), settings.models_folder))
            if folder not in self._processes:
                self._processes[folder] = NeuralProcess(
                    folder, threads=settings.voice_local_threads
                )
            return NeuralTTS(
                self._processes[folder],
                self._spelling,
                language,
                speaker=settings.local_speaker(language),
                speed=settings.voice_local_speed,
            )
        except VoiceUnusable as error:
            raise VoiceUnusable(f"{_variable(language)}: {error}") from error


@dataclass(frozen=True)
class TriedVoice:
    language: str
    name: str
    loaded_s: float
    first_sound_s: float
    sound_s: float

    def __str__(self) -> str:
        return (
            f"{self.name} speaks: loaded in {self.loaded_s:.1f} s, first sound after"
            f" {self.first_sound_s:.2f} s."
        )


def try_local_voices(settings: Settings) -> list[TriedVoice]:
    """Every local voice says a sentence; raises `VoiceUnusable`. Blocks, in no event loop, for as
    long as the models take to load."""
    return asyncio.run(_try_all(settings))


async def _try_all(settings: Settings) -> list[TriedVoice]:
    spelling = EspeakProcess()
    voices = LocalVoices(settings, spelling)
    try:
        return [
            await _try(voice, language, settings.local_speaker(language))
            for language in settings.local_languages
            for voice in voices.of(language)
        ]
    finally:
        await voices.aclose()
        await spelling.aclose()


async def _try(voice: NeuralTTS, language: str, speaker: int) -> TriedVoice:
    began = time.monotonic()
    try:
        loaded = await voice.process.start()
        if speaker >= max(1, loaded.speakers):
            raise VoiceUnusable(
                f"{PREFIX}VOICE_LOCAL_SPEAKER_{language.upper()} is {speaker}, but"
                f" {voice.process.folder.path} has speakers 0 to {max(1, loaded.speakers) - 1}."
            )
        asked = time.monotonic()
        return await _say(voice, language, loaded_s=asked - began)
    except APIError as error:
        raise VoiceUnusable(f"{_variable(language)}: {error.message}.") from error


async def _say(voice: NeuralTTS, language: str, loaded_s: float) -> TriedVoice:
    asked, first, heard = time.monotonic(), 0.0, 0
    async with contextlib.aclosing(speak(voice, _SENTENCES[language])) as pieces:
        async for piece in pieces:
            first = first or time.monotonic() - asked
            heard += len(piece.pcm)
    return TriedVoice(language, voice_id(voice), loaded_s, first, heard / BYTES_PER_SECOND)


def _variable(language: str) -> str:
    return f"{PREFIX}VOICE_LOCAL_{language.upper()}"
