"""What keeps invented words out: pure checks of a text against the speech it came from.

Whisper invents in four ways: a caption's phrase over noise, a phrase said again and again, more
words than the time holds, and sentences out of many voices at once, each word of them a guess. A
short true answer ("yes") passes them all.
"""

import re
import zlib
from typing import Literal

from asr.recognition import Recognition

DroppedReason = Literal["no_speech", "repetition", "impossible_rate", "unintelligible"]

NO_SPEECH_PROB = 0.6
AVG_LOGPROB = -1.0
"""With `NO_SPEECH_PROB`, both: a faint but sure "yes" survives, and so does unsure clear speech."""
COMPRESSION_RATIO = 2.4
MAX_WORDS_PER_S = 10.0
"""Fast talkers reach six. In Chinese each character counts as a word: they reach seven."""
RATE_SLACK_S = 0.5
"""The VAD hears the edges of short words late."""
WORD_PROBABILITY = 0.45
"""With `AVG_LOGPROB`, both: in the mean, its words are rather wrong than right. Medians of
the rehearsal model's segments, by espeak: speech 0.98, in pink noise at 10 dB 0.95, twelve voices
at once 0.28, reversed speech 0.32."""
MIN_WORDS = 4
"""Fewer words say too little of how well they were heard: a faint "yes, I did" is kept. In noise
the rehearsal model hears "Redis" right at 0.06, and no rule for so few words was found that takes
what is invented and no answer (`bench/short_answers.py`)."""

_SPECIAL = re.compile(r"<\|[^|<>]*\|>")
_UNIT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+(?:['’][^\W_]+)*")


def plain(text: str) -> str:
    """Without anything that a chat template or a tokenizer would take for a token of its own."""
    return " ".join(_SPECIAL.sub(" ", text).split())


def units(text: str) -> list[str]:
    """Words, or characters where words are not spaced."""
    return _UNIT.findall(text.lower())


def compression_ratio(text: str) -> float:
    data = text.encode()
    return len(data) / len(zlib.compress(data)) if data else 0.0


def repetitive(text: str) -> bool:
    """Said again and again: people say "no, no, no, no", and no phrase four times running."""
    if compression_ratio(text) > COMPRESSION_RATIO:
        return True
    said = units(text)
    return any(_runs(said, size) >= (7 if size < 3 else 4) for size in range(1, len(said) // 4 + 1))


def _runs(said: list[str], size: int) -> int:
    """How often a phrase of `size` words follows itself, at most."""
    best = same = 0
    for i in range(size, len(said)):
        same = same + 1 if said[i] == said[i - size] else 0
        best = max(best, same // size + 1)
    return best


def unsure(recognition: Recognition) -> bool:
    """Worth another try at a higher temperature."""
    if silent(recognition):
        return False
    return doubtful(recognition) or repetitive(recognition.text)


def doubtful(recognition: Recognition) -> bool:
    """By its own account; a model that gives none is taken at its word."""
    return recognition.avg_logprob is not None and recognition.avg_logprob < AVG_LOGPROB


def silent(recognition: Recognition) -> bool:
    no_speech = recognition.no_speech_prob > NO_SPEECH_PROB
    unsupported = recognition.avg_logprob is None or doubtful(recognition)
    return (no_speech and unsupported) or not units(recognition.text)


def guessed(recognition: Recognition) -> bool:
    """Words that the model itself believes in neither one by one nor together. Without word times
    (an interim result) nothing is said."""
    sure = [w.probability for w in recognition.words if w.probability is not None]
    if len(sure) < MIN_WORDS or not doubtful(recognition):
        return False
    return sum(sure) / len(sure) < WORD_PROBABILITY


def reason_to_drop(recognition: Recognition, voiced_s: float) -> DroppedReason | None:
    if silent(recognition):
        return "no_speech"
    if repetitive(recognition.text):
        return "repetition"
    if len(units(recognition.text)) > MAX_WORDS_PER_S * (voiced_s + RATE_SLACK_S):
        return "impossible_rate"
    if guessed(recognition):
        return "unintelligible"
    return None
