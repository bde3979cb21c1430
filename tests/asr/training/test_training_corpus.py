"""The words that the rehearsal model is taught, held against what a rehearsal says."""

import random
import re

import pytest

from agent import intent_phrases
from agent.plan import Plan
from asr.rehearsal.training import corpus, digits, mandarin
from tests.asr.training.plans import load

NOISES = frozenset(
    ["ah", "er", "hm", "hmm", "hmmm", "huh", "m", "mm", "mmhm", "mmm", "uhhuh", "umm", "ok"]
)
"""Sounds that are no words, and spellings that a text never has."""


def known() -> set[str]:
    return {word.lower() for word in corpus.vocabulary()}


def words(text: str) -> set[str]:
    return {word.lower() for word in corpus.WORD.findall(text)}


def test_every_word_of_a_request_is_in_the_vocabulary() -> None:
    said: set[str] = set()
    for phrases in (*intent_phrases.ENGLISH.values(), tuple(intent_phrases.ENGLISH_PARTS.values())):
        for phrase in phrases:
            said |= words(re.sub(r"<[^>]*>", " ", phrase))
    for noise in (*intent_phrases.BACKCHANNELS, *intent_phrases.BACKCHANNEL_PAIRS):
        said |= words(noise)
    assert len(said) > 200
    assert said - known() - {"re"} - NOISES == set()


@pytest.mark.parametrize("name", ["rehearsal_en", "backend_engineer_en"])
def test_every_term_of_an_english_plan_is_in_the_vocabulary(name: str) -> None:
    plan: Plan = load(name)
    assert plan.terms
    assert {word for term in plan.terms for word in words(term)} - known() == set()


def test_a_pin_is_in_the_vocabulary() -> None:
    assert {*digits.NAMES, "oh", "double", "pin"} <= known()


@pytest.mark.parametrize("name", corpus.WEIGHTS)
def test_free_sentences_have_only_words_that_are_taught(name: str) -> None:
    free = corpus.domain(name).free
    assert len(free) >= 10
    assert {word for text in free for word in words(text)} - known() == set()


@pytest.mark.parametrize("name", corpus.WEIGHTS)
def test_every_slot_of_every_template_is_there(name: str) -> None:
    domain = corpus.domain(name)
    asked = {slot for text in domain.templates for slot in corpus.SLOT.findall(text)}
    assert asked <= set(domain.slots)
    assert all(isinstance(text, str) for texts in domain.slots.values() for text in texts)


def test_the_first_checkpoint_s_words_are_still_taught() -> None:
    assert len(corpus.vocabulary(("interview",))) == 540
    assert set(corpus.vocabulary(("interview",))) <= set(corpus.vocabulary())


def test_the_training_never_says_a_held_out_sentence() -> None:
    chance = random.Random(3)
    trained = {corpus.sentence(chance, ("interview",)) for _ in range(2000)}
    tested = {corpus.test_sentence(chance, "interview") for _ in range(200)}
    assert len(tested) > 100
    assert not trained & tested


def test_the_same_seed_says_the_same() -> None:
    one, other = ([corpus.training_text(random.Random(n)) for n in range(50)] for _ in range(2))
    assert one == other
    assert len(set(one)) > 40


def test_sentences_begin_with_a_capital_and_have_no_open_slot() -> None:
    chance = random.Random(4)
    for _ in range(500):
        text = corpus.training_text(chance)
        assert text[0].isupper(), text
        assert text[-1] in ".?", text
        assert "{" not in text


def test_a_digit_string_keeps_its_digits() -> None:
    chance = random.Random(5)
    values = {name: str(number) for number, name in enumerate(digits.NAMES)} | {"oh": "0"}
    for _ in range(200):
        wanted = digits.drawn(chance, chance.randint(digits.SHORTEST, digits.LONGEST))
        said = digits.spoken(wanted, chance).replace(",", "").split()
        got, doubled = "", 0
        for word in said:
            if word == "double":
                doubled = 1
                continue
            got += values[word] * (1 + doubled)
            doubled = 0
        assert got == wanted


def test_the_mandarin_set_fills_its_slots() -> None:
    chance = random.Random(6)
    texts = {mandarin.training_text(chance) for _ in range(200)}
    assert len(texts) > 100
    assert all(re.fullmatch(r"[\u4e00-\u9fff，。？]+", text) for text in texts)
