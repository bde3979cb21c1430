"""A model's free words, a sentence at a time, and whether they may be said. Pure.

Rules that bind here:

* an acknowledgement is one short, neutral sentence: no praise or blame, no question, no promise, no
  farewell, and no fact that the candidate has not said;
* a free probe is one question with one request, on the open question, on no forbidden topic;
* the candidate's words become quoted data before they reach a chat template: `neutralise`.

The checks are lexical and strict: what they refuse wrongly costs a stock line, no more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from agent.plan import Language, Plan, Question
from agent.refusal import Reason, Refusal


@dataclass(frozen=True)
class Lengths:
    """The most words of an acknowledgement and of a free probe, and the most Chinese characters."""

    words: int
    characters_zh: int
    probe_words: int
    probe_characters_zh: int


USUAL = Lengths(15, 30, 30, 60)
ON_THE_PHONE = Lengths(10, 20, 20, 40)
"""What is heard once and cannot be read again is shorter."""

# --- sentences ------------------------------------------------------------------------------------

_ABBREVIATIONS = {"dr", "mr", "mrs", "ms", "prof", "e.g", "i.e", "etc", "vs", "no", "approx"}
_END = re.compile(r"(?P<latin>[.!?]+[\"'”’)]*)(?=\s|$)|(?P<wide>[。！？…；]+[”’」』）]*)")


def sentences(text: str) -> list[str]:
    """The sentences of a text; `3.5`, `Node.js` and `e.g.` end none."""
    found, start = [], 0
    for end in _ends(text):
        found.append(text[start:end].strip())
        start = end
    return [sentence for sentence in (*found, text[start:].strip()) if sentence]


def first_sentence(text: str) -> str | None:
    """The first sentence of a text still growing, once it is surely whole."""
    for end in _ends(text):
        if end < len(text):
            return text[:end].strip()
    return None


def _ends(text: str) -> Iterable[int]:
    for match in _END.finditer(text):
        before = re.search(r"[\w.]*$", text[: match.start()])
        word = before.group().lower() if before else ""
        if match["wide"] or not match["latin"].startswith(".") or word not in _ABBREVIATIONS:
            yield match.end()


def _listed(text: str) -> list[str]:
    return text.split()


# --- words ----------------------------------------------------------------------------------------

_WORD = re.compile(r"[^\W_]+(?:['’.+#-]*[^\W_]+|[+#]+)*")
_HAN = re.compile(r"[\u3400-\u9fff]")
_HAN_RUN = re.compile(r"[\u3400-\u9fff]+")
_SUFFIXES = ("ations", "ation", "ings", "ing", "ers", "ies", "ed", "es", "er", "ly", "s", "y", "e")
_UNITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_NUMBERS = {word: str(number) for number, word in enumerate([*_UNITS, "eleven", "twelve"])} | {
    word: str(10 * number) for number, word in enumerate(_TENS, start=2)
}


def words(text: str) -> list[str]:
    """Words in lower case, one for each Chinese character run; `C++` and `Node.js` are words."""
    return [match.group().lower().replace("’", "'") for match in _WORD.finditer(text)]


def stem(word: str) -> str:
    """A crude stem: enough that `designed`, `designing` and `designs` are one."""
    word = _NUMBERS.get(word, word.removesuffix("'s"))
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            word = word.removesuffix(suffix)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word  # planned, plan


def stems(text: str) -> set[str]:
    return {stem(word) for word in words(text)}


def content(text: str) -> set[str]:
    """The stems that carry the meaning: no function words; Chinese as pairs of characters."""
    latin = {stem(w) for w in words(_HAN.sub(" ", text)) if w not in _FUNCTION and len(w) > 1}
    return latin | _pairs(text)


def _pairs(text: str) -> set[str]:
    kept = _FUNCTION_ZH.sub(" ", text)
    return {run[i : i + 2] for run in _HAN_RUN.findall(kept) for i in range(len(run) - 1)}


_FUNCTION = frozenset(
    _listed("""a an the this that these those it its there here and or but so then as if while than
    i you he she we they me him her us them my your his our their yours one ones
    am is are was were be been being do does did done doing have has had having
    will would can could shall should may might must to of in on at by for from with about into
    over after before between through during under up down out off again also too very just more
    most some any each both all other such only own same s t d ll m re ve what which who whom
    whose when where why how please tell describe explain say walk give me us
    """)
)
_FUNCTION_ZH = re.compile(
    "请问|请|您|你|我们|我|他们|他|她|它|什么|怎么样|怎么|怎样|如何|为什么|哪些|哪个|哪|多少|几|"
    "的|了|吗|呢|吧|是|在|有|和|与|或|及|把|被|对|就|都|也|还|这|那|个|一|时候|时|中|里|上|下|"
    "具体|说说|谈谈|讲讲|告诉|能否|可以|能"
)

# --- what may not be said -------------------------------------------------------------------------

_CONTROL = re.compile(r"[<>{}\[\]|*_#`\\]|https?:")
_PRAISE = re.compile(
    r"\b(great|good|nice|excellent|awesome|amazing|brilliant|fantastic|wonderful|perfect|superb"
    r"|impress\w*|outstanding|exceptional|strong|solid|smart|clever|love\w*|lovely|like[ds]?|enjoy\w*"
    r"|interesting|fascinating|insightful|valuable|helpful|thorough|clear(?:ly)?|well|best|better"
    r"|correct\w*|right|wrong|incorrect\w*|exactly|absolutely|congratulations|bravo|cool|wow"
    r"|bad|poor\w*|weak|unfortunate\w*|sorry|disappoint\w*|concern\w*|worr\w*|sadly|pity|happy|glad"
    r"|agree|appreciate\w*|admir\w*|respect)\b",
    re.IGNORECASE,
)
_PRAISE_ZH = re.compile(
    "很好|真好|太好|不错|优秀|出色|精彩|厉害|棒|赞|完美|佩服|欣赏|喜欢|高兴|正确|没错|对的|错误|答错"
    "|遗憾|可惜|糟|差劲|有意思|有趣|专业|清晰|深刻|同意|恭喜|抱歉"
)
_PROMISE = re.compile(
    r"\b(will|shall|going to|promise\w*|guarantee\w*|hir(?:e|ed|ing)|offer\w*|pass(?:ed)?"
    r"|next (?:round|stage)|(?:you|we|i|they)'ll|get back to|hear from|in touch|score[ds]?"
    r"|rating|salary)\b",
    re.IGNORECASE,
)
_PROMISE_ZH = re.compile(
    "会给|将会|保证|承诺|录用|录取|通过了|下一轮|通知您|通知你|联系您|联系你|薪资|分数|打分"
)
_FAREWELL = re.compile(
    r"\b(good-?bye|bye|for your time|that(?:'s| is) all|this concludes|have a (?:nice|good|great)"
    r"|end of (?:the|our|this) interview)\b",
    re.IGNORECASE,
)
_FAREWELL_ZH = re.compile("再见|感谢您的时间|面试结束|到此结束|祝您|祝你")
_ASKS = re.compile(
    r"^(?:and |so |but |then )?(?:what|why|how|when|where|which|who|could|can|would|will|do"
    r"|does|did|are|is|were|was|have|has|tell me|describe|explain|walk me|give me|please|let's"
    r"|let us)\b",
    re.IGNORECASE,
)
_ASKS_ZH = re.compile("请|吗|呢|什么|怎么|为什么|如何|哪|能否|是否")

_NEUTRAL = _FUNCTION - {"please", "tell", "describe", "explain", "say", "walk", "give"} | frozenset(
    _listed("""thank thanks okay ok understood noted see got heard hear alright yes right-o mention
    mentioned said spoke talked told described explained shared gave named answer question point
    part example case situation story detail details note""")
)
_NEUTRAL_ZH = re.compile(
    "好的|好|谢谢|感谢|明白|了解|知道|清楚|收到|记下|听到|提到|说到|讲到|谈到|说过|说|讲|谈|刚才|刚刚|"
    "关于|这点|这一点|这些|情况|经历|例子|回答|问题|内容|部分|您|你|我|的|了|是|在|和|与|到|用|做|把|"
    "这|那|个|一|您的|你的|已经|已|过|嗯"
)
_NEGATION = re.compile(r"\b(?:not|no|never|none|nothing|without)\b|n't\b", re.IGNORECASE)
_NEGATION_ZH = re.compile("不|没|无|未")


def check_acknowledgement(
    text: str, heard_text: str, language: Language, lengths: Lengths = USUAL
) -> Refusal | None:
    """Why these words may not acknowledge what was heard; None if they may."""
    return (
        _check_form(text)
        or _check_length(text, lengths.words, lengths.characters_zh)
        or (Refusal(Reason.ASKS) if _asks(text) else None)
        or _check_tone(text)
        or _check_known(text, heard_text, language)
    )


def check_free_probe(
    text: str,
    question: Question,
    plan: Plan,
    language: Language,
    heard_text: str = "",
    lengths: Lengths = USUAL,
) -> Refusal | None:
    """Why this may not be asked as the one follow-up of the model's own words; None if it may."""
    return (
        _check_form(text)
        or _check_length(text, lengths.probe_words, lengths.probe_characters_zh)
        or _check_one_request(text)
        or _check_tone(text, opening=True)
        or _check_topic(text, question, plan, heard_text)
    )


