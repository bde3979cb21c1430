"""The tokenizer: byte-level BPE over the corpus, and Whisper's special tokens in Whisper's order.

CTranslate2 and faster-whisper ask of a home-made one: text first, then `<|endoftext|>`,
`<|startoftranscript|>`, languages, the tasks, and the timestamps last; the empty token, or the
model is taken for an English-only one; and every letter with the space before it as one token, for
the bare space is suppressed.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import string
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from asr.rehearsal.training import corpus, digits
from asr.rehearsal.training import mandarin as chinese

LANGUAGES = ("en", "zh")
TASKS = (
    "translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps",
)  # fmt: skip
TEXT_TOKENS = 3000
TIMESTAMPS = 1501
STEP_S = 0.02
FILE = "tokenizer.json"


@dataclass(frozen=True)
class Tokens:
    """A tokenizer and the numbers of its special tokens."""

    tokenizer: Tokenizer

    @classmethod
    def load(cls, path: Path) -> Tokens:
        return cls(Tokenizer.from_file(str(path)))

    def special(self, name: str) -> int:
        """Raises `KeyError` for a name that the tokenizer does not have."""
        number = self.tokenizer.token_to_id(f"<|{name}|>")
        if number is None:
            raise KeyError(name)
        return int(number)

    @cached_property
    def end(self) -> int:
        return self.special("endoftext")

    @cached_property
    def first_timestamp(self) -> int:
        return self.special("notimestamps") + 1

    @property
    def size(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    def names(self) -> list[str]:
        """Every token by its number."""
        return [str(self.tokenizer.id_to_token(number)) for number in range(self.size)]

    def text(self, numbers: list[int]) -> str:
        kept = [number for number in numbers if number < self.end]
        return str(self.tokenizer.decode(kept)).strip()


def build(text_tokens: int = TEXT_TOKENS, *, mandarin: bool = False, share: float = 1.0) -> Tokens:
    """The same tokenizer every time; from a `share` of the text if it need not be good."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        itertools.chain(_texts(share), _mandarin_texts() if mandarin else ()),
        trainers.BpeTrainer(
            vocab_size=text_tokens - 1,  # the empty token is added below
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = _with_empty_token(tokenizer)
    names = ["endoftext", "startoftranscript", *LANGUAGES, *TASKS]
    tokenizer.add_special_tokens(
        [AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names]
    )
    tokenizer.add_tokens(
        [AddedToken(f"<|{i * STEP_S:.2f}|>", normalized=False) for i in range(TIMESTAMPS)]
    )
    return Tokens(tokenizer)


def _with_empty_token(tokenizer: Tokenizer) -> Tokenizer:
    tree = json.loads(tokenizer.to_str())
    vocabulary = tree["model"]["vocab"]
    vocabulary[""] = len(vocabulary)
    return Tokenizer.from_str(json.dumps(tree))


def _texts(share: float) -> Iterator[str]:
    """Sentences for the usual pieces, and every word often enough to become one token."""
    chance = random.Random(1)
    for _ in range(int(30_000 * share)):
        yield f" {corpus.sentence(chance)}"
    for _ in range(int(6000 * share)):
        yield f" {corpus.word_string(chance)}"
    for _ in range(int(3000 * share)):
        yield f" {digits.phrase(chance)}"
    for word in corpus.vocabulary():
        for _ in range(math.ceil(200 * share)):
            yield f" {word} {corpus.capitalised(word)}"
    for letter in string.ascii_letters + string.digits + "-'":
        for _ in range(math.ceil(2000 * share)):
            yield f" {letter}"


def _mandarin_texts() -> Iterator[str]:
    chance = random.Random(2)
    for _ in range(10_000):
        yield f" {chinese.sentence(chance)}"
