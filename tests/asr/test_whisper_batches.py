"""The rehearsal model in batches: what comes out is what comes out one by one."""

import asyncio
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from asr import rehearsal
from asr.batch import Batch, Row
from asr.engine import Engine
from asr.errors import RecognitionFailed, UnknownLanguage
from asr.recognition import Audio, Outcome, Piece, Recognition
from asr.whisper import PROMPT_STEP, TEMPERATURES, Whisper
from tests.asr.speech import answer, say

SENTENCES = [
    "I worked as a nurse for five years.",
    "My strongest skill is public speaking.",
    "We finished on time, and the customer stayed with us.",
    "In five years I would like to manage a larger team.",
    "Yes.",
    "I worked as a teacher for two years.",
    "My strongest skill is planning.",
    "I would like to manage a team.",
]
BABBLE = "Colourless green ideas sleep furiously beneath the parliamentary zeppelin."


@pytest.fixture(scope="module")
def whisper() -> Iterator[Whisper]:
    yield Whisper(rehearsal.MODEL_DIR, device="cpu", floor_s=rehearsal.FLOOR_S)


def floats(pcm: np.ndarray) -> Audio:
    return pcm.astype(np.float32) / 32_768


def piece(said: str, **how: Any) -> Piece:
    return Piece(floats(say(said)), "en", **how)


def text(outcome: Outcome) -> str:
    assert isinstance(outcome, Recognition)
    return outcome.text


def test_eight_at_once_are_heard_letter_for_letter_as_one_by_one(whisper: Whisper) -> None:
    pieces = [piece(said) for said in SENTENCES]
    assert len({whisper.bucket(p) for p in pieces}) == 1
    together = whisper.decode_many(pieces)
    for one, other, said in zip(pieces, together, SENTENCES, strict=True):
        (alone,) = whisper.decode_many([one])
        assert text(other) == text(alone) == said
        assert isinstance(alone, Recognition)
        assert isinstance(other, Recognition)
        assert other.avg_logprob == pytest.approx(alone.avg_logprob, abs=0.02)
        assert other.no_speech_prob == pytest.approx(alone.no_speech_prob, abs=0.01)
        assert [w.text for w in other.words] == [w.text for w in alone.words]
        for a, b in zip(other.words, alone.words, strict=True):
            assert a.start_s == pytest.approx(b.start_s, abs=0.02)
            assert a.end_s == pytest.approx(b.end_s, abs=0.02)
            assert a.probability == pytest.approx(b.probability, abs=0.05)


def test_windows_prompts_languages_and_wishes_may_be_mixed(whisper: Whisper) -> None:
    long = answer(SENTENCES[0], 1.0, SENTENCES[1])
    pieces = [
        Piece(floats(long), "en-US"),
        piece(SENTENCES[2], hotwords=("Python", "payment system")),
        piece(SENTENCES[3], words=False),
        Piece(np.zeros(16_000, np.float32), "zh"),
        piece(SENTENCES[4]),
    ]
    heard = whisper.decode_many(pieces)
    alone = [whisper.decode_many([p])[0] for p in pieces]
    assert [text(a) for a in heard] == [text(b) for b in alone]
    told = [(a.language, bool(a.words)) for a in heard if isinstance(a, Recognition)]
    assert told == [("en", True), ("en", True), ("en", False), ("zh", False), ("en", True)]


def test_bad_pieces_are_errors_in_their_own_places(whisper: Whisper) -> None:
    broken = floats(say(SENTENCES[0])).copy()
    broken[5_000] = np.nan
    endless = broken.copy()
    endless[5_000] = np.inf
    bad = [
        Piece(broken, "en"),
        Piece(endless, "en"),
        Piece(np.zeros(0, np.float32), "en"),
        Piece(np.zeros((2, 16_000), np.float32), "en"),
        Piece(np.zeros(30 * 16_000, np.float32), "en"),
    ]
    good = [piece(said) for said in SENTENCES[:5]]
    mixed = [one for pair in zip(bad, good, strict=True) for one in pair]
    outcomes = whisper.decode_many([*mixed, Piece(good[0].audio, "de")])
    assert [type(one) for one in outcomes[0:10:2]] == [RecognitionFailed] * 5
    assert [text(one) for one in outcomes[1:10:2]] == SENTENCES[:5]
    assert isinstance(outcomes[-1], UnknownLanguage)


def test_interims_get_half_seconds_and_finals_few_lengths(whisper: Whisper) -> None:
    def windows(words: bool) -> list[float]:
        lengths = (1.0, 4.5, 5.5, 7.2, 12.5, 29.0)
        audio = [np.zeros(round(s * 16_000), np.float32) for s in lengths]
        return [whisper.bucket(Piece(one, "en", words=words))[0] / 100 for one in audio]

    assert windows(words=True) == [5, 7, 7, 10, 15, 30]
    assert windows(words=False) == [5, 6, 7, 8.5, 14, 30]


