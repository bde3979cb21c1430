"""Phonemes as neural voices were taught them: espeak-ng's IPA with the punctuation put back. Pure.

The recipe is piper-phonemize's, with which the makers of Piper, Matcha and Kokoro models prepared
their training texts: a clause is followed by the mark that ended it, a space follows a mark within
a sentence, accents are taken apart (NFD), and espeak-ng's notes on a change of language go.
"""

import re
import unicodedata
from collections.abc import Iterable

from tts.clauses import ABBREVIATION

_FULL_WIDTH = str.maketrans("，、；：。！？…—–", ",,;:.!?.,,")
_CLOSING = "[\"'”’)）」》]*"
# The mark that ended a clause; espeak-ng has read on to the next word's first letter.
_MARK = re.compile(
    rf"([,;:.!?…—–]){_CLOSING}(?:\s+\S{{0,2}})?$|([，、；：。！？]){_CLOSING}\s*\S?$"
)
_LANGUAGE = re.compile(r"\([a-z-]+\)")


def spelled(clauses: Iterable[tuple[str, str]]) -> str:
    """One string for the model, from pairs of a clause's IPA and the text that was read for it."""
    parts, said, marked_to = list[str](), "", 0
    for ipa, text in clauses:
        said += text
        mark = ""
        if found := _MARK.search(said, marked_to):
            marked_to = found.end(found.lastindex or 0)
            if not ABBREVIATION.search(said[:marked_to]):
                mark = said[marked_to - 1].translate(_FULL_WIDTH)
        if sounds := " ".join(_LANGUAGE.sub("", ipa).split()):
            parts.append(unicodedata.normalize("NFD", sounds) + mark)
    return " ".join(parts)
