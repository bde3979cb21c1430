"""The steps of a run, each from the files of those before it."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asr.rehearsal.training import corpus as texts
from asr.rehearsal.training import mandarin, shards, testsets, tokens
from asr.rehearsal.training.tokens import Tokens

if TYPE_CHECKING:
    from asr.rehearsal.training.__main__ import Size

logger = logging.getLogger(__name__)

VOCABULARY = "vocabulary.json"
TOKENIZER = "tokenizer.json"
SHARDS = "shards"
FIT = "fit"
MODEL = "model"
TESTS = "tests"
EVALUATION = "evaluation.json"


def corpus(options: argparse.Namespace, size: Size) -> None:
    """The words, written down."""
    words = list(texts.vocabulary())
    text = json.dumps(words, ensure_ascii=False, indent=0) + "\n"
    (options.work / VOCABULARY).write_text(text, encoding="utf-8")
    logger.info("%d words", len(words))


def tok(options: argparse.Namespace, size: Size) -> None:
    path = options.work / TOKENIZER
    if not path.exists():
        made = tokens.build(size.text_tokens, mandarin=options.larger, share=size.text_share)
        made.tokenizer.save(str(path))
    logger.info("%d tokens", Tokens.load(path).size)


def gen(options: argparse.Namespace, size: Size) -> None:
    _shards(options, size)


def _shards(options: argparse.Namespace, size: Size) -> list[Path]:
    share = mandarin.SHARE if options.larger else 0.0
    return shards.make(
        options.work / SHARDS, size.examples, options.seed, options.threads, mandarin_share=share
    )


def train(options: argparse.Namespace, size: Size) -> None:
    import torch

    from asr.rehearsal.training import fitting, warm_start
    from asr.rehearsal.training.material import Material, Mix
    from asr.rehearsal.training.model import Micro, Shape

    torch.set_num_threads(1)  # a step has threads of its own
    torch.set_float32_matmul_precision("high")  # on a GPU; a CPU knows no difference
    torch.manual_seed(options.seed)
    known = Tokens.load(options.work / TOKENIZER)
    examples = [one for path in _shards(options, size) for one in shards.load(path)]
    phonemes = sorted({label for one in examples for label in one.phonemes})
    shape = Shape(size.width, size.encoder_layers, size.decoder_layers, known.size, len(phonemes))
    model = Micro(shape)
    gpu = options.device.startswith("cuda")
    helpers = not options.text_alone
    plan = fitting.Plan(options.seed, size.steps, options.rate, helpers=helpers)
    if gpu:  # steps are short, and one batch fills it
        plan = replace(plan, parts=1, save_every=500)
    if options.init_from_ct2:
        warm_start.load(model, options.init_from_ct2, known)
        plan = warm_start.gentler(plan)
    fit = fitting.Fit(model, plan, options.work / FIT, options.device)
    fit.resume()
    # On a CPU the making of batches is little beside the learning, and a process takes its share.
    workers = options.threads if gpu else 0
    fit.run(Material(examples, known, phonemes, Mix(size.frames)), workers)


def export(options: argparse.Namespace, size: Size) -> None:
    from asr.rehearsal.training import fitting, weights

    model = fitting.averaged(options.work / FIT / fitting.CHECKPOINT)
    arrays = {
        name: value.numpy() for name, value in model.model.state_dict(prefix="model.").items()
    }
    known = Tokens.load(options.work / TOKENIZER)
    weights.export(arrays, model.shape.heads, known, options.work / MODEL)
    for file in sorted((options.work / MODEL).iterdir()):
        logger.info("%s %d bytes", file.name, file.stat().st_size)


def evaluate(options: argparse.Namespace, size: Size) -> None:
    """Against the checkpoint that is there, on the same sound; all figures in one file."""
    from asr.rehearsal.training import evaluation

    names = [*testsets.OLD, *testsets.NEW, *(testsets.MANDARIN if options.larger else ())]
    if options.small:
        names = ["telephone", "digits"]
    tests = options.work / TESTS
    found = evaluation.compare(options.against, options.work / MODEL, tests, names, size.tests)
    text = json.dumps(found, indent=1) + "\n"
    (options.work / EVALUATION).write_text(text, encoding="utf-8")
    logger.info("worse than before: %s", ", ".join(found["worse"]) or "nothing")
