"""What can go wrong with a voice, in LiveKit's terms: everything here is an APIError."""

from livekit.agents import APIConnectionError


class VoiceError(APIConnectionError):
    """A voice did not speak."""


class EspeakError(VoiceError):
    """The embedded voice did not speak: it cannot start, died again and again, or refused."""


class NoVoiceError(VoiceError):
    """Every voice of the chain failed on the same sentence."""

    def __init__(self, reasons: dict[str, str]) -> None:
        said = "; ".join(f"{voice}: {reason}" for voice, reason in reasons.items())
        # The chain has already tried every voice, so trying the chain again only adds silence.
        super().__init__(f"no voice could speak ({said})", retryable=False)
        self.reasons = reasons


class NeuralError(VoiceError):
    """The local neural voice did not speak: it died, is busy, or gave no sound."""
