"""Short answers and invented words: what each rule takes is counted by what was said in truth."""

import numpy as np
import pytest

from asr.heard import HeardSegment
from asr.recognition import HeardWord
from asr.segmenter import SAMPLE_RATE
from bench.short_answers import (
    LINES,
    RULES,
    SPEECH_DB,
    Told,
    answer,
    figures,
    kept,
    unending,
)

FAINT = {"at -35 dB": -35, "at -45 dB": -45, "at -55 dB": -55}
WAVE = 2_605 * np.sin(np.arange(SAMPLE_RATE // 2) / 5)


def told(source: str, said: str, text: str, *, s: float = 0.5, lp: float, p: float) -> Told:
    return Told(source, said, text, s, lp, p)


HEARD = [
    told("answered", "Yes.", "Yes.", lp=-0.1, p=0.9),
    told("answered", "Redis.", "Redis.", lp=-0.8, p=0.1),
    told("answered", "PostgreSQL.", "Task PostgreSQL.", lp=-1.3, p=0.2),
    told("unending", "No.", "No.", s=8.0, lp=-0.6, p=0.3),
    told("babble", "", "We. The queries.", s=7.6, lp=-1.7, p=0.1),
    told("backwards", "", "Comparing um me an in at.", lp=-1.2, p=0.4),
    told("tones", "", "Ah.", s=9.0, lp=-0.6, p=0.3),
]


def test_each_rule_takes_what_it_says() -> None:
    taken = {name: [one.text for one in HEARD if rule(one)] for name, rule in RULES.items()}
    assert list(taken.values()) == [
        ["Redis.", "Task PostgreSQL.", "No.", "We. The queries.", "Ah."],
        ["Task PostgreSQL.", "We. The queries."],
        ["Task PostgreSQL.", "We. The queries."],
        ["No.", "We. The queries.", "Ah."],
        ["We. The queries."],
    ]


def test_answers_are_counted_as_right_and_as_right_in_part() -> None:
    found = figures(HEARD)
    assert found["any"] == {
        "babble": 1, "backwards": 1, "tones": 1, "chords": 0,
        "answered": 3, "answered, right": 2, "answered, in part": 3,
        "unending": 1, "unending, right": 1, "unending, in part": 1,
    }  # fmt: skip
    assert found["and log-probability below -1"]["answered, right"] == 0
    assert found["and log-probability below -1"]["answered, in part"] == 1


def test_what_was_not_kept_counts_for_nothing() -> None:
    word = HeardWord("Yes.", 0.0, 0.5, 0.5)
    yes = HeardSegment("Yes.", 1.0, 1.5, 0.5, 0.0, (word,), "en", "ok", None, 0.0)
    none = HeardSegment("", 1.0, 1.5, 0.0, 0.9, (), "en", "dropped", "no_speech", 0.0)
    (one,) = kept("answered", "Yes.", [yes, none])
    assert (one.voiced_s, one.probability) == (0.5, 0.5)
    assert one.logprob == pytest.approx(-0.693, abs=0.001)


@pytest.mark.parametrize("name", LINES)
def test_an_answer_comes_over_every_line_at_its_level(name: str) -> None:
    pcm = answer(np.random.default_rng(1), WAVE, LINES[name]).astype(np.float64) / 32_768
    middle = pcm[len(pcm) // 2 - 2_000 : len(pcm) // 2 + 2_000]
    level_db = 20 * np.log10(np.sqrt(np.square(middle).mean()))
    assert level_db == pytest.approx(FAINT.get(name, SPEECH_DB), abs=3.0)


def test_an_answer_is_whole_in_its_eight_seconds() -> None:
    pcm = unending(np.random.default_rng(1), WAVE).astype(np.float64)
    assert len(pcm) == 8 * SAMPLE_RATE
    envelope = np.convolve(np.square(pcm), np.ones(len(WAVE)), "valid").max()
    assert envelope / np.square(WAVE).sum() == pytest.approx(1.0, abs=0.1)
