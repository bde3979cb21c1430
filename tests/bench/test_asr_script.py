"""Words by their place in the audio, and the answers that they are said in."""

from itertools import pairwise

import numpy as np
import pytest

from asr.recognition import Audio
from bench import asr_answers
from bench.asr_script import SAMPLE_RATE, Clip, Pcm, Script, decoded_tokens

TOKENS = list(range(100, 400))


def noise(seconds: float, seed: int = 0) -> Pcm:
    samples = round(seconds * SAMPLE_RATE)
    return np.random.default_rng(seed).integers(-5000, 5000, samples, np.int16)


def sound(pcm: Pcm) -> Audio:
    return np.divide(pcm, 32_768, dtype=np.float32)


CLIP = Clip(noise(12), ((16_000, 80_000), (96_000, 160_000)))
"""Two sentences of four seconds."""
SCRIPT = Script(CLIP, TOKENS)


def heard(audio: Audio) -> list[int]:
    return [word.token for word in SCRIPT.heard(audio)]


def test_three_words_are_said_a_second_and_all_are_heard() -> None:
    assert heard(sound(CLIP.pcm)) == TOKENS[:24]
    assert {word.sentence for word in SCRIPT.words[:12]} == {0}


def test_times_count_from_the_audio_that_was_given() -> None:
    first, *_, last = SCRIPT.heard(sound(CLIP.pcm[8_000:80_000]))
    assert first.start_s == pytest.approx(0.5)
    assert last.end_s == pytest.approx(4.5)


def test_pieces_that_tile_the_clip_hear_each_word_once() -> None:
    edges = [0, 17_000, 50_001, 77_777, 120_000, len(CLIP.pcm)]
    pieces = pairwise(edges)
    assert [t for a, b in pieces for t in heard(sound(CLIP.pcm[a:b]))] == TOKENS[:24]


def test_audio_is_known_again_when_silence_was_cut_out_of_it_or_put_before() -> None:
    joined = np.concatenate([CLIP.pcm[16_000:80_000], CLIP.pcm[96_000:160_000]])
    found = SCRIPT.heard(sound(joined))
    assert [word.token for word in found] == TOKENS[:24]
    assert found[12].start_s == pytest.approx(4.0)
    padded = np.concatenate([np.zeros(640, np.int16), CLIP.pcm[16_000:80_000]])
    assert SCRIPT.heard(sound(padded))[0].start_s == pytest.approx(0.04)


def test_strange_audio_says_nothing() -> None:
    assert heard(sound(noise(2, seed=1))) == []


def test_decoding_takes_as_long_whatever_is_said() -> None:
    assert [decoded_tokens(s) for s in (0.1, 1.0, 10.0, 30.0)] == [1, 3, 30, 90]


@pytest.mark.parametrize("seconds", [5.0, 15.0, 60.0])
def test_answers_have_about_the_length_that_was_asked_for(seconds: float) -> None:
    said = [noise(length, seed) for seed, length in enumerate((1.2, 1.7, 2.3, 2.9))]
    for seed in range(10):
        clip = asr_answers.answer(said, seconds, "fluent", seed)
        answer_s = clip.speech_s - clip.sentences[0][0] / SAMPLE_RATE
        assert answer_s == pytest.approx(seconds, abs=1.5)
        silence_s = (len(clip.pcm) - clip.speech_end) / SAMPLE_RATE
        assert silence_s == pytest.approx(asr_answers.TAIL_S)


def test_a_fluent_answer_has_no_pause_that_ends_an_utterance() -> None:
    said = [noise(2.0)]
    places = asr_answers.answer(said, 30.0, "fluent", 1).sentences
    gaps = [(b[0] - a[1]) / SAMPLE_RATE for a, b in pairwise(places)]
    assert max(gaps) < 0.25
