"""Whether a plan's consent texts can be read aloud in the time that a caller has. An estimate, by
letters."""

from __future__ import annotations

from agent.plan import Plan
from server.phone.reception import INTERVIEW, RECORDING, TEXTS_S, Question
from server.phone.words import line

LETTERS_PER_S = {"en": 15.0, "zh": 3.6}
"""As the embedded voice, the slowest of the chain, says the worked plans' consent texts."""
_WHAT = {
    INTERVIEW: "the disclosure and the consent text",
    RECORDING: "the text about recording",
}


def seconds(question: Question, plan: Plan) -> float:
    """How long it takes to say what a yes says yes to, with addresses as they are spelled."""
    letters = sum(len(line(text, plan.language, plan)) for text in question.texts)
    return letters / LETTERS_PER_S[plan.language]


def too_long(plan: Plan) -> list[str]:
    """A sentence for each consent that no caller would be in time to give."""
    return [
        f"By telephone {_WHAT[question]} would take some {took:.0f} seconds to read aloud; after"
        f" {TEXTS_S:.0f} the call ends, and nobody has agreed. Shorten them."
        for question in (INTERVIEW, RECORDING)
        if (took := seconds(question, plan)) >= TEXTS_S
    ]
