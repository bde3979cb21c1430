"""What a candidate plainly wants, by words alone: pure, English and Chinese.

Code acts on these without a model, so a false alarm costs more than a miss:

* a whole sentence must be the request, courtesies aside: "I had to skip the question" is not one;
* only the last sentence is looked at: a story in which "can we stop here" is said is a story;
* for a yes, a no, a refusal or a listener's noise nothing else may be said.
"""

from __future__ import annotations

import re
from functools import cache

from agent.intent_phrases import (
    BACKCHANNEL_PAIRS,
    BACKCHANNELS,
    CHINESE,
    CHINESE_BACKCHANNEL,
    CHINESE_PARTS,
    ENGLISH,
    ENGLISH_PARTS,
)

LONGEST_REQUEST = 25
"""Words, or Chinese characters: nobody asks at greater length, and the work stays bounded."""

_SENTENCE_END = re.compile(r"[.?!;。？！；…\n]+")
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'"})
_NOT_A_WORD = re.compile(r"[^\w' ]+")
_CHINESE_LETTER = re.compile(r"[\u3400-\u9fff]")
_LATIN_WORD = re.compile(r"(?:(?![\u3400-\u9fff])[\w'])+")
_TOKEN = re.compile(r"[\[\](){}|]|<[^<>]+>|[^\s\[\](){}|<>]+")
_COURTESY = re.compile(
    r"(?:thank you(?: very much)?|thanks|please|sorry|is that (?:okay|ok|all right)"
    r"|谢谢[您你]?|不好意思|抱歉|可以吗|好吗)"
)


def wants_to_skip(text: str) -> bool:
    return _requests(text, "skip")


def wants_to_end(text: str) -> bool:
    return _requests(text, "end")


def wants_a_person(text: str) -> bool:
    return _requests(text, "person")


def wants_repeat(text: str) -> bool:
    """The question again, or in other words."""
    return _requests(text, "repeat")


def is_thinking(text: str) -> bool:
    """Asks for a moment."""
    return _requests(text, "thinking")


def is_refusal(text: str) -> bool:
    """Has nothing (more) to say to the question: no probe will help."""
    return _length(text) <= LONGEST_REQUEST and _requests(text, "refusal")


def is_yes(text: str) -> bool:
    return _says(" ".join(_sentences(text)), "yes")


def is_no(text: str) -> bool:
    return _says(" ".join(_sentences(text)), "no")


def is_backchannel(text: str) -> bool:
    """A listener's noise ("mm-hmm", "okay"), which should not stop a voice."""
    words = " ".join(_sentences(text))
    if _CHINESE_LETTER.search(words):
        return _compiled(CHINESE_BACKCHANNEL, "zh").fullmatch(words.replace(" ", "")) is not None
    for pair in BACKCHANNEL_PAIRS:
        words = words.replace(pair, "okay")
    return bool(words) and all(word in BACKCHANNELS for word in words.split())


def is_question(text: str) -> bool:
    """Asks something, by its last mark or by the first word of its last sentence."""
    if text.rstrip().endswith(("?", "？", "吗", "呢")):
        return True
    sentences = _sentences(text)
    return bool(sentences) and not _CHINESE_LETTER.search(text) and _says(sentences[-1], "asks")


def only_asks(text: str) -> bool:
    """Every sentence is a question: this is no answer."""
    parts = [part for part in re.split(r"(?<=[.?!。？！])", text) if _sentences(part)]
    return bool(parts) and all(is_question(part) for part in parts)


def _sentences(text: str) -> list[str]:
    """Sentences in lower case, with single blanks and without marks."""
    found = []
    for sentence in _SENTENCE_END.split(text.translate(_APOSTROPHES).lower()):
        if words := " ".join(_NOT_A_WORD.sub(" ", sentence).split()):
            found.append(words)
    return found


def _requests(text: str, intent: str) -> bool:
    """The last sentence is this request; a "thank you" after it is passed over."""
    sentences = _sentences(text)
    while len(sentences) > 1 and _COURTESY.fullmatch(sentences[-1]):
        sentences.pop()
    return bool(sentences) and _says(sentences[-1], intent, courteous=True)


def _says(words: str, intent: str, *, courteous: bool = False) -> bool:
    if _length(words) > LONGEST_REQUEST:
        return False
    chinese = _CHINESE_LETTER.search(words) is not None
    phrase = "|".join((CHINESE if chinese else ENGLISH)[intent])
    pattern = f"<lead> ({phrase}) <trail>" if courteous else phrase
    said = words.replace(" ", "") if chinese else f"{words} "
    return _compiled(pattern, "zh" if chinese else "en").fullmatch(said) is not None


def _length(text: str) -> int:
    return len(_CHINESE_LETTER.findall(text)) + len(_LATIN_WORD.findall(text))


@cache
def _compiled(pattern: str, language: str) -> re.Pattern[str]:
    return re.compile(_regex(pattern, language))


def _regex(pattern: str, language: str) -> str:
    """The notation of `agent.intent_phrases` as a regular expression; each English word takes the
    blank behind it along."""
    parts, blank = (ENGLISH_PARTS, " ") if language == "en" else (CHINESE_PARTS, "")
    opening_and_closing = {"(": "(?:", ")": ")", "[": "(?:", "]": ")?", "{": "(?:", "}": ")*"}
    made = []
    for token in _TOKEN.findall(pattern):
        if token == "<words>":
            made.append(".+")
        elif token.startswith("<"):
            made.append(f"(?:{_regex(parts[token[1:-1]], language)})")
        elif token == "|":
            made.append(token)
        else:
            made.append(opening_and_closing.get(token) or re.escape(token) + blank)
    return "".join(made)
