"""Invented words beside short answers: what a guard of one to three words would lose.

    python -m bench.short_answers             thirty minutes of each sound (10 minutes of CPU)
    python -m bench.short_answers --quick     one minute, two answers: proves only that it runs

`asr.guards` lets a text of fewer than `MIN_WORDS` words through however unsure it is. Here are the
rules that could take its place, on both sides:

- *invented*: what is committed of the sounds of `bench/asr_silence.py` that still give words;
- *answered*: short answers that the rehearsal model knows, faint, in noise and by telephone, cut by
  the VAD; *unending*: the same in eight seconds that are all taken for speech.

Only texts that are kept today count. A rule is of use where it takes the first and none of the
others. Right: every word of the answer and no other; in part: one word of it at least.
"""

import argparse
import asyncio
import json
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from asr import guards, rehearsal
from asr.engine import Engine
from asr.heard import HeardSegment
from asr.rehearsal.training import sound
from asr.segmenter import SAMPLE_RATE, WINDOW, Pcm
from bench import noises
from bench.asr_silence import NO_HURRY_S, cut, heard, kinds
from tts.espeak import render

ANSWERS = (
    "Yes.", "No.", "Skip.", "Yes, I did.", "No, I did not.", "Three years.", "Five years.", "Two.",
    "Seven.", "Nine.", "Zero.", "Six.", "Okay.", "Sure.", "Yeah.", "Nope.", "Stop.", "Pass.",
    "Repeat.", "Goodbye.", "Hello.", "Right.", "Correct.", "Python.", "Redis.", "Kafka.", "Docker.",
    "Kubernetes.", "PostgreSQL.", "Django.", "A queue.", "A cache.", "A thread.", "No idea.",
    "Not yet.", "Yes, please.", "No, thanks.", "Skip it.", "One moment.", "I agree.",
    "I don't know.", "Next question.", "That's it.", "Got it.",
)  # fmt: skip
VOICES = (
    "en-us+m1", "en-us+m3", "en-us+f3", "en-us+f2", "en-gb-x-rp", "en-us-nyc",
    "en-us", "en-us+m7", "en-us+f4", "en-us+f5", "en-gb-x-gbclan", "en-gb-scotland", "en+m5",
)  # fmt: skip
UNENDING_VOICES = VOICES[:6]
WORDS_A_MINUTE = (140, 180)
SPEECH_DB = -25.0
SILENT = 20
"""espeak-ng's edges, in steps of 16 bits."""
AROUND_S = 0.75
UNENDING_S = 8.0
SOUNDS = (("babble", False), ("backwards", False), ("tones", True), ("chords", True))
"""And whether the VAD is bypassed: behind it, tones and chords give nothing."""
SLOW_S = 2.5
"""Seconds of sound to a word; nobody speaks so slowly."""


@dataclass(frozen=True)
class Told:
    """A text that is kept today, and what it was in truth."""

    source: str
    said: str
    """Empty: nothing."""
    text: str
    voiced_s: float
    logprob: float
    probability: float
    """Of its words, in the mean."""

    @property
    def count(self) -> int:
        return len(guards.units(self.text))

    @property
    def right(self) -> bool:
        return guards.units(self.said) == guards.units(self.text)

    @property
    def in_part(self) -> bool:
        return not set(guards.units(self.said)).isdisjoint(guards.units(self.text))


def guessed(told: Told) -> bool:
    return told.count < guards.MIN_WORDS and told.probability < guards.WORD_PROBABILITY


def doubtful(told: Told) -> bool:
    return guessed(told) and told.logprob < guards.AVG_LOGPROB


def slow(told: Told) -> bool:
    return told.voiced_s > SLOW_S * told.count


RULES: dict[str, Callable[[Told], bool]] = {
    "words below 0.45": guessed,
    "and log-probability below -1": doubtful,
    "and two words or three": lambda told: doubtful(told) and told.count > 1,
    "words below 0.45, slow": lambda told: guessed(told) and slow(told),
    "and log-probability below -1, slow": lambda told: doubtful(told) and slow(told),
}


# --- what is said ---------------------------------------------------------------------------------
def spoken(text: str, voice: str) -> noises.Wave:
    """At `SPEECH_DB` and a rate of its own, from its first sample to its last."""
    rate = random.Random(f"{text}{voice}").randint(*WORDS_A_MINUTE)
    wave = resample_poly(render(text, voice=voice, rate=rate).astype(np.float64), 2, 3)
    loud = np.flatnonzero(np.abs(wave) > SILENT)
    return noises.at_level(wave[loud[0] : loud[-1] + 1], SPEECH_DB).astype(np.float64)


def in_pink(rng: np.random.Generator, wave: noises.Wave, snr_db: float) -> noises.Wave:
    noise = noises.at_level(noises.pink(rng, len(wave)), SPEECH_DB - snr_db)
    return wave + noise


def by_telephone(wave: noises.Wave) -> noises.Wave:
    narrow = sound.telephone((wave / 32_768).astype(np.float32))
    return narrow.astype(np.float64) * 32_768


