"""Word errors of two checkpoints on the same sound, by the project's own recogniser and by plain
faster-whisper: what decides whether a new one may take the old one's place."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr import rehearsal
from asr.rehearsal.training import testsets
from asr.rehearsal.training.examples import Example
from asr.rehearsal.training.sound import Samples

logger = logging.getLogger(__name__)

Reader = Callable[[Samples, str], tuple[str, float]]
"""Sound and its language in, text and mean log-probability out."""
WORSE = 0.005
"""A word error rate so much higher is called worse: below it, chance decides."""


@dataclass(frozen=True)
class Score:
    """`words` said, `errors` in what was heard, `exact` texts of `texts`, mean `logprob`."""

    texts: int
    words: int
    errors: int
    exact: int
    logprob: float

    @property
    def rate(self) -> float:
        return self.errors / self.words if self.words else 0.0


def project(folder: Path) -> Reader:
    """The recogniser that interviews use, with the rehearsal's window."""
    from asr.whisper import Whisper

    whisper = Whisper(folder, device="cpu", floor_s=rehearsal.FLOOR_S)

    def read(samples: Samples, language: str) -> tuple[str, float]:
        heard = whisper.decode(samples, language=language, words=False)
        assert heard.avg_logprob is not None  # Whisper gives one, other engines need not
        return heard.text, heard.avg_logprob

    return read


def plain(folder: Path) -> Reader:
    """faster-whisper alone, as its own documentation calls it."""
    from faster_whisper import WhisperModel

    whisper = WhisperModel(str(folder), device="cpu", cpu_threads=1, local_files_only=True)

    def read(samples: Samples, language: str) -> tuple[str, float]:
        segments, _ = whisper.transcribe(
            samples, language=language, beam_size=1, temperature=0, without_timestamps=True
        )
        found = list(segments)
        logprob = float(np.mean([one.avg_logprob for one in found])) if found else 0.0
        return "".join(one.text for one in found).strip(), logprob

    return read


READERS: Mapping[str, Callable[[Path], Reader]] = {"project": project, "plain": plain}


def words(text: str) -> list[str]:
    """Without marks and capitals; in Chinese, characters."""
    return re.findall(r"[a-z0-9']+|[\u4e00-\u9fff]", text.lower())


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein's distance in words."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        diagonal, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            cost = min(row[at] + 1, row[at - 1] + 1, diagonal + (word != other))
            diagonal, row[at] = row[at], cost
    return row[-1]


def score(read: Reader, examples: Sequence[Example]) -> Score:
    heard = [read(one.samples, one.language) for one in examples if one.samples is not None]
    pairs = [(words(one.text), words(text)) for one, (text, _) in zip(examples, heard, strict=True)]
    return Score(
        len(pairs),
        sum(len(said) for said, _ in pairs),
        sum(edits(said, got) for said, got in pairs),
        sum(said == got for said, got in pairs),
        round(float(np.mean([logprob for _, logprob in heard])), 3),
    )


def texts_without_speech(read: Reader, count: int) -> dict[str, int]:
    """How many of each kind of sound without speech gave a text. The goal is none."""
    kinds = testsets.without_speech(count)
    return {kind: sum(bool(read(one, "en")[0]) for one in sounds) for kind, sounds in kinds.items()}


def compare(old: Path, new: Path, folder: Path, names: Sequence[str], count: int) -> dict[str, Any]:
    """Sets through both readers: {reader: {set: {old, new}}}, and which of them are worse."""
    found: dict[str, Any] = {"count": count, "worse": []}
    for reader, load in READERS.items():
        before, after = load(old), load(new)
        found[reader] = {}
        for name in names:
            examples = testsets.made(folder, name, count)
            scores = score(before, examples), score(after, examples)
            found[reader][name] = {"old": asdict(scores[0]), "new": asdict(scores[1])}
            found["worse"] += [f"{reader}: {name}"] if worse(name, *scores) else []
            logger.info("%s", line(reader, name, *scores))
        found[reader]["without speech"] = _without_speech(before, after, count // 4)
    return found


def _without_speech(before: Reader, after: Reader, count: int) -> dict[str, dict[str, int]]:
    """Nothing where there is not one sound of each kind."""
    if not count:
        return {}
    counted = {
        "old": texts_without_speech(before, count),
        "new": texts_without_speech(after, count),
    }
    logger.info("texts without speech: %s", counted)
    return counted


def worse(name: str, old: Score, new: Score) -> bool:
    """Words that neither knows are no fault of either."""
    return name != testsets.UNKNOWN and new.rate > old.rate + WORSE


def line(reader: str, name: str, old: Score, new: Score) -> str:
    return (
        f"{reader:8} {name:26} word errors {old.rate:6.1%} → {new.rate:6.1%}"
        f"  exact {old.exact}/{old.texts} → {new.exact}/{new.texts}"
        f"  logprob {old.logprob:.2f} → {new.logprob:.2f}"
    )
