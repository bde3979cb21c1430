"""What the decoder reads and must say for an example, and at which of the encoder's positions.

Pure, without torch.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from asr.rehearsal.training.examples import POSITION_S, Example
from asr.rehearsal.training.tokens import STEP_S, TIMESTAMPS, Tokens

Place = tuple[int, int] | None
"""Encoder positions of a word, from and to; None for what is not heard."""
IGNORED = -100
"""The label of what the model need not predict, as torch has it."""
PROMPT_TOKENS = 80


@dataclass(frozen=True)
class Said:
    """An example's text in tokens: their numbers, places and past-the-last characters."""

    tokens: tuple[int, ...] = ()
    places: tuple[Place, ...] = ()
    past: tuple[int, ...] = ()


@dataclass(frozen=True)
class Reading:
    """`labels[i]` is what must follow `tokens[i]`, heard at `places[i]`."""

    tokens: list[int]
    labels: list[int]
    places: list[Place]


def said(example: Example, tokens: Tokens) -> Said:
    if not example.text:
        return Said()
    encoded = tokens.tokenizer.encode(f" {example.text}", add_special_tokens=False)
    places: list[Place] = []
    for first, past in encoded.offsets:
        # A character inside the token, counted without the space that was put in front.
        inside = first - 1 if past - first <= 1 else past - 2
        word = next((w for w in example.words if w[0] <= inside < w[1]), None)
        places.append(word and _positions(word[2], word[3]))
    return Said(tuple(encoded.ids), tuple(places), tuple(past - 1 for _, past in encoded.offsets))


def _positions(start: float, end: float) -> tuple[int, int]:
    first = int(start / POSITION_S)
    return first, max(math.ceil(end / POSITION_S), first + 1)


def reading(
    example: Example, text: Said, tokens: Tokens, prompt: Sequence[int], *, timestamps: bool
) -> Reading:
    """Whisper's form: `prompt` of earlier text if any, start, language, task, text, end."""
    made = Reading([], [], [])
    for number in (tokens.special("startofprev"), *prompt[-PROMPT_TOKENS:]) if prompt else ():
        _put(made, number, IGNORED)
    language = tokens.special(example.language)
    _put(
        made,
        tokens.special("startoftranscript"),
        language if example.spoken else tokens.special("nospeech"),
    )
    _put(made, language, IGNORED)
    chain = _timed(example, text, tokens) if timestamps else _plain(text, tokens)
    for (number, _), (label, place) in itertools.pairwise(chain):
        _put(made, number, label, place)
    if not timestamps:
        made.labels[made.tokens.index(tokens.special("transcribe"))] = IGNORED
    return made


def _put(made: Reading, number: int, label: int, place: Place = None) -> None:
    made.tokens.append(number)
    made.labels.append(label)
    made.places.append(place)


def _plain(text: Said, tokens: Tokens) -> list[tuple[int, Place]]:
    start = [tokens.special("transcribe"), tokens.special("notimestamps")]
    body = zip(text.tokens, text.places, strict=True)
    return [*((number, None) for number in start), *body, (tokens.end, None)]


def _timed(example: Example, text: Said, tokens: Tokens) -> list[tuple[int, Place]]:
    """Each sentence between its times; nothing heard is the time zero and the end."""
    chain: list[tuple[int, Place]] = [(tokens.special("transcribe"), None)]
    if not example.sentences:
        return [*chain, (tokens.first_timestamp, None), (tokens.end, None)]
    for first, past, start, end in example.sentences:
        chain.append((tokens.first_timestamp + int(max(0.0, start) / STEP_S), None))
        for number, place, over in zip(text.tokens, text.places, text.past, strict=True):
            if first <= max(0, over - 1) < past:
                chain.append((number, place))
        if end >= 0:
            step = min(TIMESTAMPS - 1, math.ceil(end / STEP_S))
            chain.append((tokens.first_timestamp + step, None))
    return [*chain, (tokens.end, None)]


def earlier(places: Sequence[Place]) -> list[Place]:
    """For each token of a word, where the word before it was: what the first layer looks at."""
    found: list[Place] = []
    last: Place = None
    for place in places:
        found.append(last if place else None)
        last = place or last
    return found


def batches(frames: Sequence[int], most_frames: int, chance: random.Random) -> list[list[int]]:
    """Examples of about the same length together, in a random order; at most 64 in one."""
    order = sorted(range(len(frames)), key=lambda i: frames[i] * chance.uniform(0.93, 1.07))
    made: list[list[int]] = []
    current: list[int] = []
    longest = 0
    for number in order:
        longest_now = max(longest, frames[number])
        if current and (longest_now * (len(current) + 1) > most_frames or len(current) >= 64):
            made.append(current)
            current, longest_now = [], frames[number]
        current.append(number)
        longest = longest_now
    if current:
        made.append(current)
    chance.shuffle(made)
    return made
