"""The stand-in's interviewer: picks a move by rules from what the prompt says. Pure.

It reads the same messages and tools as a real model, and nothing else. Its rules are good enough
for a rehearsal and for nothing more.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import prompts
from agent import intents
from agent.moves import FREE_PROBE
from agent.sentences import check_acknowledgement, content, words

LANGUAGES = ("en", "zh")
SHORT_ANSWER = 12
"""Words; a shorter answer is vague."""
LONG_ENOUGH = 25


@dataclass(frozen=True)
class Situation:
    """What the last message says."""

    language: str
    turn_id: str
    answer: str
    question_id: str
    question: str
    legal: tuple[str, ...]
    probe_ids: tuple[str, ...]
    outline: Mapping[str, str]
    """Texts of the plan by id: questions, probes, and what candidates may ask."""
    triggers: Mapping[str, str]
    faq_ids: tuple[str, ...]
    retry: bool
    """The last move was refused."""


@dataclass(frozen=True)
class Choice:
    name: str
    arguments: dict[str, object]


# --- reading the prompt ---------------------------------------------------------------------------


def read(messages: Sequence[Mapping[str, Any]], schemas: Mapping[str, Any]) -> Situation | None:
    """The situation, or None if these are no messages of an interview."""
    last = str(messages[-1].get("content", "")) if messages else ""
    system = str(messages[0].get("content", "")) if messages else ""
    for language in LANGUAGES:
        found = _template(prompts.source(language, "turn")).search(last)
        if found:
            return _situation(language, system, last, found.groupdict(), schemas)
    return None


def _situation(
    language: str, system: str, last: str, facts: dict[str, str], schemas: Mapping[str, Any]
) -> Situation:
    question_id, _, question = facts["question"].partition(": ")
    turn_id, answer = _last_words(language, last)
    probes = re.findall(r"(?m)^  - (\w+) \((\w+)\): (.+)$", system)
    return Situation(
        language=language,
        turn_id=turn_id,
        answer=answer,
        question_id=question_id,
        question=question,
        legal=_listed(facts["moves"]),
        probe_ids=_listed(facts["probes"]),
        outline=dict(re.findall(r"(?m)^- (\w+): (.+)$", system))
        | {probe_id: text for probe_id, _, text in probes},
        triggers={probe_id: trigger for probe_id, trigger, _ in probes},
        faq_ids=tuple(schemas.get("faq_id", {}).get("enum", ())),
        retry=_template(_history(language, "retry")).search(last) is not None,
    )


def _last_words(language: str, last: str) -> tuple[str, str]:
    lines = _template(_history(language, "candidate")).finditer(last)
    *_, (turn_id, text) = [("", '""'), *((m["turn"], m["text"]) for m in lines)]
    return turn_id, str(json.loads(text))


def _history(language: str, name: str) -> str:
    body = prompts.source(language, "history").partition(f"## {name}\n")[2]
    return body.partition("\n\n")[0]


def _template(template: str) -> re.Pattern[str]:
    """A prompt's text as a pattern: each `$fact` matches the rest of its line."""
    parts = re.split(r"\$(\w+)", template.strip())
    return re.compile(
        "".join(f"(?P<{p}>.*?)" if i % 2 else re.escape(p) for i, p in enumerate(parts))
        + ("$" if parts[-1] == "" else ""),
        re.MULTILINE,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[a-z]\w*", text))


# --- choosing -------------------------------------------------------------------------------------


def choose(situation: Situation, *, seed: int = 0) -> Choice:
    """The first rule that gives a legal move."""
    for choice in _choices(situation, random.Random(f"{seed} {situation.turn_id}")):
        if choice.name in situation.legal:
            return choice
    return Choice("wait", {"kind": "not_finished"})


def illegal(situation: Situation) -> Choice:
    """A move that the machine refuses: something the candidate has not asked for."""
    if "skip_question" not in situation.legal:
        return Choice("skip_question", {"reason": "on to something else"})
    return Choice("ask_probe", {"probe_id": FREE_PROBE, "question": "Great! Why?"})


def free_probe(situation: Situation) -> Choice:
    """A follow-up on a word of the answer."""
    word = next(_telling_words(situation), situation.question_id)
    if situation.language == "zh":
        return _probe(FREE_PROBE, f"关于{word}，您能说得更具体吗？")
    return _probe(FREE_PROBE, f"What did you find difficult about {word}?")


def _choices(at: Situation, chance: random.Random) -> Iterable[Choice]:
    said = at.answer
    if intents.wants_to_end(said):
        yield Choice("end_interview", {"reason": said[:80]})
    if intents.wants_a_person(said):
        yield Choice("answer_candidate", {"faq_id": "want_a_person"})
    if intents.wants_to_skip(said):
        yield Choice("skip_question", {"reason": said[:80]})
    if intents.is_thinking(said):
        yield Choice("wait", {"kind": "thinking"})
    if intents.wants_repeat(said):
        yield Choice("repeat_question", {"rephrase": _not_understood(said)})
    if intents.is_question(said) and len(words(said)) <= LONG_ENOUGH:
        yield Choice("answer_candidate", {"faq_id": _best_answer(at)})
    if _breaks_off(said):
        yield Choice("wait", {"kind": "not_finished"})
    if not intents.is_refusal(said):
        yield from (_probe(probe_id) for probe_id in at.probe_ids if _is_needed(probe_id, at))
    yield Choice("next_question", {"acknowledgement": _acknowledgement(at, chance)})
    yield Choice("repeat_question", {"rephrase": False})
    yield Choice("answer_candidate", {"faq_id": "none"})


def _probe(probe_id: str, question: str = "") -> Choice:
    return Choice("ask_probe", {"probe_id": probe_id, "question": question})


def _not_understood(said: str) -> bool:
    return bool(re.search(r"understand|mean|rephrase|不懂|没懂|不明白|什么意思|换", said))


def _breaks_off(said: str) -> bool:
    return bool(
        re.search(r"(?:\b(?:and|because|so|but|the|a|to)|[,，])\s*$|(?:因为|所以|但是|而且)$", said)
    )


_RESULT = re.compile(
    r"\b(result|end|success|percent|finished|agreed|launched|reduced|decided|happy)\b|结果|最后|成功|百分之|同意|完成"
)


def _is_needed(probe_id: str, at: Situation) -> bool:
    """Whether the answer lacks what a probe asks for, beyond the question itself."""
    if probe_id == FREE_PROBE:
        return False
    sought = content(at.outline.get(probe_id, "")) - content(at.question)
    if sought & content(at.answer):
        return False
    return at.triggers.get(probe_id) != "missing_result" or not _RESULT.search(at.answer)


def _length(text: str) -> int:
    return len(words(text)) + len(re.findall(r"[\u3400-\u9fff]", text)) // 2


_GENERAL = {
    "can_you_hear_me": r"hear me|听得到|听得见|能听到",
    "are_you_an_ai": r"are you (?:an? )?(?:ai|robot|machine|person|human|real)"
    r"|是(?:机器人|真人|AI|人工智能)",
    "time_left": r"(?:much|how) (?:more )?(?:time|long).*(?:left|take|remain)"
    r"|(?:多少|多长|多久).*时间|还有多久",
    "how_did_i_do": r"how (?:did|am) i (?:do|doing)|我(?:表现|答)得?怎么样",
    "pause": r"\b(?:a (?:short )?break|pause)\b|休息|暂停",
}


def _best_answer(at: Situation) -> str:
    """The FAQ with the most words in common, or a general answer, or none."""
    general = [name for name, said in _GENERAL.items() if re.search(said, at.answer, re.IGNORECASE)]
    shared = {key: len(content(at.outline.get(key, "")) & content(at.answer)) for key in at.faq_ids}
    best = max(shared, key=lambda key: shared[key], default="none")
    return [*general, best if shared.get(best) else "none"][0]


_ACKNOWLEDGEMENTS = {
    "en": ("Thank you, you mentioned {}.", "Okay, you spoke about {}."),
    "zh": ("好的，您提到{}。", "明白，您说到{}。"),
}
_IDLE = frozenset(
    """after again always because before both could every everyone first free many once other people
    something thank thanks then there things think time usually when while""".split()  # noqa: SIM905
)
_BETWEEN_ZH = re.compile(
    r"只有|时候|最后|大家|现在|每天|谢谢|[的了是在和与把我们您你有也都会很从到对里上下一个这那为因所以但于被每]"
)


def _acknowledgement(at: Situation, chance: random.Random) -> str:
    """One sentence with a word of the candidate's; empty if none would pass."""
    language: Any = at.language
    if _length(at.answer) < SHORT_ANSWER // 2:
        return ""
    template = chance.choice(_ACKNOWLEDGEMENTS[at.language])
    for word in _telling_words(at):
        sentence = template.format(word)
        if check_acknowledgement(sentence, at.answer, language) is None:
            return sentence
    return ""


def _telling_words(at: Situation) -> Iterator[str]:
    """The candidate's own words of weight: names first, then the longest; the question's last."""
    if at.language == "zh":
        names = re.findall(r"[A-Za-z][A-Za-z+#]+", at.answer)
        runs = [
            run
            for part in re.findall(r"[\u3400-\u9fff]+", at.answer)
            for run in _BETWEEN_ZH.split(part)
            if 2 <= len(run) <= 6
        ]
        found = [*names, *sorted(runs, key=len, reverse=True)]
    else:
        inside = re.findall(r"(?<![.!?] )(?<!^)(?<!\b[Tt]o )\b[A-Za-z][A-Za-z+#-]{4,}", at.answer)
        found = [word for word in inside if word.lower() not in _IDLE and content(word)]
        found.sort(key=lambda word: (not word[0].isupper(), -len(word)))
    asked = content(at.question)
    yield from dict.fromkeys(sorted(found, key=lambda word: bool(content(word) & asked)))