Line = Callable[[np.random.Generator, noises.Wave], noises.Wave]


def at(level_db: float) -> Line:
    return lambda _, wave: wave * 10 ** ((level_db - SPEECH_DB) / 20)


LINES: dict[str, Line] = {
    "clean": lambda _, wave: wave,
    **{f"at {db:.0f} dB": at(db) for db in (-35.0, -45.0, -55.0)},
    "noise at 20 dB": lambda rng, wave: in_pink(rng, wave, 20),
    "noise at 10 dB": lambda rng, wave: in_pink(rng, wave, 10),
    "noise at 5 dB": lambda rng, wave: in_pink(rng, wave, 5),
    "telephone": lambda _, wave: by_telephone(wave),
    "telephone, noise at 10 dB": lambda rng, wave: by_telephone(in_pink(rng, wave, 10)),
}


def answer(rng: np.random.Generator, wave: noises.Wave, line: Line) -> Pcm:
    around = np.zeros(round(AROUND_S * SAMPLE_RATE))
    return _pcm(line(rng, np.concatenate([around, wave, around])))


def unending(rng: np.random.Generator, wave: noises.Wave) -> Pcm:
    """Somewhere in eight seconds of noise at 20 dB."""
    whole = np.zeros(round(UNENDING_S * SAMPLE_RATE))
    start = int(rng.integers(WINDOW, len(whole) - len(wave) - WINDOW))
    whole[start : start + len(wave)] = wave
    return _pcm(in_pink(rng, whole, 20))


def _pcm(wave: noises.Wave) -> Pcm:
    return np.clip(wave, -32_768, 32_767).astype(np.int16)


# --- what is heard --------------------------------------------------------------------------------
def kept(source: str, said: str, segments: Sequence[HeardSegment]) -> Iterator[Told]:
    for one in segments:
        sure = [word.probability for word in one.words if word.probability is not None]
        if one.text and sure and one.confidence:
            seconds, logprob = one.end_s - one.start_s, math.log(one.confidence)
            yield Told(source, said, one.text, seconds, logprob, sum(sure) / len(sure))


def invented(engine: Engine, seconds: float) -> Iterator[Told]:
    for seed, (kind, made) in enumerate(kinds().items()):
        for wanted, bypass in SOUNDS:
            if kind == wanted:
                pieces = list(cut(noises.stretches(made, seconds, seed), bypass=bypass))
                yield from kept(kind, "", asyncio.run(heard(engine, pieces)))


def answered(engine: Engine, texts: Sequence[str], voices: Sequence[str]) -> Iterator[Told]:
    rng = np.random.default_rng(5)
    for text in texts:
        for voice in voices:
            wave = spoken(text, voice)
            for line in LINES.values():
                pieces = list(cut([answer(rng, wave, line)], bypass=False))
                yield from kept("answered", text, asyncio.run(heard(engine, pieces)))
            if voice in UNENDING_VOICES:
                pieces = list(cut([unending(rng, wave)], bypass=True))
                yield from kept("unending", text, asyncio.run(heard(engine, pieces)))


# --- the table ------------------------------------------------------------------------------------
def figures(told: Sequence[Told]) -> dict[str, dict[str, int]]:
    """By rule: how many texts of each source it would take, of answers the right ones, and those
    that are right in part. The rule "any" takes all."""
    rules = {"any": lambda _: True, **RULES}
    return {name: counts([one for one in told if rule(one)]) for name, rule in rules.items()}


def counts(told: Sequence[Told]) -> dict[str, int]:
    found = {kind: sum(one.source == kind for one in told) for kind, _ in SOUNDS}
    for source in ("answered", "unending"):
        mine = [one for one in told if one.source == source]
        found |= {
            source: len(mine),
            f"{source}, right": sum(one.right for one in mine),
            f"{source}, in part": sum(one.in_part for one in mine),
        }
    return found


def table(found: dict[str, dict[str, int]]) -> str:
    head = "| taken by | " + " | ".join(found["any"]) + " |"
    rows = [
        f"| {name} | " + " | ".join(map(str, row.values())) + " |" for name, row in found.items()
    ]
    return "\n".join([head, "|---" * (len(found["any"]) + 1) + "|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one minute, two answers")
    quick: bool = parser.parse_args().quick
    texts, voices = (ANSWERS[:2], VOICES[:1]) if quick else (ANSWERS, VOICES)
    with Engine.load(
        rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S, max_wait_s=NO_HURRY_S
    ) as engine:
        told = [*answered(engine, texts, voices), *invented(engine, 60.0 if quick else 1800.0)]
    found = figures(told)
    print(table(found))
    result = {
        "name": "short_answers",
        "figures": found,
        "answers": len(texts) * len(voices) * len(LINES),
        "unending": len(texts) * sum(voice in UNENDING_VOICES for voice in voices),
        "n": len(told),
        "cores": len(os.sched_getaffinity(0)),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
