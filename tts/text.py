"""Words made fit to be spoken: no markdown, no special tokens, no more than a voice should say.

Pure. Whatever reaches a voice passes here first, so that a sentence has one spelling, which is the
cache's key.
"""

import re
import unicodedata

MAX_CHARS = 4000
"""Some four minutes of speech. A longer line is a mistake upstream, and is cut at a sentence."""

_TOOL_CALL = re.compile(r"<(tool_call|tool_response|think)>.*?(?:</\1>|\Z)", re.S | re.I)
_SPECIAL_TOKEN = re.compile(r"<\|[^<>|]{0,64}\|>|\[/?INST\]|<<?/?SYS>?>", re.I)
_TAG = re.compile(r"</?[A-Za-z_][^<>]{0,200}>|<!--.*?(?:-->|\Z)", re.S)
_FENCE = re.compile(r"^\s*(?:```|~~~).*$", re.M)
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+\"[^\"]*\")?\)")
_LINE_MARK = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]*|[-*+•][ \t]+)", re.M)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.M)
_CODE = re.compile(r"`+")
# Only where the mark hugs a word on the inside and stands free outside: 2*3*4 and snake_case stay.
_EMPHASIS = re.compile(r"(?<![\w*_~])([*_]{1,3}|~~)(?=\S)(.+?)(?<=\S)\1(?![\w*_~])", re.S)
_WORD = re.compile(r"[^\W_]")
_EMOJI_MARKS = "\ufe0f\u20e3\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_CJK = r"\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef"
_CJK_EMPHASIS = re.compile(rf"(?<=[{_CJK}])\*\*([^*]+)\*\*|\*\*([^*]+)\*\*(?=[{_CJK}])")
_SENTENCE_END = re.compile(r"[.!?。！？…]+[\"'”’)）」]*(?=\s|$|[\u3400-\u9fff])")


def speakable(text: str, max_chars: int = MAX_CHARS) -> str:
    """The words of `text`, on one line; "" when there is nothing to say. Idempotent."""
    before = None
    while before != text:  # taking one token out may put another together
        before, text = text, _strip(text)
    text = cap(text, max_chars)
    return text if _WORD.search(text) else ""


def _strip(text: str) -> str:
    text = _TOOL_CALL.sub(" ", text)
    text = _SPECIAL_TOKEN.sub(" ", text)
    text = _FENCE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _TAG.sub(" ", text)
    text = _RULE.sub(" ", text)
    text = _LINE_MARK.sub("", text)
    text = _CJK_EMPHASIS.sub(r"\1\2", text)
    text = _EMPHASIS.sub(r"\2", text)
    text = _CODE.sub("", text)
    return " ".join("".join(map(_sound, text)).split())


def _sound(char: str) -> str:
    """A voice reads an emoji's name aloud, and edge-tts refuses control characters."""
    category = unicodedata.category(char)
    if category in ("So", "Cs", "Co", "Cn", "Cf") or char in _EMOJI_MARKS:
        return ""
    return " " if category == "Cc" else char


def cap(text: str, max_chars: int) -> str:
    """At most `max_chars`, cut after the last whole sentence, else the last whole word."""
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    ends = [match.end() for match in _SENTENCE_END.finditer(head)]
    if ends and ends[-1] >= max_chars // 2:
        return head[: ends[-1]].strip()
    space = head.rfind(" ")
    return (head[:space] if space >= max_chars // 2 else head).strip()