def _check_form(text: str) -> Refusal | None:
    found = sentences(text)
    if not words(text):
        return Refusal(Reason.NO_WORDS)
    if len(found) > 1 or "\n" in text.strip():
        return Refusal(Reason.MORE_THAN_ONE_SENTENCE)
    if _CONTROL.search(text) or not all(c.isprintable() for c in text.strip()):
        return Refusal(Reason.UNSPEAKABLE)
    return Refusal(Reason.REPEATS_ITSELF) if _repeats(text) else None


def _repeats(text: str) -> bool:
    """The same three words, or four characters of Chinese, twice; a word thrice in a row."""
    units = words(_HAN.sub(lambda m: f" {m.group()} ", text))
    size = 4 if _HAN.search(text) else 3
    grams = [tuple(units[i : i + size]) for i in range(len(units) - size + 1)]
    in_a_row = any(a == b == c for a, b, c in zip(units, units[1:], units[2:], strict=False))
    return in_a_row or len(grams) > len(set(grams))


def _check_length(text: str, most_words: int, most_characters: int) -> Refusal | None:
    characters = len(_HAN.findall(text))
    count = len(words(_HAN.sub(" ", text)))
    if characters > most_characters:
        return Refusal(Reason.TOO_MANY_CHARACTERS, str(most_characters))
    return Refusal(Reason.TOO_MANY_WORDS, str(most_words)) if count > most_words else None


