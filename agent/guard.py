"""What a reason must not speak of: the lexical guard over the grader's sentences. Pure.

A reason that names a candidate's person or manner of speech, that gives marks of its own, or that
quotes words nobody said is not shown; the computed reason takes its place. Ordinary technical words
(a race condition, a young generation, the age of a cache entry) pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from agent.evidence import find_quote

_ENGLISH = r"""
accent(?:s|ed)? | fluen(?:t|tly|cy) | disfluen\w+ | pronunciation | pronounc\w+ | enunciat\w+
| native\s+(?:speaker|english|language) | grammatical\w*
| (?:broken|poor|good|perfect)\s+(?:english|chinese|mandarin|grammar)
| stutter\w* | stammer\w* | mumbl\w+ | filler\s+words? | (?:tone|tremor)\s+of\s+voice
| (?:his|her|their|candidate'?s)\s+(?:voice|tone|age|appearance|looks|mood|feelings?)
| nervous\w* | anxi(?:ous|ously|ety) | enthusias\w+ | emotion\w* | mood | charisma\w*
| charming | likeable | confident(?:ly)? | self-?confiden\w+ | hesita\w+ | shy
| cheerful\w* | (?<!-)friendly | passionate\w* | eye\s+contact | body\s+language
| smil\w+ | facial | appearance | attractive | well[- ]dressed
| (?:too|quite|very|seems?|sounds?|is|looks)\s+(?:old|young)
| years\s+old | elderly | middle-aged | gender | male | female | wom[ae]n
| s?he | his | hers? | him | ethnic\w* | racial\w* | religio\w+ | nationalit\w+
| immigrant\w* | foreigner\w* | pregnan\w+ | married | sexual\w* | disab(?:led|ilit(?:y|ies))
"""
_CHINESE = (
    "口音|流利|流畅|发音|普通话|咬字|语调|语气|语速|嗓音|音色|结巴|口吃|母语|紧张|自信|"
    "情绪|心情|热情|焦虑|害羞|犹豫|神态|表情|眼神|肢体语言|微笑|外貌|长相|外表|形象|气质|"
    "年龄|年轻|年老|岁数|性别|男性|女性|男生|女生|先生|女士|她|民族|种族|籍贯|宗教|"
    "国籍|婚姻|已婚|未婚|怀孕|残疾"
)
_PERSON = re.compile(rf"\b(?:{_ENGLISH})\b", re.IGNORECASE | re.VERBOSE)
_PERSON_ZH = re.compile(_CHINESE)
_MARKS = re.compile(
    r"\d+(?:\.\d+)?\s*(?:/\s*100?\b|out\s+of\s+(?:100?|ten)\b|分(?![钟之布区片支]))|满分",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「『]([^\"”」』]+)[\"”」』]")
MAX_REASON = 300
"""Letters; a longer reason is no reason but an essay."""


def speaks_of_person(text: str) -> bool:
    return bool(_PERSON.search(text) or _PERSON_ZH.search(text))


def checked_reason(text: str, answers: Iterable[str]) -> str | None:
    """The reason on one line, or None if it may not stand."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not line or len(line) > MAX_REASON or speaks_of_person(line) or _MARKS.search(line):
        return None
    said = list(answers)
    quoted = _QUOTED.findall(line)
    if any(not any(find_quote(words, answer) for answer in said) for words in quoted):
        return None
    return line


_TO_THE_GRADER = re.compile(
    r"\b(?:10|100|ten)\s*(?:/|out\s+of)\s*(?:100?|ten)\b|\bfull\s+marks?\b|\bsystem\s+prompt\b"
    r"|\b(?:ignore|disregard|forget)\s+(?:all\s+|your\s+|the\s+|previous\s+|prior\s+)+(?:instruction|rule)"
    r"|\bgive\s+me\s+(?:a\s+|the\s+)?(?:high|top|full|best|maximum)"
    r"|满分|最高分|(?:忽略|无视|忘记).{0,6}(?:指令|指示|规则|要求|提示)|系统提示|打.{0,3}高分",
    re.IGNORECASE,
)


def addresses_the_grader(text: str) -> bool:
    """Words that may be meant for the grader and not for the interviewer: a hint for a human, no
    more.
    """
    return bool(_TO_THE_GRADER.search(text))
