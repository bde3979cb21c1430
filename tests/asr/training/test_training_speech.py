"""Speech with its clock: words lie where they sound, and a cut keeps only what was heard."""

import random
from pathlib import Path

import numpy as np
import pytest

from asr.rehearsal.training import examples, shards, sound
from asr.rehearsal.training.speech import SAMPLE_RATE, SILENCE, Espeak, Manner
from asr.rehearsal.training.spoken import OPEN, Speech, cut_end, cut_start, speak
from server.rehearsal.candidates import VOICES

TEXT = "I would look at the queue first. Then, I would add a cache."


def said(text: str = TEXT, seed: int = 1) -> Speech:
    return speak(text, Manner(rate=150), random.Random(seed))


def texts_of(speech: Speech) -> list[str]:
    return [speech.text[first:past] for first, past, _, _ in speech.words]


def test_every_word_has_its_time_in_order() -> None:
    speech = said()
    assert texts_of(speech) == TEXT.replace(".", "").replace(",", "").split()
    starts = [start for _, _, start, _ in speech.words]
    assert starts == sorted(starts)
    assert all(start < end <= speech.seconds + 0.05 for _, _, start, end in speech.words)


def test_there_is_sound_where_a_word_is_and_none_before_the_first() -> None:
    speech = said(seed=7)
    level = float(np.abs(speech.samples).max())
    for _, _, start, end in speech.words:
        piece = speech.samples[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
        assert np.abs(piece).max() > 0.05 * level
    before = speech.samples[: int(speech.words[0][2] * SAMPLE_RATE)]
    assert not len(before) or np.abs(before).max() < 0.05 * level


def test_sentences_hold_their_words() -> None:
    speech = said()
    assert [speech.text[first:past] for first, past, _, _ in speech.sentences] == [
        "I would look at the queue first.",
        "Then, I would add a cache.",
    ]


def test_in_chinese_every_character_is_a_word() -> None:
    speech = speak("我不知道。", Manner(voice="cmn"), random.Random(1))
    assert texts_of(speech) == list("我不知道")


@pytest.mark.parametrize("seed", range(12))
def test_a_cut_at_the_end_keeps_the_words_that_were_heard_whole(seed: int) -> None:
    whole = said()
    cut = cut_end(whole, random.Random(seed))
    assert whole.text.startswith(cut.text)
    assert cut.words == whole.words[: len(cut.words)]
    assert all(end <= cut.seconds for _, _, _, end in cut.words)
    if cut.sentences and not cut.text.endswith("."):
        assert cut.sentences[-1][3] in (OPEN, cut.sentences[-1][3])
        assert len(cut.text) < len(whole.text)


@pytest.mark.parametrize("seed", range(12))
def test_a_cut_at_the_start_moves_every_time_and_place(seed: int) -> None:
    whole = said()
    cut = cut_start(whole, random.Random(seed))
    lost = len(whole.words) - len(cut.words)
    assert texts_of(cut) == texts_of(whole)[lost:]
    offset = whole.seconds - cut.seconds
    for one, other in zip(cut.words, whole.words[lost:], strict=True):
        assert one[2] == pytest.approx(max(0.0, other[2] - offset), abs=0.02)


def test_an_unknown_voice_is_an_error() -> None:
    with pytest.raises(ValueError, match="no voice"):
        Espeak().say("Yes.", Manner(voice="klingon-x"))


def test_the_candidates_voices_are_among_those_of_the_training() -> None:
    for voice in VOICES:
        accent, _, variant = voice.partition("+")
        assert accent in examples.ACCENTS
        assert variant in examples.VARIANTS


@pytest.mark.parametrize("seed", range(4))
def test_an_example_is_a_function_of_its_seed(seed: int) -> None:
    one, other = examples.training_example(seed), examples.training_example(seed)
    assert (one.text, one.voice) == (other.text, other.voice)
    assert one.features.shape[0] == 80
    assert len(one.phonemes) == (one.frames + 1) // 2


def test_the_larger_model_s_examples_are_partly_mandarin() -> None:
    made = [examples.training_example(seed, mandarin_share=0.5) for seed in range(12)]
    assert {one.language for one in made if one.spoken} == {"en", "zh"}
    assert all(one.words for one in made if one.language == "zh" and one.text)


def test_shards_come_back_as_they_were(tmp_path: Path) -> None:
    made = [examples.training_example(seed) for seed in range(3)]
    made.append(examples.example(Speech("", np.zeros(16_000, np.float32)), examples.NOBODY))
    shards.save(made, tmp_path / "one.npz")
    for one, other in zip(made, shards.load(tmp_path / "one.npz"), strict=True):
        assert np.array_equal(one.features, other.features)
        assert (one.text, one.words, one.sentences) == (other.text, other.words, other.sentences)
        assert (one.phonemes, one.voice, other.samples) == (other.phonemes, other.voice, None)
    assert made[-1].phonemes == (SILENCE,) * 50
    assert not made[-1].spoken
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]


@pytest.mark.parametrize("seed", range(6))
def test_sound_keeps_its_length_and_its_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech = (np.sin(np.arange(16_123) * 0.1) * 0.3).astype(np.float32)
    for heard in (sound.opus(speech), sound.telephone(speech), sound.varied(rng, speech)):
        assert heard.dtype == np.float32
        assert len(heard) == len(speech)
        assert np.abs(heard).max() <= 1.01


def test_the_telephone_takes_the_highs_away() -> None:
    rng = np.random.default_rng(1)
    white = (rng.standard_normal(32_000) * 0.1).astype(np.float32)
    power = np.abs(np.fft.rfft(sound.telephone(white))) ** 2
    above = power[int(len(power) * 4200 / 8000) :].sum()
    assert above < 0.02 * power.sum()