def _asks(text: str) -> bool:
    return bool(re.search("[?？]", text) or _ASKS.search(text.strip()) or _ASKS_ZH.search(text))


def _check_tone(text: str, *, opening: bool = False) -> Refusal | None:
    """No judgement (of a probe: not as its opening), no promise, no farewell."""
    judged = _opening(text) if opening else text
    if _PRAISE.search(judged) or _PRAISE_ZH.search(judged):
        return Refusal(Reason.JUDGES)
    if _PROMISE_ZH.search(text) or (not opening and _PROMISE.search(text)):
        return Refusal(Reason.PROMISES)
    if _FAREWELL.search(text) or _FAREWELL_ZH.search(text):
        return Refusal(Reason.FAREWELL)
    return None


def _opening(text: str) -> str:
    """What stands before the first comma, or the first two words or characters."""
    first, comma, _ = re.sub("[，:：—]", ",", text.strip()).partition(",")
    if comma and len(first) <= 40:
        return first
    return text.strip()[:2] if _HAN.search(text[:2]) else " ".join(text.split()[:2])


def _check_known(text: str, heard_text: str, language: Language) -> Refusal | None:
    """Every word that carries meaning is the candidate's own, and none of them is denied."""
    if _NEGATION.search(text) or _NEGATION_ZH.search(text):
        return Refusal(Reason.DENIES)
    said = stems(_HAN.sub(" ", heard_text))
    for word in words(_HAN.sub(" ", text)):
        if word not in _NEUTRAL and stem(word) not in said:
            return Refusal(Reason.NOT_SAID, word)
    return _check_known_zh(text, heard_text) if language == "zh" or _HAN.search(text) else None


