"""Which voices an installation speaks with: the chain for a privacy setting and a language.

    network   edge-tts → local neural voices → the embedded one
    local                local neural voices → the embedded one; opens no connection at all

A local neural voice is any LiveKit TTS, given by the caller: `tts.neural` has one.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from livekit.agents import tts

from tts.cache import RenderedLines
from tts.chain import VoiceChain
from tts.espeak import EspeakTTS
from tts.espeak_process import EspeakProcess

logger = logging.getLogger(__name__)

Privacy = Literal["local", "network"]
Language = Literal["en", "zh"]


def build(
    privacy: Privacy,
    language: Language,
    *,
    local: Sequence[tts.TTS] = (),
    edge_voice: str | None = None,
    cache: RenderedLines | Path | None = None,
    process: EspeakProcess | None = None,
) -> VoiceChain:
    """One chain for a language and process; each session takes `chain.for_session()`.

    Give the chains of all languages one `cache` and one `process`; whoever made the process closes
    it. Without, each chain has its own.
    """
    if isinstance(cache, Path):
        cache = RenderedLines(cache)
    embedded = EspeakTTS(language, process=process)
    return VoiceChain([*_network(privacy, language, edge_voice), *local, embedded], cache=cache)


def _network(privacy: Privacy, language: Language, voice: str | None) -> list[tts.TTS]:
    if privacy == "local":
        return []
    from tts import (
        edge,
    )  # imported only here: with VIVA_PRIVACY=local its HTTP client is never loaded

    logger.warning(
        "voice: edge-tts. What the interviewer says is sent to Microsoft; VIVA_PRIVACY=local keeps "
        "it on this machine."
    )
    return [edge.EdgeTTS(voice or edge.VOICES[language])]
