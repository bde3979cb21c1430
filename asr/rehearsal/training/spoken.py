"""Speech with its clock: which word lies where, and what is left of it after a cut."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from asr.rehearsal.training.speech import SAMPLE_RATE, SILENCE, Espeak, Manner, Samples

Span = tuple[int, int, float, float]
"""First character, one past the last, and the seconds at which it begins and ends."""
OPEN = -1.0
"""The end of a sentence that a cut left open."""

UNIT = re.compile(r"[\u4e00-\u9fff]|[^\s.,?!，。？！\u4e00-\u9fff]+")
"""A word; in Chinese, a character."""
ENDS, MARKS = ".?!。？！", ".?!,。？！，"
WHOLE_S = 0.02
"""A word counts as heard if so much was heard after it."""
PAUSE_S = 0.15
"""A mark counts as heard if so much of the pause after it was."""


@dataclass(frozen=True)
class Speech:
    """`phonemes` are (label, begin, end) in seconds."""

    text: str
    samples: Samples
    words: tuple[Span, ...] = ()
    sentences: tuple[Span, ...] = ()
    phonemes: tuple[tuple[str, float, float], ...] = ()

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


@cache
def _espeak() -> Espeak:
    return Espeak()


def speak(text: str, how: Manner, chance: random.Random) -> Speech:
    """With silence before and after it, as the segmenter leaves some."""
    made = _espeak().say(text, how)
    lead = chance.choice((0.0, chance.uniform(0, 0.3), chance.uniform(0, 1.0)))
    tail = chance.choice((0.0, chance.uniform(0, 0.4), chance.uniform(0, 1.2)))
    samples = np.concatenate((_quiet(lead), made.samples, _quiet(tail)))
    begins = [(label, at + lead) for label, at in made.phonemes]
    over = len(samples) / SAMPLE_RATE - tail
    ends = [*(at for _, at in begins[1:]), over]
    phonemes = tuple((p, at, end) for (p, at), end in zip(begins, ends, strict=False))
    words = _word_spans(text, {at: s + lead for at, s in made.words}, phonemes, lead)
    return Speech(text, samples, words, _sentence_spans(text, words), phonemes)


def _quiet(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE), np.float32)


def _word_spans(
    text: str,
    begins: Mapping[int, float],
    phonemes: Sequence[tuple[str, float, float]],
    lead: float,
) -> tuple[Span, ...]:
    """A word ends where the next begins, or at the pause before it.

    espeak-ng runs some words together ("of the"): the second then shares the first one's time.
    """
    places = [(word.start(), word.end()) for word in UNIT.finditer(text)]
    last = max((end for label, _, end in phonemes if label != SILENCE), default=lead)
    pauses = [at for label, at, _ in phonemes if label == SILENCE]
    spans: list[Span] = []
    for number, (first, past) in enumerate(places):
        start = begins.get(first, spans[-1][2] if spans else lead)
        later = (begins[place] for place, _ in places[number + 1 :] if place in begins)
        end = max(next(later, last), start + 0.02)
        end = next((pause for pause in pauses if start < pause < end), end)
        spans.append((first, past, start, end))
    return tuple(spans)


def _sentence_spans(text: str, words: Sequence[Span]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for found in re.finditer(f"[^{ENDS}]+[{ENDS}]", text):
        first = found.start() + len(found.group()) - len(found.group().lstrip())
        within = [word for word in words if first <= word[0] < found.end()]
        if within:
            spans.append((first, found.end(), within[0][2], within[-1][3]))
    return tuple(spans)


def cut_start(speech: Speech, chance: random.Random) -> Speech:
    """From between two words on, as a window from the middle begins."""
    if len(speech.words) <= 5:
        return speech
    number = chance.randint(1, len(speech.words) - 4)
    first = speech.words[number][0]
    offset = max(0.0, speech.words[number][2] - 0.01)

    def moved(span: Span) -> Span:
        begin, past, start, end = span
        return max(0, begin - first), past - first, max(0.0, start - offset), end - offset

    return Speech(
        speech.text[first:],
        speech.samples[int(offset * SAMPLE_RATE) :],
        tuple(moved(word) for word in speech.words[number:]),
        tuple(moved(one) for one in speech.sentences if one[1] > first),
        tuple((label, at - offset, end - offset) for label, at, end in speech.phonemes),
    )


def cut_end(speech: Speech, chance: random.Random) -> Speech:
    """Up to anywhere: only the words that were heard whole are in the text."""
    if not speech.words:
        return speech
    until = chance.uniform(0.3, speech.seconds)
    heard = tuple(word for word in speech.words if word[3] <= until - WHOLE_S)
    samples = speech.samples[: int(until * SAMPLE_RATE)]
    if len(heard) == len(speech.words):
        return replace(speech, samples=samples)
    past = _past(speech, heard, until)
    sentences = tuple(
        (begin, min(end, past), start, stop if end <= past else OPEN)
        for begin, end, start, stop in speech.sentences
        if begin < past
    )
    return Speech(speech.text[:past], samples, heard, sentences, speech.phonemes)


def _past(speech: Speech, heard: Sequence[Span], until: float) -> int:
    """Where the text ends: after the mark behind the last word, if its pause was heard."""
    if not heard:
        return 0
    past, end = heard[-1][1], heard[-1][3]
    following = speech.words[len(heard)][2]
    marked = speech.text[past : past + 1] in tuple(MARKS)
    if marked and until >= max(end + 0.5 * (following - end), end + PAUSE_S):
        return past + 1
    return past
