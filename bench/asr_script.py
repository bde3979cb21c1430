"""What is said when, and therefore what a recogniser hears in any piece of it.

A benchmark that runs weights of noise needs words from elsewhere, and one that compares policies
wants the same words for all. Here a clip says `TOKENS_PER_S` words in each second of its speech,
every word one token; audio is found again in the clip by its samples, whoever cut, joined or padded
it. A word is heard by whoever was given its middle. Pure: samples in, words out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 16_000
TOKENS_PER_S = 3
NEEDLE = 64
"""Samples that tell a place of the clip; it needs a noise floor for that."""

Pcm = npt.NDArray[np.int16]
Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """Speech, and silence after it."""

    pcm: Pcm
    sentences: tuple[tuple[int, int], ...]
    """(first sample, sample after the last), in order."""

    @property
    def speech_end(self) -> int:
        """The sample after the last voiced one."""
        return self.sentences[-1][1]

    @property
    def speech_s(self) -> float:
        return self.speech_end / SAMPLE_RATE


@dataclass(frozen=True)
class ScriptWord:
    """In samples of the clip."""

    start: int
    end: int
    sentence: int
    token: int


@dataclass(frozen=True)
class HeardToken:
    """In seconds of the audio in which it was heard."""

    start_s: float
    end_s: float
    sentence: int
    token: int


@dataclass(frozen=True)
class _Run:
    """Samples of the audio that are samples of the clip."""

    audio: int
    clip: int
    length: int


class Script:
    def __init__(self, clip: Clip, tokens: Sequence[int]) -> None:
        """`tokens`: the words to say, again and again."""
        self.words = list(_words(clip, tokens))
        self._pcm = clip.pcm
        self._bytes = clip.pcm.tobytes()
        self._middles = np.array([(word.start + word.end) // 2 for word in self.words])

    def heard(self, audio: Audio) -> list[HeardToken]:
        """The words whose middle is in this audio, in its order."""
        found = []
        for run in self._runs(np.rint(audio * 32_768).astype(np.int16)):
            first, after = np.searchsorted(self._middles, [run.clip, run.clip + run.length])
            for word in self.words[first:after]:
                start = run.audio + max(word.start - run.clip, 0)
                end = run.audio + min(word.end - run.clip, run.length)
                found.append(
                    HeardToken(start / SAMPLE_RATE, end / SAMPLE_RATE, word.sentence, word.token)
                )
        return found

    def _runs(self, pcm: Pcm) -> list[_Run]:
        """Where the audio comes from; what is padding is in none."""
        runs, at = [], 0
        while at + NEEDLE <= len(pcm):
            place = self._find(pcm[at : at + NEEDLE])
            if place is None:
                at += NEEDLE
                continue
            most = min(len(pcm) - at, len(self._pcm) - place)
            other = np.flatnonzero(pcm[at : at + most] != self._pcm[place : place + most])
            length = int(other[0]) if other.size else most
            runs.append(_Run(at, place, length))
            at += length
        return runs

    def _find(self, needle: Pcm) -> int | None:
        wanted, at = needle.tobytes(), -1
        while (at := self._bytes.find(wanted, at + 1)) % 2:  # between two samples, or -1
            if at < 0:
                return None
        return at // 2


def _words(clip: Clip, tokens: Sequence[int]) -> list[ScriptWord]:
    words: list[ScriptWord] = []
    for sentence, (start, end) in enumerate(clip.sentences):
        count = max(1, round(TOKENS_PER_S * (end - start) / SAMPLE_RATE))
        edges = np.linspace(start, end, count + 1).astype(int)
        for begin, after in pairwise(edges):
            words.append(
                ScriptWord(int(begin), int(after), sentence, tokens[len(words) % len(tokens)])
            )
    return words


def decoded_tokens(seconds: float) -> int:
    """How many tokens are decoded for so much audio, whatever is said in it."""
    return max(1, round(TOKENS_PER_S * seconds))
