"""The stand-in's grader: yes or no by the words that a statement and an answer share. Pure.

It tells the truth as far as words can, but for the faults it is given.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.sentences import content, sentences
from server.rehearsal.faults import Faults

MET = 0.45
"""Share of a statement's words that one utterance must hold for a yes."""
TOUCHED = 0.2
FABRICATED = "I invented the whole thing over a weekend and everyone applauded."
NOT_TELLING = content(
    "The candidate says what the answer is about and some or several. 候选人说出说明"
)


@dataclass(frozen=True)
class _Sentence:
    utterance_id: str
    text: str


def read(content_: str) -> Mapping[str, Any] | None:
    """The grading document, or None if this is none."""
    try:
        document = json.loads(content_)
    except ValueError:
        return None
    known = isinstance(document, dict) and {"checks", "exchange"} <= document.keys()
    return document if known else None


def mark(document: Mapping[str, Any], faults: Faults, *, first_try: bool) -> str:
    """The grader's JSON; cut off where a first try is to break."""
    said = [
        _Sentence(one["utterance_id"], sentence)
        for one in document["exchange"]
        if one["speaker"] == "candidate"
        for sentence in sentences(one["text"])
    ]
    checks = [_check(check, said, faults) for check in document["checks"]]
    text = json.dumps({"checks": checks, "reasons": _reasons(document, checks)}, ensure_ascii=False)
    broken = first_try and any(check["id"] in faults.broken_json for check in checks)
    return text[: len(text) // 2] if broken else text


def _check(check: Mapping[str, Any], said: Sequence[_Sentence], faults: Faults) -> dict[str, Any]:
    name, sought = check["id"], content(check["statement"]) - NOT_TELLING
    best = max(said, key=lambda s: len(sought & content(s.text)), default=None)
    met, share = "unclear", 0.0
    if best is not None and sought:
        near = [s.text for s in said if s.utterance_id == best.utterance_id]
        share = len(sought & content(" ".join(near))) / len(sought)
        met = "yes" if share >= MET else "no" if share >= TOUCHED else "unclear"
    if name in faults.says_no and best is not None:
        met = "no"
    quotes = [] if best is None or met == "unclear" else [_quote(best.utterance_id, best.text)]
    if name in faults.fabricated_quote and best is not None:
        quotes.append(_quote(best.utterance_id, FABRICATED))
    if name in faults.wrong_utterance and best is not None:
        quotes.append(_quote("c999", best.text))
    return {"id": name, "quotes": quotes, "met": met}


def _quote(utterance_id: str, quote: str) -> dict[str, str]:
    return {"utterance_id": utterance_id, "quote": quote}


def _reasons(document: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    verdicts = {check["id"]: check["met"] for check in checks}
    reasons: dict[str, str] = {}
    for dimension in dict.fromkeys(check["dimension"] for check in document["checks"]):
        mine = [c["id"] for c in document["checks"] if c["dimension"] == dimension]
        shown = sum(verdicts[name] == "yes" for name in mine)
        reasons[dimension] = f"The answer shows {shown} of the {len(mine)} things looked for."
    return reasons
