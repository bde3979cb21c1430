"""The worked English plan's candidate: an answer to every question, in words that are taught."""

import re

import pytest

from asr.rehearsal.training import corpus
from server.rehearsal import worked
from server.rehearsal.candidates import VOICES, built_in
from server.rehearsal.script import Script, for_plan
from tests.asr.training.plans import load

SEEDS = range(8)


def said(script: Script) -> list[str]:
    return [step.say for step in script.steps() if step.say]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_question_of_the_worked_plan_is_answered_aloud(seed: int) -> None:
    plan = load(worked.PLAN)
    script = for_plan(built_in(plan, seed), plan)
    assert set(script.answers) == {question.id for question in plan.questions()}
    assert script.voice.name in VOICES
    assert len(said(script)) == len(list(script.steps()))
    assert not re.search(r"[{}]|\ba [aeio]", " ".join(said(script)))


@pytest.mark.parametrize("seed", SEEDS)
def test_every_word_is_one_that_the_recogniser_was_taught(seed: int) -> None:
    script = built_in(load(worked.PLAN), seed)
    words = {word for text in said(script) for word in corpus.WORD.findall(text)}
    known = {word.lower() for word in corpus.vocabulary()}
    assert {word for word in words if word.lower() not in known} == set()
    assert corpus.WORD.findall(script.otherwise.steps[0].say or "")


def test_so_are_those_of_the_rehearsal_s_own_candidate() -> None:
    known = {word.lower() for word in corpus.vocabulary()}
    for seed in SEEDS:
        for text in said(built_in(load("rehearsal_en"), seed)):
            assert {word.lower() for word in corpus.WORD.findall(text)} <= known, text
