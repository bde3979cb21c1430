"""What the chain and the cache ask of any LiveKit TTS: its name, and one sentence at our rate."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from livekit.agents import APIConnectOptions, tts
from livekit.agents.types import USERDATA_TIMED_TRANSCRIPT, TimedString

from tts.audio import Resampler

# A voice is asked once: the chain's retry is another voice, and LiveKit's would say the beginning
# of the sentence twice.
ONCE = APIConnectOptions(max_retry=0)


@dataclass(frozen=True)
class Piece:
    pcm: bytes
    words: list[TimedString] = field(default_factory=list)
    """Words whose times count from the sentence's first sample, where the voice gives them."""


def voice_id(voice: tts.TTS) -> str:
    """Names a voice with its settings: two voices that sound different have different ids."""
    if voice.provider == voice.model == "unknown":
        return voice.label
    return f"{voice.provider}: {voice.model}"


async def speak(voice: tts.TTS, text: str) -> AsyncGenerator[Piece, None]:
    """One sentence, as it comes. Closing the generator stops the voice."""
    resampler = Resampler(voice.sample_rate)
    async with voice.synthesize(text, conn_options=ONCE) as stream:
        async for event in stream:
            words = event.frame.userdata.get(USERDATA_TIMED_TRANSCRIPT, [])
            yield Piece(resampler.push(bytes(event.frame.data)), words)
        if rest := resampler.flush():
            yield Piece(rest)