def test_prompts_of_different_plans_share_a_bucket(whisper: Whisper) -> None:
    plans = [("Python",), ("Emma", "Kevin"), ("payment", "team"), ()]
    buckets = [whisper.bucket(piece("Yes.", hotwords=plan)) for plan in plans]
    assert len(set(buckets[:3])) == 1
    assert buckets[0][1] - buckets[3][1] == 1 + PROMPT_STEP  # the terms, and what opens them
    assert whisper.bucket(piece("Yes.", hotwords=("x" * 150, "Python"))) == buckets[0]
    four = SENTENCES[:4]
    heard = whisper.decode_many(
        [piece(said, hotwords=plan) for said, plan in zip(four, plans, strict=True)]
    )
    assert [text(one) for one in heard] == four


def test_the_engine_gives_the_same_in_batches(engine: Engine, whisper: Whisper) -> None:
    """Through the queue, from four streams, with a bad piece among them."""

    async def all_at_once() -> list[Recognition | BaseException]:
        asked = [
            engine.recognise(floats(say(said)), language="en", source=i % 4)
            for i, said in enumerate(SENTENCES)
        ]
        asked.append(engine.recognise(np.full(16_000, np.nan, np.float32), language="en"))
        return await asyncio.gather(*asked, return_exceptions=True)

    before = engine.counts
    *heard, bad = asyncio.run(all_at_once())
    assert isinstance(bad, RecognitionFailed)
    assert [one.text for one in heard if isinstance(one, Recognition)] == SENTENCES
    after = engine.counts
    assert after.items - before.items == 9
    assert after.batches - before.batches < 9
    assert after.retried == before.retried


class Watched:
    """The model, and how large its batches were."""

    def __init__(self, whisper: WhisperModel, scores: float | None = None) -> None:
        self.model = self
        self._whisper = whisper
        self._scores = scores
        self.encoded: list[int] = []
        self.generated: list[int] = []
        self.aligned: list[int] = []

    def encode(self, features: Any) -> Any:
        self.encoded.append(features.shape[0])
        return self._whisper.model.encode(features)

    def generate(self, encoded: Any, prompts: Sequence[list[int]], **how: Any) -> Any:
        self.generated.append(len(prompts))
        results = self._whisper.model.generate(encoded, prompts, **how)
        if self._scores is None:
            return results
        return [
            SimpleNamespace(
                sequences_ids=r.sequences_ids, scores=[self._scores], no_speech_prob=0.0
            )
            for r in results
        ]

    def find_alignment(self, tokenizer: Any, tokens: Any, encoded: Any, frames: Any) -> Any:
        self.aligned.append(len(tokens))
        return self._whisper.find_alignment(tokenizer, tokens, encoded, frames)


def rows(whisper: Whisper, *pieces: Piece) -> list[Row]:
    return [whisper._row(at, p) for at, p in enumerate(pieces)]


def test_only_what_is_unsure_is_tried_at_other_temperatures(whisper: Whisper) -> None:
    sure = [piece(SENTENCES[0]), piece(SENTENCES[1])]
    silence = Piece(np.zeros(32_000, np.float32), "en")
    unsure = piece(BABBLE)
    interim = piece(BABBLE, words=False)
    watched = Watched(whisper._whisper)
    batch = Batch(watched, rows(whisper, sure[0], unsure, silence, interim, sure[1]), 700)
    heard = batch.recognise(TEMPERATURES)
    assert watched.encoded == [5]
    assert watched.generated[:2] == [5, 1]
    assert len(watched.generated) <= len(TEMPERATURES)
    assert [heard[0].text, heard[4].text] == SENTENCES[:2]
    assert heard[0].temperature == heard[3].temperature == 0.0
    assert heard[1].words
    assert heard[2].text == ""
    assert watched.aligned == [3]


@pytest.mark.parametrize("score", [float("nan"), float("-inf")])
def test_a_text_without_a_score_fails_rather_than_count_as_certain(
    whisper: Whisper, score: float
) -> None:
    watched = Watched(whisper._whisper, scores=score)
    with pytest.raises(FloatingPointError):
        Batch(watched, rows(whisper, piece("Yes.")), 500).recognise(TEMPERATURES)
    silence = Piece(np.zeros(32_000, np.float32), "en")
    (heard,) = Batch(watched, rows(whisper, silence), 500).recognise(TEMPERATURES)
    assert (heard.text, heard.avg_logprob) == ("", 0.0)


def test_what_nobody_waits_for_any_more_is_not_decoded(whisper: Whisper) -> None:
    asked: list[int] = []

    def gone() -> bool:
        asked.append(1)
        return False

    (left,) = whisper.decode_many([piece("Yes.", words=False, wanted=gone)])
    assert isinstance(left, RecognitionFailed)
    assert asked == [1]
    mixed = whisper.decode_many([piece("Yes.", wanted=gone), piece("Yes.")])
    assert [text(one) for one in mixed] == ["Yes.", "Yes."]
