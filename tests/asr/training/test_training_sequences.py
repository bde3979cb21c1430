"""What the decoder is to read and say for an example, with the committed tokenizer."""

import random
import re

import numpy as np
import pytest

from asr import rehearsal
from asr.rehearsal.training import sequences
from asr.rehearsal.training.examples import Example
from asr.rehearsal.training.sequences import IGNORED
from asr.rehearsal.training.tokens import FILE, TIMESTAMPS, Tokens, build


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.load(rehearsal.MODEL_DIR / FILE)


def heard(
    text: str, *words: tuple[float, float], voice: str = "en-us", end: float = 1.0
) -> Example:
    places = [(w.start(), w.end()) for w in re.finditer(r"[A-Za-z']+", text)]
    spans = tuple((*place, *times) for place, times in zip(places, words, strict=True))
    sentences = ((0, len(text), words[0][0], end),) if words else ()
    features = np.zeros((80, 300), np.float16)
    return Example(features, text, spans, sentences, ("_",) * 150, voice)


def test_special_tokens_are_in_whisper_s_order(tokens: Tokens) -> None:
    names = tokens.names()
    start = names.index("<|endoftext|>")
    assert names[start : start + 10] == [
        "<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|zh|>", "<|translate|>",
        "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>",
    ]  # fmt: skip
    assert names[start + 10 :] == [f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)]
    assert names[start - 1] == ""  # or CTranslate2 takes it for an English-only model


def test_a_letter_with_the_space_before_it_is_one_token(tokens: Tokens) -> None:
    for letter in "abcxyzABCXYZ0159":
        assert len(tokens.tokenizer.encode(f" {letter}", add_special_tokens=False).ids) == 1


def test_each_label_is_the_token_that_follows(tokens: Tokens) -> None:
    example = heard("Yes, queue.", (0.0, 0.4), (0.5, 1.0))
    said = sequences.said(example, tokens)
    made = sequences.reading(example, said, tokens, [], timestamps=False)
    start = [tokens.special(n) for n in ("startoftranscript", "en", "transcribe", "notimestamps")]
    assert made.tokens == [*start, *said.tokens]
    assert made.labels == [
        tokens.special("en"), IGNORED, IGNORED, *said.tokens, tokens.end,
    ]  # fmt: skip
    assert tokens.text(list(said.tokens)) == "Yes, queue."


def test_tokens_lie_where_their_word_is_heard(tokens: Tokens) -> None:
    example = heard("Yes, queue.", (0.0, 0.4), (0.5, 1.0))
    said = sequences.said(example, tokens)
    by_text = {
        tokens.tokenizer.decode([token]): place
        for token, place in zip(said.tokens, said.places, strict=True)
    }
    assert by_text[" Yes"] == (0, 20)
    assert by_text[","] is None
    assert said.places[-2] == (25, 50)


def test_with_times_each_sentence_stands_between_its_own(tokens: Tokens) -> None:
    example = heard("Yes.", (0.1, 0.5), end=0.5)
    made = sequences.reading(example, sequences.said(example, tokens), tokens, [], timestamps=True)
    zero = tokens.first_timestamp
    assert made.labels[2] == zero + 5
    assert made.labels[-2:] == [zero + 25, tokens.end]


def test_an_open_sentence_has_no_end_time(tokens: Tokens) -> None:
    example = heard("Yes", (0.1, 0.5), end=-1.0)
    made = sequences.reading(example, sequences.said(example, tokens), tokens, [], timestamps=True)
    assert made.labels[-1] == tokens.end
    assert made.labels[-2] < tokens.end


def test_without_speech_the_first_label_says_so(tokens: Tokens) -> None:
    example = heard("", voice="none")
    made = sequences.reading(example, sequences.said(example, tokens), tokens, [], timestamps=False)
    assert made.labels == [tokens.special("nospeech"), IGNORED, IGNORED, tokens.end]


def test_earlier_text_is_read_and_never_a_label(tokens: Tokens) -> None:
    example = heard("Yes.", (0.1, 0.5))
    prompt = list(sequences.said(heard("No.", (0.0, 0.2)), tokens).tokens)
    made = sequences.reading(
        example, sequences.said(example, tokens), tokens, prompt, timestamps=False
    )
    assert made.tokens[: len(prompt) + 1] == [tokens.special("startofprev"), *prompt]
    assert made.labels[: len(prompt) + 1] == [IGNORED] * (len(prompt) + 1)


def test_the_first_layer_looks_at_the_word_before() -> None:
    places = [None, (0, 5), (0, 5), None, (6, 9), None]
    assert sequences.earlier(places) == [None, None, (0, 5), None, (0, 5), None]


def test_batches_hold_every_example_once_and_no_more_than_fits() -> None:
    frames = [random.Random(n).randint(20, 2900) for n in range(200)]
    made = sequences.batches(frames, 6000, random.Random(1))
    assert sorted(number for batch in made for number in batch) == list(range(200))
    assert all(max(frames[n] for n in batch) * len(batch) <= 6000 for batch in made)
    assert made == sequences.batches(frames, 6000, random.Random(1))
    assert made != sequences.batches(frames, 6000, random.Random(2))


def test_mandarin_is_read_in_its_own_language() -> None:
    """With a tokenizer of the larger kind, from little text."""
    tokens = build(600, mandarin=True, share=0.01)
    assert len(tokens.names()) == len(set(tokens.names()))
    example = heard("我不知道。", voice="cmn+f1")
    said = sequences.said(example, tokens)
    made = sequences.reading(example, said, tokens, [], timestamps=False)
    assert made.tokens[1] == tokens.special("zh")
    assert tokens.text(list(said.tokens)) == "我不知道。"