def _check_known_zh(text: str, heard_text: str) -> Refusal | None:
    for run in _HAN_RUN.findall(text):
        for rest in _unsaid(run, heard_text):
            return Refusal(Reason.NOT_SAID, rest)
    return None


def _unsaid(run: str, heard_text: str) -> Iterable[str]:
    """What is left of a run of characters without what was said (two or more together) and
    without neutral words."""
    at, left = 0, []
    while at < len(run):
        size = next((n for n in range(len(run) - at, 1, -1) if run[at : at + n] in heard_text), 0)
        left.append(" " if size else run[at])
        at += size or 1
    for rest in _NEUTRAL_ZH.sub(" ", "".join(left)).split():
        if any(character not in heard_text for character in rest):
            yield rest


# --- probes ---------------------------------------------------------------------------------------

_SECOND_REQUEST = re.compile(
    r"(?:\b(?:and|or|also)\b|[,;])\s+(?:also\s+|then\s+|so\s+)?"
    r"(?:what|why|how|when|where|which|who|could|can|would|do|does|did|are|is|were|was"
    r"|tell|describe|explain|give|walk)\b",
    re.IGNORECASE,
)
_SECOND_REQUEST_ZH = re.compile(
    "(?:什么|怎么|怎样|如何|为什么|哪|多少|吗|呢).*(?:什么|怎么|怎样|如何|为什么|哪|多少|吗|呢)"
)
_NEVER_ASKED = re.compile(
    r"\bhow old\b|\byour (?:age|religion|faith|race|ethnicity|nationality|health|disability"
    r"|sexuality|gender|husband|wife|spouse|partner|children|kids|family|politics|salary)\b"
    r"|\b(?:pregnan\w+|married|religious|divorced)\b|年龄|多大|宗教|信仰|民族|国籍|怀孕|结婚|婚姻|已婚"
    r"|生育|孩子|配偶|丈夫|妻子|残疾|身体状况|工资|薪水",
    re.IGNORECASE,
)


def _check_one_request(text: str) -> Refusal | None:
    marks = re.findall("[?？]", text)
    if len(marks) != 1 or text.strip()[-1] not in "?？":
        return Refusal(Reason.NOT_ONE_QUESTION)
    second = _SECOND_REQUEST.search(text)
    if (second and _ASKS.search(text[: second.start()].strip())) or _SECOND_REQUEST_ZH.search(text):
        return Refusal(Reason.TWO_THINGS)
    return None


def _check_topic(text: str, question: Question, plan: Plan, heard_text: str) -> Refusal | None:
    if _NEVER_ASKED.search(text) or any(
        _speaks_of(text, topic)
        for topics in plan.policy.forbidden_topics
        for topic in re.split(r"[,;/、，；]| and | or |和|与|或", topics)
    ):
        return Refusal(Reason.FORBIDDEN_TOPIC)
    own = content(question.text) | content(question.rephrase) | content(heard_text)
    return None if own & content(text) else Refusal(Reason.OFF_THE_QUESTION)


def _speaks_of(text: str, topic: str) -> bool:
    if _HAN.search(topic):
        return topic.strip() in text
    sought = {stem(word) for word in words(topic) if word not in _FUNCTION}
    return bool(sought) and sought <= stems(text)


# --- what comes in --------------------------------------------------------------------------------

_BRACKETED = re.compile(r"\[(/?[A-Z][A-Z_ ]*)\]")


def neutralise(text: str) -> str:
    """The same words without anything that a chat template or a tool parser takes for control.

    Angle brackets become ‹ ›, so that no special token (`<|im_start|>`, `</tool_call>`, `<s>`) is
    left; `[INST]` becomes `(INST)`; control, zero-width and direction signs become spaces.
    """
    text = text.replace("<", "‹").replace(">", "›").replace("＜", "‹").replace("＞", "›")
    text = "".join(" " if _invisible(c) else c for c in text)
    return _BRACKETED.sub(r"(\1)", text)


def _invisible(character: str) -> bool:
    return character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")
