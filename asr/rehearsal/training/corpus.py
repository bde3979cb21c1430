"""What the rehearsal model is taught to hear: three domains of templates, and digits.

`corpus/*.yaml` holds templates with slots. Besides whole sentences there are strings of words
without any grammar and sentences whose grammar is broken, so that the model listens instead of
guessing. Everything is drawn from the `random.Random` that is given: the same seed, the same text.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from ruamel.yaml import YAML

from asr.rehearsal.training import digits

FOLDER = Path(__file__).parent / "corpus"
WEIGHTS: Mapping[str, float] = {"interview": 0.45, "backend": 0.35, "talk": 0.20}
"""The share of each domain among the sentences of the training."""
WORD = re.compile(r"[A-Za-z']+")
SLOT = re.compile(r"\{(\w+)\}")
HOMOPHONES = frozenset(
    re.findall(
        r"\S+",
        "two four to for by bye their there our hour no know new one hear here right write "
        "you're your it's i'll",
    )
)
"""Not put where no grammar tells them from a word of the same sound."""
HELD_OUT = 17
"""One sentence of so many is kept for the tests."""


@dataclass(frozen=True)
class Domain:
    """One file of templates. `proper` words keep their capitals, `free` is only ever tested."""

    name: str
    slots: Mapping[str, tuple[str, ...]]
    templates: tuple[str, ...]
    free: tuple[str, ...]
    proper: frozenset[str]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word that a sentence can have, sorted, in lower case but for the proper ones."""
        texts = [*self.templates, *(text for texts in self.slots.values() for text in texts)]
        found = {word for text in texts for word in WORD.findall(SLOT.sub(" ", text))} | {"an"}
        return tuple(sorted({self.plain(word) for word in found}))

    def plain(self, word: str) -> str:
        return word if word in self.proper else word.lower()

    def sentence(self, chance: random.Random) -> str:
        return filled(chance.choice(self.templates), self.slots, chance)


@cache
def domain(name: str) -> Domain:
    tree = YAML(typ="safe").load(FOLDER / f"{name}.yaml")
    slots = {slot: tuple(texts) for slot, texts in tree["slots"].items()}
    names = [*slots.get("city", ()), *slots.get("name", ()), "I"]
    return Domain(
        name=name,
        slots=slots,
        templates=tuple(tree["templates"]),
        free=tuple(tree["free"]),
        proper=frozenset([*tree["proper"], *names]),
    )


@cache
def free(name: str) -> tuple[str, ...]:
    """The sentences of a file that has nothing but those."""
    return tuple(YAML(typ="safe").load(FOLDER / f"{name}.yaml")["free"])


@cache
def proper() -> frozenset[str]:
    return frozenset().union(*(domain(name).proper for name in WEIGHTS))


@cache
def vocabulary(names: tuple[str, ...] = tuple(WEIGHTS)) -> tuple[str, ...]:
    """Every word of these domains, sorted, and those of spoken digits with all of them."""
    words = {word for name in names for word in domain(name).words}
    if len(names) == len(WEIGHTS):
        words |= digits.WORDS
    return tuple(sorted(words))


@cache
def _loose(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(word for word in vocabulary(names) if word.lower() not in HOMOPHONES)


def filled(template: str, slots: Mapping[str, Sequence[str]], chance: random.Random) -> str:
    """The template with words in its slots, a or an, and capitals after full stops."""
    text = SLOT.sub(lambda slot: chance.choice(slots[slot.group(1)]), template)
    text = re.sub(r"\ba ([aeiouAEIO]\w+)", _article, text)
    return re.sub(r"(^|[.?!] )(\w)", lambda start: start.group(1) + start.group(2).upper(), text)


def _article(found: re.Match[str]) -> str:
    article = "a" if found.group(1).startswith(("uni", "use", "one")) else "an"
    return f"{article} {found.group(1)}"


def capitalised(text: str) -> str:
    return text[0].upper() + text[1:]


def sentence(chance: random.Random, names: Sequence[str] = tuple(WEIGHTS)) -> str:
    """One sentence of the training: never a held-out one."""
    while True:
        (name,) = chance.choices(names, [WEIGHTS[name] for name in names])
        text = domain(name).sentence(chance)
        if not held_out(text, domain(name)):
            return text


def test_sentence(chance: random.Random, name: str) -> str:
    """One that the training never sees, or of a domain that holds none back, any."""
    while True:
        text = domain(name).sentence(chance)
        if held_out(text, domain(name)) or name == "talk":
            return text


def held_out(text: str, within: Domain) -> bool:
    """By its words, so that it needs no list. Fixed sentences are too few to keep any back."""
    fixed = within.name == "talk" or text in within.templates
    return not fixed and zlib.crc32(text.lower().encode()) % HELD_OUT == 0


def word_string(
    chance: random.Random, fewest: int = 3, most: int = 9, names: tuple[str, ...] = tuple(WEIGHTS)
) -> str:
    """Words of the vocabulary in no order, a comma here and there."""
    words = [chance.choice(_loose(names)) for _ in range(chance.randint(fewest, most))]
    text = words[0]
    for word in words[1:]:
        text += (", " if chance.random() < 0.08 else " ") + word
    return capitalised(text) + ("?" if chance.random() < 0.05 else ".")


def broken(text: str, chance: random.Random) -> str:
    """A sentence with words swapped and left out, or its head on another's tail."""
    if chance.random() < 0.4:
        text = _grafted(text, sentence(chance), chance)
    words: list[str] = []
    for word in text.split():
        mark = word[len(word.rstrip(".,?!")) :]
        drawn = chance.random()
        if drawn < 0.22:
            words.append(chance.choice(_loose(tuple(WEIGHTS))) + mark)
        elif drawn >= 0.26 or mark:
            words.append(word)
    return _punctuated(words or ["yes"], text[-1])


def _grafted(head: str, tail: str, chance: random.Random) -> str:
    first, second = head.split(), tail.split()
    cut = chance.randint(2, max(2, len(first) - 1))
    return " ".join(first[:cut] + second[chance.randint(0, max(0, len(second) - 3)) :])


def _punctuated(words: Sequence[str], end: str) -> str:
    cased: list[str] = []
    for word in words:
        if word.rstrip(".,?!") in proper():
            cased.append(word)
        elif cased and not cased[-1].endswith((".", "?")):
            cased.append(word.lower())
        else:
            cased.append(capitalised(word))
    return " ".join(cased).rstrip(",.?!") + (end if end in ".?" else ".")


def training_text(chance: random.Random) -> str:
    """What one example says: from a single word to seven sentences."""
    drawn = chance.random()
    if drawn < 0.13:
        return word_string(chance, 1, 9)
    if drawn < 0.23:
        return digits.phrase(chance)
    if drawn < 0.46:
        return broken(sentence(chance), chance)
    if drawn < 0.67:
        return sentence(chance)
    return _several(chance, drawn)


def _several(chance: random.Random, drawn: float) -> str:
    if drawn < 0.81:
        last = sentence(chance)
        return f"{sentence(chance)} {last if chance.random() < 0.7 else broken(last, chance)}"
    if drawn < 0.92:
        return " ".join(sentence(chance) for _ in range(3))
    return " ".join(
        sentence(chance) if chance.random() < 0.8 else word_string(chance)
        for _ in range(chance.randint(4, 7))
    )
